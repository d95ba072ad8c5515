// build: makes an image of files, without a daemon.
#include <fmt/core.h>
#include <pipe/oci/layer.hpp>
#include <pipe/oci/temporary_store.hpp>
#include <pipe/oci/transfer.hpp>
#include <pipe/plugin.hpp>

#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "target.hpp"

namespace {
using namespace pipes::sdk;
namespace oci = pipes::oci;
using build_step::Target;

struct Params {
  std::vector<std::string> layers, entrypoint, command, ports, volumes;
  std::optional<std::string> base, user, platform, owner, as, to;
  std::map<std::string, std::string> env, labels;
};
struct Outputs {
  std::string image, digest;
};
constexpr Schema kBuild{
    "build", "0.1.0", "Make an image of files",
    std::tuple{
        field(
            "layers", &Params::layers,
            {.help =
                 "Files and folders, each HOST_PATH:/IMAGE_PATH (or /PATH for the same in both) and a layer "
                 "of its own; a folder's content goes into the image's folder",
             .examples = "build/app:/usr/bin/app\nsite:/var/www\n/etc/ssl/certs/ca-certificates.crt"}),
        field("base", &Params::base,
              {.help = "The image to build upon; without it the image has nothing but the layers",
               .format = "image",
               .examples = "debian:12"}),
        field("entrypoint", &Params::entrypoint,
              {.help = "The program and its first arguments", .fallback = "[]"}),
        field("command", &Params::command,
              {.help = "Arguments that whoever runs the image may replace", .fallback = "[]"}),
        field("env", &Params::env,
              {.help = "Environment variables (never secrets: an image hides nothing)", .fallback = "{}"}),
        field("ports", &Params::ports,
              {.help = "Ports that the program listens on", .fallback = "[]", .examples = "5000\n53/udp"}),
        field("volumes", &Params::volumes, {.help = "Folders that hold data", .fallback = "[]"}),
        field("user", &Params::user,
              {.help = "user[:group] that the program runs as", .examples = "1000:1000"}),
        field("labels", &Params::labels, {.help = "Labels", .fallback = "{}"}),
        field("platform", &Params::platform,
              {.help = "os/arch[/variant]; by default this machine's",
               .format = "platform",
               .examples = "linux/arm64"}),
        field("owner", &Params::owner,
              {.help = "uid:gid of the files in the image; by default 0:0",
               .pattern = "[0-9]{1,9}:[0-9]{1,9}"}),
        field("as", &Params::as,
              {.help = "Name of the image in the store",
               .format = "image",
               .examples = "localhost:5000/app:1"}),
        field("to", &Params::to,
              {.help = "File or folder to write the image to, in place of `as`",
               .format = "image",
               .examples = "oci-archive:app.tar\ndocker-archive:app.tar:app:1\noci:images:app"})},
    std::tuple{
        field("image", &Outputs::image, {.help = "What `as` or `to` says, in full", .format = "image"}),
        field("digest", &Outputs::digest, {.help = "Digest of the image's manifest"})}};

std::vector<std::string> ports_of(const Params &p) {
  std::vector<std::string> ports;
  for (const std::string &text : p.ports) {
    const std::string number = text.substr(0, text.find('/'));
    const std::string protocol = number.size() == text.size() ? "tcp" : text.substr(number.size() + 1);
    unsigned int value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    const bool known = protocol == "tcp" || protocol == "udp" || protocol == "sctp";
    if (error != std::errc{} || end != number.data() + number.size() || value == 0 || value > 65535 || !known)
      throw Error(PIPE_E_INVALID, fmt::format("\"{}\" is no port", text), "write 5000, 5000/tcp or 53/udp");
    ports.push_back(number + "/" + protocol);
  }
  return ports;
}

oci::ImageSpec spec_of(const Params &p) {
  oci::ImageSpec spec;
  if (p.platform) spec.platform = oci::Platform::parse(*p.platform);
  spec.entrypoint = p.entrypoint;
  spec.command = p.command;
  spec.env = p.env;
  spec.labels = p.labels;
  spec.ports = ports_of(p);
  for (const std::string &volume : p.volumes) {
    if (!volume.starts_with('/'))
      throw Error(PIPE_E_INVALID, fmt::format("the volume \"{}\" is no absolute path", volume),
                  "it is a path in the image, such as /var/lib/registry");
    spec.volumes.push_back(volume);
  }
  spec.user = p.user.value_or("");
  spec.created = oci::source_date_epoch();
  return spec;
}

oci::LayerOptions layer_options(const Params &p) {
  oci::LayerOptions options{.mtime = oci::source_date_epoch(), .parents = !p.base};
  if (p.owner) {  // the pattern has seen that both are numbers
    const std::size_t colon = p.owner->find(':');
    options.uid = static_cast<std::uint32_t>(std::stoul(p.owner->substr(0, colon)));
    options.gid = static_cast<std::uint32_t>(std::stoul(p.owner->substr(colon + 1)));
  }
  return options;
}

std::optional<oci::BaseImage> base_of(const Params &p, oci::Store &store) {
  if (!p.base) return std::nullopt;
  oci::Manifest manifest = store.manifest(oci::local(oci::ImageName::parse(*p.base), store));
  if (manifest.is_index()) {
    const oci::Platform platform = p.platform ? oci::Platform::parse(*p.platform) : oci::Platform::host();
    manifest = store.manifest(oci::select_platform(manifest, platform));
  }
  std::string config = store.read(*manifest.config);
  return oci::BaseImage{std::move(manifest), std::move(config)};
}

/// The image as it would be, or is: layers are made by `make`, one after the other.
template <class Make>
oci::ImageDocuments assemble(Run &run, const Params &p, const oci::BaseImage *base, Make make) {
  if (p.layers.empty() && base == nullptr)
    throw Error(PIPE_E_INVALID, "an image without layers and without a base is empty",
                "name files in `layers`");
  std::vector<std::vector<oci::LayerFile>> sources;  // all are read before the first is made
  for (const std::string &text : p.layers) sources.push_back({oci::LayerFile::parse(text)});
  const oci::ImageSpec spec = spec_of(p);
  const oci::LayerOptions options = layer_options(p);
  std::vector<oci::Layer> layers;
  for (const std::vector<oci::LayerFile> &files : sources) {
    run.check_cancelled();
    layers.push_back(make(files, options));
    run.debug(fmt::format("layer {}: {} ({} bytes, {} unpacked)", files.front().from.string(),
                          layers.back().blob.digest.str(), layers.back().blob.size, layers.back().size));
    run.progress({.done = layers.size(), .total = sources.size(), .bytes = false, .label = "layers"});
  }
  return oci::compose_image(spec, layers, base);
}

void report(Run &run, const Target &target, const oci::Digest &digest) {
  run.output("image", target.str());
  run.output("digest", digest.str());
}

/// Says what is there now and what becomes of it; true if it has to be written.
bool judge(Run &run, const Target &target, const std::optional<oci::Descriptor> &now,
           const oci::Digest &digest) {
  if (now && now->digest == digest) {
    run.verdict(Verdict::up_to_date, fmt::format("{} is {} already", target.str(), digest.brief()));
    return false;
  }
  if (now) run.diff("digest", now->digest.str(), digest.str());
  run.verdict(now ? Verdict::change : Verdict::create, fmt::format("{} is {}", target.str(), digest.brief()));
  return true;
}

void plan(Run &run, const Params &p) {
  const Target target(p.as, p.to);
  // A plan makes no store.
  std::optional<oci::TemporaryStore> temporary;
  if (!oci::Store::exists(oci::Store::default_path())) {
    if (p.base && oci::ImageName::parse(*p.base).kind == oci::ImageName::Kind::registry)
      return run.verdict(Verdict::unknown, "there is nothing in the store yet");
    temporary.emplace();
  }
  oci::Store store = temporary ? **temporary : oci::Store(oci::Store::default_path());
  const std::optional<oci::BaseImage> base = base_of(p, store);
  const oci::ImageDocuments image = assemble(run, p, base ? &*base : nullptr, oci::measure_layer);
  const oci::Digest digest = oci::digest_of(image.manifest);
  judge(run, target, target.now(store), digest);
  report(run, target, digest);
}

void build_image(Run &run, const Params &p) {
  const Target target(p.as, p.to);
  oci::Store store(oci::Store::default_path());
  const std::optional<oci::BaseImage> base = base_of(p, store);
  const oci::ImageDocuments documents =
      assemble(run, p, base ? &*base : nullptr,
               [&](const std::vector<oci::LayerFile> &files, const oci::LayerOptions &options) {
                 return oci::build_layer(files, options, store);
               });
  store.put(documents.config, oci::kOciConfig);
  const oci::Descriptor image = store.put(documents.manifest, oci::kOciManifest);
  if (judge(run, target, target.now(store), image.digest)) target.put(run, store, image);
  report(run, target, image.digest);
}

void undo(Run &run, const Params &p) {
  const Target target(p.as, p.to);
  if (target.take_back(run))
    run.verdict(Verdict::remove, fmt::format("{}: as before", target.str()));
  else
    run.verdict(Verdict::up_to_date, "nothing of this step is left");
}

}  // namespace

PIPE_PLUGIN(kBuild, Params, plan, build_image, undo);
