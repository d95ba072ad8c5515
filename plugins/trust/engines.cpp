#include "engines.hpp"

#include <pipe/oci/settings_file.hpp>

#include <fmt/core.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <sstream>

namespace trust {
namespace {

bool any_exists(const fs::path &root, std::initializer_list<const char *> names) {
  std::error_code error;
  return std::ranges::any_of(names, [&](const char *name) { return fs::exists(root / name, error); });
}

toml::table parse(const std::string &text, const fs::path &file) {
  try {
    return toml::parse(text, file.string());
  } catch (const toml::parse_error &error) {
    throw sdk::Error(PIPE_E_INVALID,
                     fmt::format("{}:{}: {}", file.string(), error.source().begin.line, error.description()),
                     "correct the file; it was left as it is");
  }
}

bool docker_is_there(const Places &places) {
  std::error_code error;
  return fs::exists(places.docker, error) ||
         any_exists(places.root, {"usr/bin/dockerd", "usr/sbin/dockerd", "usr/local/bin/dockerd"});
}

std::vector<Edit> docker_edits(sdk::Run &run, const Places &places, const Wanted &wanted) {
  if (wanted.ca.empty()) return {};
  return {authority_in(run, places.docker / "certs.d" / wanted.registry, wanted)};
}

std::vector<fs::path> authority_files(const fs::path &certs, const Wanted &wanted) {
  if (wanted.registry.empty()) return {};
  return {certs / wanted.registry / "ca.crt", certs / wanted.registry / "pipe-ca.crt"};
}

std::vector<fs::path> docker_files(const Places &places, const Wanted &wanted) {
  return authority_files(places.docker / "certs.d", wanted);
}

/// A drop-in of our own; its name is read after most others (containers-registries.conf.d(5)).
fs::path drop_in(const Places &places, const std::string &subject) {
  std::string name = subject;
  std::ranges::replace(name, ':', '_');
  return places.containers / "registries.conf.d" / ("pipe-" + name + ".conf");
}

bool podman_is_there(const Places &places) {
  std::error_code error;
  return fs::exists(places.containers, error) ||
         any_exists(places.root, {"usr/bin/podman", "usr/local/bin/podman"});
}

/// Whether a file has a [[registry]] that is about `name`: a later one would take its place as a whole.
bool is_about(const fs::path &file, const std::string &name) {
  const auto text = pipes::oci::read_settings(file);
  if (!text) return false;
  const toml::table root = parse(*text, file);
  const toml::array *registries = root["registry"].as_array();
  if (registries == nullptr) return false;
  return std::ranges::any_of(*registries, [&](const toml::node &node) {
    const toml::table *entry = node.as_table();
    if (entry == nullptr) return false;
    const auto location = (*entry)["location"].value_or(std::string());
    return (*entry)["prefix"].value_or(location) == name;
  });
}

/// Throws where somebody else has settings for `name`, which `own` would hide.
void refuse_to_hide(const Places &places, const fs::path &own, const std::string &name,
                    const std::string &lines) {
  std::vector<fs::path> files{places.containers / "registries.conf"};
  std::error_code error;
  for (fs::directory_iterator entry(own.parent_path(), error), end; !error && entry != end;
       entry.increment(error))
    if (entry->path().extension() == ".conf") files.push_back(entry->path());
  for (const fs::path &file : files)
    if (file != own && is_about(file, name))
      throw sdk::Error(PIPE_E_INVALID,
                       fmt::format("{} has a [[registry]] for {} already", file.string(), name),
                       fmt::format("add to it there: {}", lines));
}

constexpr std::string_view kMark = "# Written by the step trust of pipe.\n";

Insecure podman_insecure(const Places &places, const std::string &registry) {
  const std::string lines = fmt::format("location = \"{}\"\ninsecure = true\n", registry);
  return {drop_in(places, registry), fmt::format("{}[[registry]]\n{}", kMark, lines), lines};
}

std::vector<Edit> podman_edits(sdk::Run &run, const Places &places, const Wanted &wanted) {
  std::vector<Edit> edits;
  if (!wanted.ca.empty())
    edits.push_back(authority_in(run, places.containers / "certs.d" / wanted.registry, wanted));
  if (wanted.insecure) {
    const Insecure ours = podman_insecure(places, wanted.registry);
    refuse_to_hide(places, ours.path, wanted.registry, "insecure = true");
    edits.push_back(whole_file(ours.path, ours.whole, wanted.registry + " as insecure"));
  }
  if (!wanted.mirror.empty()) {
    const fs::path file = drop_in(places, "docker.io");
    const std::string mirror = fmt::format("[[registry.mirror]]\nlocation = \"{}\"\n{}", wanted.mirror_host(),
                                           wanted.mirror_is_plain() ? "insecure = true\n" : "");
    refuse_to_hide(places, file, "docker.io",
                   fmt::format("[[registry.mirror]] location = \"{}\"{}", wanted.mirror_host(),
                               wanted.mirror_is_plain() ? ", insecure = true" : ""));
    const std::string hub =
        fmt::format("{}[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n", kMark);
    const std::string what = "the mirror " + wanted.mirror;
    const bool has_mirrors = pipes::oci::read_settings(file).value_or("").starts_with(hub);
    edits.push_back(has_mirrors ? appended(file, mirror, what) : whole_file(file, hub + mirror, what));
  }
  return edits;
}

std::vector<fs::path> podman_files(const Places &places, const Wanted &wanted) {
  std::vector<fs::path> files = authority_files(places.containers / "certs.d", wanted);
  if (!wanted.registry.empty()) files.push_back(drop_in(places, wanted.registry));
  files.push_back(drop_in(places, "docker.io"));
  return files;
}

fs::path hosts_toml(const Places &places, const std::string &name) {
  return places.containerd / "certs.d" / name / "hosts.toml";
}

bool knows_certs_d(const Places &places) {
  const auto config = pipes::oci::read_settings(places.containerd / "config.toml");
  return config && config->find("certs.d") != std::string::npos;
}

bool containerd_is_there(const Places &places) {
  std::error_code error;
  return fs::exists(places.containerd / "certs.d", error) || knows_certs_d(places);
}

std::string host_block(const std::string &url, const std::string &lines) {
  return fmt::format("[host.\"{}\"]\n{}", url, lines);
}
std::string host_file(const std::string &server, const std::string &block) {
  return fmt::format("{}server = \"{}\"\n\n{}", kMark, server, block);
}

constexpr const char *kSkipVerify = "skip_verify = true\n";

Insecure containerd_insecure(const Places &places, const std::string &registry) {
  const std::string url = "http://" + registry, block = host_block(url, kSkipVerify);
  return {hosts_toml(places, registry), host_file(url, block), block};
}

/// A [host."URL"] in the hosts.toml of a registry (containerd, docs/hosts.md); `server` for a new file.
Edit host_entry(const fs::path &file, const std::string &server, const std::string &url,
                const std::string &lines, const std::string &what) {
  const std::string block = host_block(url, lines);
  const auto before = pipes::oci::read_settings(file);
  if (!before) return whole_file(file, host_file(server, block), what);
  const toml::table root = parse(*before, file);
  const toml::table *there = root["host"][url].as_table();
  const toml::table mine = parse(block, file);
  if (there == nullptr) return appended(file, block, what);
  for (const auto &[key, value] : *mine["host"][url].as_table()) {
    const toml::node *found = there->get(key);
    std::ostringstream wanted_text, found_text;
    wanted_text << toml::node_view<const toml::node>(value);
    if (found != nullptr) found_text << toml::node_view<const toml::node>(*found);
    if (wanted_text.str() != found_text.str())
      throw sdk::Error(
          PIPE_E_INVALID, fmt::format("{} has other settings for {} already", file.string(), url),
          fmt::format("change them there to: {} = {}", std::string(key.str()), wanted_text.str()));
  }
  return {.path = file, .before = before, .after = *before, .what = what};
}

std::vector<Edit> containerd_edits(sdk::Run &run, const Places &places, const Wanted &wanted) {
  std::vector<Edit> edits;
  if (!containerd_is_there(places))
    run.warn(fmt::format("{} names no certs.d, so containerd will not look there: set config_path = \"{}\"",
                         (places.containerd / "config.toml").string(),
                         (places.containerd / "certs.d").string()));
  if (!wanted.ca.empty()) {
    const fs::path file = hosts_toml(places, wanted.registry);
    Edit authority = authority_in(run, file.parent_path(), wanted);
    const std::string url = "https://" + wanted.registry;
    edits.push_back(host_entry(file, url, url, fmt::format("ca = \"{}\"\n", authority.path.string()),
                               "the CA of " + wanted.registry));
    edits.insert(edits.begin(), std::move(authority));
  }
  if (wanted.insecure) {
    const std::string url = "http://" + wanted.registry;
    edits.push_back(host_entry(hosts_toml(places, wanted.registry), url, url, kSkipVerify,
                               wanted.registry + " as insecure"));
  }
  if (!wanted.mirror.empty())
    edits.push_back(host_entry(hosts_toml(places, "docker.io"), "https://registry-1.docker.io", wanted.mirror,
                               "capabilities = [\"pull\", \"resolve\"]\n", "the mirror " + wanted.mirror));
  return edits;
}

std::vector<fs::path> containerd_files(const Places &places, const Wanted &wanted) {
  std::vector<fs::path> files;
  if (!wanted.registry.empty()) files.push_back(hosts_toml(places, wanted.registry));
  for (fs::path &file : authority_files(places.containerd / "certs.d", wanted))
    files.push_back(std::move(file));
  files.push_back(hosts_toml(places, "docker.io"));
  return files;
}

}  // namespace

const Files kDocker{"docker", "run/docker.sock", docker_is_there, docker_edits, docker_files, nullptr};
const Files kPodman{"podman", "", podman_is_there, podman_edits, podman_files, podman_insecure};
const Files kContainerd{"containerd",        "run/containerd/containerd.sock",
                        containerd_is_there, containerd_edits,
                        containerd_files,    containerd_insecure};

}  // namespace trust
