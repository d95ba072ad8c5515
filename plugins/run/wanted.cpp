#include "wanted.hpp"

#include <pipe/engine/host.hpp>
#include <pipe/engine/spec.hpp>
#include <pipe/oci/reference.hpp>
#include <pipe/oci/transfer.hpp>

#include <fmt/core.h>
#include <unistd.h>

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

}  // namespace

engine::ContainerSpec container_spec(const Params &params, const engine::Version &version) {
  engine::ContainerSpec spec;
  spec.name = params.name;
  spec.restart = params.restart.value_or("");
  spec.network = params.network;
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

ImageSource find_image(const std::string &text) {
  using Kind = oci::ImageName::Kind;
  const oci::ImageName name = oci::ImageName::parse(text);
  ImageSource source;
  const bool in_a_file = name.kind != Kind::registry && name.kind != Kind::docker_daemon;
  if (!in_a_file) source.name = engine_name(name.reference);
  if (name.kind == Kind::docker_daemon) return source;

  const std::filesystem::path folder = oci::Store::default_path();
  std::error_code error;
  if (!in_a_file && !std::filesystem::exists(folder, error)) return source;
  source.store.emplace(folder);
  source.stored = in_a_file ? oci::local(name, *source.store) : source.store->resolve(name.reference.str());
  if (!source.stored) {
    source.store.reset();
    return source;
  }
  source.manifest = engine::manifest_for_engine(*source.store, *source.stored);
  if (in_a_file) source.name = fmt::format("localhost/pipe:{}", source.manifest->digest.hex().substr(0, 12));
  return source;
}

std::optional<std::string> id_in_engine(const ImageSource &source, engine::Engine &engine) {
  const auto image = engine.image(source.name);
  if (!image || (source.manifest && !engine::is_image(image->id, *source.manifest))) return std::nullopt;
  return image->id;
}

}  // namespace run_step
