#include "collector.hpp"

#include <fmt/core.h>
#include <pipe/error.hpp>

#include <algorithm>

namespace gc {
namespace {

namespace oci = pipes::oci;

constexpr std::string_view kBlob = "blob eligible for deletion: ";
constexpr std::string_view kManifest = "manifest eligible for deletion: ";
constexpr std::size_t kLastLines = 10;
constexpr std::size_t kMaxLine = 4096;

bool is_config(std::string_view word) {
  return word.ends_with(".yml") || word.ends_with(".yaml");
}

/// "registry", "docker-registry"; not the shell script that the official images begin with.
bool is_program(std::string_view word) {
  const std::string_view name = word.substr(word.find_last_of('/') + 1);
  return name == "registry" || name == "docker-registry";
}

}  // namespace

std::vector<std::string> collect_command(const pipes::engine::ContainerSpec &container,
                                         const std::string &config) {
  std::vector<std::string> words = container.entrypoint;
  words.insert(words.end(), container.command.begin(), container.command.end());
  const auto program = std::ranges::find_if(words, is_program);
  std::string file = config;
  if (file.empty())
    if (const auto found = std::ranges::find_if(words, is_config); found != words.end()) file = *found;
  if (file.empty())
    throw pipes::sdk::Error(PIPE_E_INVALID,
                            "nothing in its command says where the registry's configuration is",
                            "give `config`: /etc/docker/registry/config.yml of registry:2, "
                            "/etc/distribution/config.yml of registry:3");
  return {program == words.end() ? "registry" : *program, "garbage-collect", file};
}

std::string blob_file(const pipes::engine::ContainerSpec &container, const oci::Digest &blob) {
  const auto root = container.env.find("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY");
  return fmt::format("{}/docker/registry/v2/blobs/{}/{}/{}/data",
                     root == container.env.end() ? "/var/lib/registry" : root->second, blob.algorithm(),
                     blob.hex().substr(0, 2), blob.hex());
}

void Findings::feed(std::string_view piece) {
  for (std::size_t end = piece.find('\n'); end != std::string_view::npos; end = piece.find('\n')) {
    unfinished_ += piece.substr(0, end);
    line(unfinished_);
    unfinished_.clear();
    piece.remove_prefix(end + 1);
  }
  unfinished_ += piece.substr(0, kMaxLine - std::min(kMaxLine, unfinished_.size()));
}

void Findings::finish() {
  if (!unfinished_.empty()) line(unfinished_);
  unfinished_.clear();
  if (!unread_.empty())
    throw pipes::sdk::Error(PIPE_E_INVALID,
                            fmt::format("the registry's collector says what pipe can't read: {}", unread_),
                            "it is of a version that pipe does not know yet: collect by hand");
}

void Findings::line(std::string_view text) {
  while (text.ends_with('\r')) text.remove_suffix(1);
  for (const auto &[prefix, found] : {std::pair{kManifest, &manifests}, std::pair{kBlob, &blobs}}) {
    if (!text.starts_with(prefix)) continue;
    std::string_view named = text.substr(prefix.size());
    if (named.starts_with('{')) {  // version 3, of a manifest: {REPOSITORY DIGEST [TAG TAG]}
      named.remove_prefix(std::min(named.size(), named.find(' ') + 1));
      named = named.substr(0, named.find(' '));
    }
    if (const auto digest = oci::Digest::try_parse(named))
      found->insert(*digest);
    else
      unread_ = text;
    return;
  }
  if (text.empty()) return;
  last_.emplace_back(text);
  if (last_.size() > kLastLines) last_.pop_front();
}

std::string Findings::last_lines() const {
  std::string text;
  for (const std::string &one : last_) text += (text.empty() ? "" : "\n") + one;
  return text.empty() ? "(it wrote nothing)" : text;
}

}  // namespace gc
