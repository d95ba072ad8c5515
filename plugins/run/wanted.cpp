#include "wanted.hpp"

#include <pipe/engine/host.hpp>
#include <pipe/engine/spec.hpp>
#include <pipe/oci/reference.hpp>
#include <pipe/oci/transfer.hpp>

#include <fmt/core.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>

namespace run_step {

namespace {

/// Engines want a tag, and take a digest only for what they pulled themselves.
std::string engine_name(const oci::Reference &reference) {
  const std::string tag =
      reference.tag.empty() ? fmt::format("sha256-{}", reference.digest->hex().substr(0, 12)) : reference.tag;
  return reference.name() + ":" + tag;
}

void set_user(engine::ContainerSpec &spec, const std::string &user, const engine::Version &version) {
  spec.user = user;
  if (user != "self") return;
  spec.user = fmt::format("{}:{}", ::geteuid(), ::getegid());
  if (!version.rootless) return;
  // There, the caller is root inside, unless Podman is told to keep the numbers.
  if (version.name == "podman")
    spec.userns = "keep-id";
  else
    spec.user = "0:0";
}

constexpr const char *kSecretsFolder = "/run/secrets/";

void set_limits(engine::ContainerSpec &spec, const Params &params) {
  spec.memory = params.memory.value;
  spec.cpus = params.cpus;
  spec.pids = params.pids;
  spec.read_only = params.read_only;
  spec.init = params.init;
  spec.hostname = params.hostname;
  spec.stop_timeout = std::chrono::ceil<std::chrono::seconds>(params.stop_timeout).count();
  spec.tmpfs = params.tmpfs;
  for (const std::string &path : spec.tmpfs)
    if (!path.starts_with('/'))
      throw sdk::Error(PIPE_E_INVALID, fmt::format("tmpfs: `{}` is no absolute path", path),
                       "expected /path or /path:options, such as /tmp:size=64m");
  for (const std::string &name : params.cap_add) spec.cap_add.push_back(engine::capability(name));
  for (const std::string &name : params.cap_drop) spec.cap_drop.push_back(engine::capability(name));
  spec.security_opt = params.security_opt;
  spec.extra_hosts = params.extra_hosts;
  spec.devices = params.devices;
  for (const auto &[name, value] : params.ulimits) spec.ulimits[name] = engine::parse_ulimit(name, value);
  spec.sysctls = params.sysctls;
  spec.log = params.log;
  if (!params.health.empty()) spec.health = engine::parse_health(params.health);
}

std::optional<unsigned> number(std::string_view text) {
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Under which it is remembered that the store has an image of that full name only since.
std::string image_key(const std::string &name) {
  return "image " + name;
}

/// As `pull` notes where an image came from, so that either sees what the other fetched.
constexpr const char *kSourceName = "pipe.source.name", *kSourceState = "pipe.source.state";

}  // namespace

Owner owner_of(const std::string &user) {
  const auto colon = user.find(':');
  return {number(std::string_view(user).substr(0, colon)),
          colon == std::string::npos ? std::nullopt : number(std::string_view(user).substr(colon + 1))};
}

engine::Secrets secrets_of(const Params &params) {
  engine::Secrets secrets;
  for (const auto &[name, secret] : params.secrets) {
    if (name.empty() || name.ends_with('/') || name.find("..") != std::string::npos ||
        (!name.starts_with('/') && name.find('/') != std::string::npos))
      throw sdk::Error(PIPE_E_INVALID,
                       fmt::format("secrets: `{}` is neither a name nor an absolute path", name),
                       "a name stands for /run/secrets/NAME");
    secrets[name.starts_with('/') ? name : kSecretsFolder + name] = secret.value;
  }
  return secrets;
}

engine::ContainerSpec container_spec(const Params &params, const engine::Version &version) {
  engine::ContainerSpec spec;
  spec.name = params.name;
  spec.restart = params.restart.value_or("");
  spec.network = params.network;
  for (const std::string &network : params.networks) spec.networks.push_back(engine::parse_network(network));
  set_limits(spec, params);
  secrets_of(params);  // a mistake in their names is found now
  spec.labels = params.labels;
  for (const std::string &port : params.ports) spec.ports.push_back(engine::parse_port(port));
  for (const std::string &volume : params.volumes) spec.mounts.push_back(engine::parse_mount(volume));
  for (const sdk::Path &file : params.env_file)
    for (auto &[name, value] : engine::read_env_file(file.value)) spec.env[name] = std::move(value);
  for (const auto &[name, value] : params.env) spec.env[name] = value.value;
  spec.has_command = params.command.has_value();
  spec.has_entrypoint = params.entrypoint.has_value();
  if (params.command) spec.command = *params.command;
  if (params.entrypoint) spec.entrypoint = *params.entrypoint;
  set_user(spec, params.user, version);
  engine::Ready::parse(params.ready, {}, version.host);  // its ports are known later, a mistake in it is now
  return spec;
}

ImageSource find_image(const std::string &text, Purpose purpose) {
  using Kind = oci::ImageName::Kind;
  const oci::ImageName name = oci::ImageName::parse(text);
  ImageSource source;
  const bool in_a_file = name.kind != Kind::registry && name.kind != Kind::docker_daemon;
  if (!in_a_file) source.name = engine_name(name.reference);
  if (name.kind == Kind::docker_daemon) return source;

  const std::filesystem::path folder = oci::Store::default_path();
  std::error_code error;
  if (!in_a_file && !std::filesystem::exists(folder, error)) return source;
  if (purpose == Purpose::look && !oci::Store::exists(folder)) {
    source.temporary = std::make_shared<oci::TemporaryStore>();
    source.store = **source.temporary;
  } else {
    source.store.emplace(folder);
  }
  source.stored = in_a_file ? oci::local(name, *source.store) : source.store->resolve(name.reference.str());
  if (!source.stored) {
    source.store.reset();
    return source;
  }
  source.manifest = engine::manifest_for_engine(*source.store, *source.stored);
  if (in_a_file) source.name = fmt::format("localhost/pipe:{}", source.manifest->digest.hex().substr(0, 12));
  return source;
}

std::optional<std::string> newer_in_registry(const std::string &text, const ImageSource &here,
                                             sdk::Run &run) {
  const oci::ImageName name = oci::ImageName::parse(text);
  if (name.kind != oci::ImageName::Kind::registry) return std::nullopt;
  std::string digest = oci::resolve(name.reference, {}, run).root.digest.str();
  if (!here.stored) return digest;
  const auto state = here.stored->annotations.find(kSourceState);
  const bool same = here.stored->digest.str() == digest ||
                    (state != here.stored->annotations.end() && state->second == digest);
  return same ? std::nullopt : std::optional(digest);
}

ImageSource fetch_image(const std::string &text, sdk::Run &run) {
  const oci::ImageName name = oci::ImageName::parse(text);
  oci::Store store(oci::Store::default_path());
  oci::TransferResult result = oci::fetch(name, oci::PlatformChoice::parse(""), {}, store, run);
  result.image.annotations = {{kSourceName, name.str()}, {kSourceState, result.source_digest.str()}};
  if (!store.resolve(name.str())) run.remember(image_key(name.str()), name.str());
  store.tag(name.str(), result.image);
  run.info(fmt::format("{} {}: {} blobs fetched, {} there already", name.reference.familiar(),
                       result.image.digest.brief(), result.moved, result.skipped));
  return find_image(text, Purpose::use);
}

void forget_image(const std::string &text, sdk::Run &run) {
  const std::string name = oci::ImageName::parse(text).str();
  if (!run.recall(image_key(name))) return;
  oci::Store(oci::Store::default_path()).untag(name);
  run.forget(image_key(name));
}

std::optional<std::string> id_in_engine(const ImageSource &source, engine::Engine &engine) {
  const auto image = engine.image(source.name);
  if (!image || (source.manifest && !engine::is_image(image->id, *source.manifest))) return std::nullopt;
  return image->id;
}

}  // namespace run_step
