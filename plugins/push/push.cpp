// push: sends an image of the store to a registry, a layout, an archive or an engine.
#include <fmt/core.h>
#include <pipe/engine/engine.hpp>
#include <pipe/engine/give.hpp>
#include <pipe/engine/take.hpp>
#include <pipe/oci/inspect.hpp>
#include <pipe/oci/naming.hpp>
#include <pipe/oci/params.hpp>
#include <pipe/oci/pushed.hpp>
#include <pipe/oci/transfer_report.hpp>
#include <pipe/plugin.hpp>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace {
namespace oci = pipes::oci;
namespace engine = pipes::engine;
using namespace pipes::sdk;
using Kind = oci::ImageName::Kind;

struct Params : oci::RegistryParams {
  std::string image, to, platform, engine;
};
struct Outputs : oci::TransferOutputs {
  std::string image, digest;
};
constexpr Schema kPush{
    "push", "0.1.0", "Send an image to a registry",
    std::tuple_cat(
        std::tuple{
            field(
                "image", &Params::image,
                {.help =
                     "The image: a name in the store, or oci:, oci-archive:, docker-archive:, docker-daemon:",
                 .format = "image",
                 .examples = "localhost:5000/app:1.2\noci-archive:app.tar"}),
            field("to", &Params::to,
                  {.help = "Where to; by default the registry that the name itself says",
                   .format = "image",
                   .fallback = "\"\"",
                   .examples = "registry.lan:5000/app:1.2"}),
            field("platform", &Params::platform,
                  {.help = "Of an image for several platforms only this one; by default all of it",
                   .format = "platform",
                   .fallback = "\"\"",
                   .examples = "linux/arm64"}),
            field(
                "engine", &Params::engine,
                {.help =
                     "For docker-daemon: docker, podman, unix://…, tcp://…; by default the one that is found",
                 .fallback = "\"\""})},
        oci::kRegistryFields),
    std::tuple_cat(std::tuple{field("image", &Outputs::image,
                                    {.help = "The full name that it has there", .format = "image"}),
                              field("digest", &Outputs::digest, {.help = "The digest that it has there"})},
                   oci::kTransferOutputs)};

/// What this step remembers of the name that it gave to an image out of an engine.
std::string named_key(const std::string &name) {
  return "named " + name;
}

/// One push, as `plan` (which changes nothing) or as `run`.
class Push {
 public:
  Push(Run &run, const Params &params)
      : run_(run),
        p_(params),
        from_(oci::ImageName::parse(params.image)),
        to_(oci::ImageName::parse(params.to.empty() ? params.image : params.to)),
        options_(params.registry_options()) {
    if (p_.to.empty() && from_.kind != Kind::registry)
      throw Error(PIPE_E_INVALID, fmt::format("{} does not say which registry to push to", p_.image),
                  "give `to` a name such as localhost:5000/app:1");
    run_.output("image", to_.str());
  }

  void plan() {
    if (!std::filesystem::exists(oci::Store::default_path() / "oci-layout"))
      return run_.verdict(Verdict::unknown, "there is nothing in the store yet");
    store_.emplace(oci::Store::default_path());
    if (from_.kind != Kind::registry)
      return run_.verdict(Verdict::unknown, fmt::format("known once {} is read", from_.str()));
    if (!store_->resolve(from_.str()) && !from_.reference.digest)
      return run_.verdict(Verdict::unknown,
                          fmt::format("{} is not in the store yet", from_.reference.familiar()));
    const oci::Descriptor image = chosen(oci::local(from_, *store_));
    run_.output("digest", image.digest.str());
    foresee(image);
  }

  void push() {
    store_.emplace(oci::Store::default_path());
    const oci::Descriptor image = chosen(read_image());
    if (to_.kind == Kind::docker_daemon) return give(image);
    const std::string file_before = file_digest();
    std::optional<oci::Digest> before;
    const oci::TransferResult result = oci::send(
        *store_, image, to_, options_, run_, [&](const std::optional<oci::Digest> &tag, const oci::Digest &) {
          before = tag;
          oci::Pushed{
              .name = to_.str(), .before = tag ? tag->str() : std::string(), .digest = image.digest.str()}
              .remember(run_);
        });
    const bool existed = before.has_value() || !file_before.empty();
    const bool same = result.unchanged || (!file_before.empty() && file_before == file_digest());
    if (from_.kind == Kind::docker_daemon && to_.kind == Kind::registry) keep(image);
    report(result);
    if (same) return run_.verdict(Verdict::up_to_date, to_.str() + " is there already");
    if (before) run_.diff("digest", before->str(), image.digest.str());
    run_.verdict(existed ? Verdict::change : Verdict::create,
                 fmt::format("{} {}: {} sent, {} mounted, {} there already; {}", to_.str(),
                             image.digest.brief(), count_text(result.moved, "blob"), result.mounted,
                             result.skipped, oci::requests_text(result)));
  }

 private:
  oci::Descriptor read_image() {
    if (from_.kind != Kind::docker_daemon) return oci::local(from_, *store_);
    engine::Engine there = engine::Engine::connect(p_.engine, run_);
    return engine::take(there, from_.reference.str(), *store_, run_).image;
  }

  /// Gives it the name here that it has there: without one, gc would take away what need not be read and
  /// compressed again.
  void keep(const oci::Descriptor &image) {
    if (to_.reference.digest) return;
    const std::string name = to_.reference.str();
    oci::NameChange change{store_->resolve(name), image};
    if (change.before && change.before->digest == image.digest) return;
    if (const std::optional<std::string> earlier = run_.recall(named_key(name)))
      if (const auto known = oci::NameChange::parse(*earlier)) change.before = known->before;
    run_.remember(named_key(name), change.str());
    store_->tag(name, image);
  }

  oci::Descriptor chosen(const oci::Descriptor &image) const {
    const oci::PlatformChoice choice = oci::PlatformChoice::parse(p_.platform);
    if (p_.platform.empty() || choice.all) return image;
    const oci::Manifest manifest = store_->manifest(image);
    if (manifest.is_index()) return oci::select_platform(manifest, choice.platform);
    const oci::Inspection found = oci::inspect(*store_, image, {});
    const std::string misfit = choice.platform.misfit(from_.str(), found.images.front().platform);
    if (!misfit.empty()) run_.warn(misfit);
    return image;
  }

  void foresee(const oci::Descriptor &image) {
    if (to_.kind == Kind::docker_daemon) {
      engine::Engine there = engine::Engine::connect(p_.engine, run_);
      const auto found = there.image(to_.reference.str());
      if (found && engine::is_image(found->id, engine::manifest_for_engine(*store_, image)))
        return run_.verdict(Verdict::up_to_date, to_.str() + " is there already");
      return run_.verdict(found ? Verdict::change : Verdict::create, "would load " + to_.str());
    }
    if (to_.kind != Kind::registry)
      return run_.verdict(std::filesystem::exists(to_.path) ? Verdict::change : Verdict::create,
                          "would write " + to_.str());
    const std::optional<oci::Descriptor> there = oci::head_target(to_.reference, options_, run_);
    if (there && there->digest == image.digest)
      return run_.verdict(Verdict::up_to_date, to_.str() + " is there already");
    run_.diff("digest", there ? there->digest.str() : std::string(), image.digest.str());
    run_.verdict(there ? Verdict::change : Verdict::create, "would push " + to_.str());
  }

  void give(const oci::Descriptor &image) {
    engine::Engine there = engine::Engine::connect(p_.engine, run_);
    const std::string name = to_.reference.str();
    const auto before = there.image(name);
    const bool same = before && engine::is_image(before->id, engine::manifest_for_engine(*store_, image));
    oci::TransferResult result;
    result.image = image;
    if (!same) {
      engine::give(there, *store_, image, name, run_);
      result.bytes = oci::stored_size(*store_, image).value_or(0);
    }
    report(result);
    run_.verdict(
        same     ? Verdict::up_to_date
        : before ? Verdict::change
                 : Verdict::create,
        fmt::format("{} {} {}", name, same ? "is already in" : "loaded into", there.version().endpoint));
  }

  /// An archive is written anew each time, and the same image gives the same bytes. Empty: no such file.
  std::string file_digest() const {
    if (to_.kind != Kind::oci_archive && to_.kind != Kind::docker_archive) return {};
    std::ifstream file(to_.path, std::ios::binary);
    if (!file) return {};
    oci::Hasher hasher;
    std::vector<char> piece(1u << 20);
    while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) || file.gcount() > 0)
      hasher.update(piece.data(), static_cast<std::size_t>(file.gcount()));
    return hasher.finish().str();
  }

  void report(const oci::TransferResult &result) {
    run_.output("digest", result.image.digest.str());
    oci::report(run_, result);
  }

  Run &run_;
  const Params &p_;
  const oci::ImageName from_, to_;
  const oci::RegistryOptions options_;
  std::optional<oci::Store> store_;
};

void plan(Run &run, const Params &p) {
  Push(run, p).plan();
}
void push_image(Run &run, const Params &p) {
  Push(run, p).push();
}

void undo(Run &run, const Params &p) {
  run.verdict(Verdict::up_to_date, "nothing of it is left");
  const std::string to = oci::ImageName::parse(p.to.empty() ? p.image : p.to).str();
  if (const std::optional<std::string> named = run.recall(named_key(to))) {
    const std::optional<oci::NameChange> change = oci::NameChange::parse(*named);
    if (change && oci::Store::exists(oci::Store::default_path())) {
      oci::Store store(oci::Store::default_path());
      if (change->take_back(to, store)) run.verdict(Verdict::remove, to + " taken out of the store");
    }
    run.forget(named_key(to));
  }
  const std::optional<oci::Pushed> pushed = oci::Pushed::recall(run, to);
  if (!pushed) return;
  Params left = p;
  left.drop_half_login();
  if (pushed->take_back(run, left.registry_options())) pushed->forget(run);
}

}  // namespace

PIPE_PLUGIN(kPush, Params, plan, push_image, undo);
