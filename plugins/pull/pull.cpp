// pull: brings an image into the store.
#include <fmt/core.h>
#include <pipe/engine/engine.hpp>
#include <pipe/engine/give.hpp>
#include <pipe/engine/take.hpp>
#include <pipe/oci/params.hpp>
#include <pipe/oci/transfer_report.hpp>
#include <pipe/plugin.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "origin.hpp"

namespace {
using namespace pipes::sdk;
using namespace pull;
using Kind = oci::ImageName::Kind;

struct Params : oci::RegistryParams {
  std::string image, platform, policy = "newer", engine;
  std::vector<std::string> fallback;
  bool load = false;
};
struct Outputs : oci::TransferOutputs {
  std::string image, digest, source;
  std::int64_t size;
};
constexpr Schema kPull{
    "pull", "0.1.0", "Bring an image into the store",
    std::tuple_cat(
        std::tuple{
            field(
                "image", &Params::image,
                {.help =
                     "The image: a name in a registry, oci:, oci-archive:, docker-archive: or docker-daemon:",
                 .format = "image",
                 .examples = "registry:3\nghcr.io/org/app:1.2\noci-archive:app.tar"}),
            field("platform", &Params::platform,
                  {.help = "os/arch[/variant], or all; by default this machine's",
                   .format = "platform",
                   .fallback = "\"\"",
                   .examples = "linux/arm64\nall"}),
            field("policy", &Params::policy,
                  {.help = "newer asks the source what it has and fetches only what changed; missing asks "
                           "only where "
                           "the store has none; always fetches; never only looks into the store",
                   .fallback = "\"newer\"",
                   .choices = "newer missing always never"}),
            field("fallback", &Params::fallback,
                  {.help = "Names to try in order where the source can't be reached (not where it says no)",
                   .format = "image",
                   .fallback = "[]"}),
            field("load", &Params::load,
                  {.help = "Put it into the container engine as well", .fallback = "false"}),
            field("engine", &Params::engine,
                  {.help = "For load and docker-daemon: docker, podman, unix://…, tcp://…; by default the "
                           "one that is "
                           "found",
                   .fallback = "\"\""})},
        oci::kRegistryFields),
    std::tuple_cat(std::tuple{field("image", &Outputs::image,
                                    {.help = "Its full name, as the store has it", .format = "image"}),
                              field("digest", &Outputs::digest,
                                    {.help = "Digest of the manifest (of the index for platform = all)"}),
                              field("size", &Outputs::size, {.help = "Config and layers, bytes"}),
                              field("source", &Outputs::source,
                                    {.help = "The name that it really came from", .format = "image"})},
                   oci::kTransferOutputs)};

constexpr const char *kFallbackHint = "name a `fallback` to take instead";

/// `plan` makes no store.
std::optional<oci::Store> existing_store() {
  const std::filesystem::path path = oci::Store::default_path();
  if (!std::filesystem::exists(path / "oci-layout")) return std::nullopt;
  return oci::Store(path);
}

/// What the store has under the name, if it is whole and for the platform that is asked for.
struct Here {
  oci::Descriptor image;
  Origin origin;
  std::uint64_t size;
};
std::optional<Here> look(const oci::Store &store, const std::string &name, const Params &p) {
  const std::optional<oci::Descriptor> image = store.resolve(name);
  if (!image) return std::nullopt;
  const std::optional<std::uint64_t> size = oci::stored_size(store, *image);
  Origin origin = Origin::of(*image);
  if (!size || (!origin.source.empty() && origin.platform != p.platform)) return std::nullopt;
  return Here{*image, std::move(origin), *size};
}

// What a run remembers stands under the name of the image: with other settings the same step may pull
// another.
std::string named_key(const oci::ImageName &image) {
  return "named " + image.str();
}
std::string loaded_key(const oci::ImageName &image) {
  return "loaded " + image.str();
}

/// One pull, as `plan` (which changes nothing) or as `run`.
class Pull {
 public:
  Pull(Run &run, const Params &params, bool planning)
      : run_(run),
        p_(params),
        planning_(planning),
        name_(oci::ImageName::parse(params.image)),
        options_(params.registry_options()) {
    static_cast<void>(oci::PlatformChoice::parse(p_.platform));
    if (p_.load) static_cast<void>(engine_name());
    if (const std::string note = oci::short_name_note(params.image); !note.empty()) run_.info(note);
    if (planning)
      store_ = existing_store();
    else
      store_.emplace(oci::Store::default_path());
    if (store_) here_ = look(*store_, name_.str(), p_);
    run_.output("image", name_.str());
  }

  void go() {
    std::vector<oci::ImageName> sources{name_};
    for (const std::string &name : p_.fallback) sources.push_back(oci::ImageName::parse(name));
    if (p_.policy == "never" || (p_.policy == "missing" && here_)) {
      if (here_) return keep(Verdict::up_to_date, "is in the store");
      throw Error(PIPE_E_NOT_FOUND,
                  fmt::format("{} is not in the store, and policy = \"never\" fetches nothing", shown()),
                  "pull it once with another policy");
    }
    std::optional<Error> first;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      try {
        return from(sources[i]);
      } catch (const Error &error) {
        if (error.status == PIPE_E_CANCELLED || error.status == PIPE_E_IO) throw;
        if (i == 0 && !oci::is_unreachable(error)) throw;
        if (!first) first = error;
        if (keeps_what_is_here(sources, i)) {
          run_.warn(fmt::format("{}; the image in the store is used as it is", error.message));
          return keep(Verdict::up_to_date, "is in the store; its source can't be reached");
        }
        if (i + 1 < sources.size())
          run_.warn(fmt::format("{}; {} is tried instead", error.message, sources[i + 1].str()));
        else if (i > 0)
          run_.warn(error.message);
      }
    }
    if (sources.size() > 1)
      first->hint = "none of the fallbacks could be used either; the warnings say why";
    else
      first->hint += first->hint.empty() ? kFallbackHint : fmt::format(", or {}", kFallbackHint);
    throw *first;
  }

 private:
  /// Like Podman's `newer`: an image that is here is not given up for an older one.
  bool keeps_what_is_here(const std::vector<oci::ImageName> &sources, std::size_t failed) const {
    if (!here_ || p_.policy != "newer") return false;
    return std::none_of(sources.begin() + static_cast<std::ptrdiff_t>(failed) + 1, sources.end(),
                        [this](const oci::ImageName &later) { return later.str() == here_->origin.source; });
  }

  void from(const oci::ImageName &source) {
    std::string state;
    if (planning_ || (here_ && p_.policy != "always") || source.kind != Kind::registry)
      state = state_now(source);
    if (here_ && p_.policy != "always" && is_current(source, state))
      return keep(Verdict::up_to_date, "nothing newer");
    planning_ ? foresee(source, state) : fetch(source, state);
  }

  /// A fallback in another registry is not shown the login that is given for the image's own.
  oci::RegistryOptions options_for(const oci::ImageName &source) const {
    const bool same = source.kind == name_.kind && source.reference.registry == name_.reference.registry;
    return same ? options_ : options_.without_login();
  }

  std::string state_now(const oci::ImageName &source) {
    // A pinned image can't change.
    if (source.kind == Kind::registry && source.reference.digest && here_)
      return source.reference.digest->str();
    if (source.kind == Kind::registry) ++looked_;
    return state_of(source, options_for(source), p_.engine, run_);
  }

  bool is_current(const oci::ImageName &source, const std::string &state) const {
    // Named by another step than pull: it is what the source has, or not.
    if (here_->origin.source.empty()) return here_->image.digest.str() == state;
    return here_->origin.source == source.str() && here_->origin.state == state;
  }

  void foresee(const oci::ImageName &source, const std::string &state) {
    run_.output("source", source.str());
    if (source.kind == Kind::registry)
      run_.diff("source digest", here_ ? here_->origin.state : std::string(), state);
    run_.verdict(here_ ? Verdict::change : Verdict::create, fmt::format("would fetch {}", source.str()));
  }

  void keep(Verdict verdict, const std::string &why) {
    run_.output("digest", here_->image.digest.str());
    run_.output("size", static_cast<std::int64_t>(here_->size));
    run_.output("source", here_->origin.source.empty() ? name_.str() : here_->origin.source);
    oci::report(run_, {.image = here_->image, .requests = looked_});
    run_.verdict(verdict, fmt::format("{} {}", shown(), why));
    load(here_->image);
  }

  void fetch(const oci::ImageName &source, const std::string &state) {
    const oci::PlatformChoice choice = oci::PlatformChoice::parse(p_.platform);
    oci::TransferResult result =
        source.kind == Kind::docker_daemon ? take(source, choice) : fetch_by_state(source, state, choice);
    result.requests += looked_;
    const bool same = here_ && here_->image.digest == result.image.digest && result.moved == 0;
    const std::optional<oci::Descriptor> before = store_->resolve(name_.str());
    Origin{.source = source.str(),
           .state = source.kind == Kind::registry ? result.source_digest.str() : state,
           .platform = p_.platform}
        .write_to(result.image);
    if (!before) run_.remember(named_key(name_), name_.str());
    store_->tag(name_.str(), result.image);
    if (before && before->digest != result.image.digest)
      run_.diff("digest", before->digest.str(), result.image.digest.str());
    run_.output("digest", result.image.digest.str());
    run_.output("size", static_cast<std::int64_t>(result.size));
    run_.output("source", source.str());
    oci::report(run_, result);
    run_.verdict(
        same     ? Verdict::up_to_date
        : before ? Verdict::change
                 : Verdict::create,
        fmt::format("{} {}: {} fetched, {} there already; {}", source.str(), result.image.digest.brief(),
                    count_text(result.moved, "blob"), result.skipped, oci::requests_text(result)));
    load(result.image);
  }

  /// What a HEAD has just found is fetched by its digest, so that it is that and nothing else.
  oci::TransferResult fetch_by_state(oci::ImageName source, const std::string &state,
                                     const oci::PlatformChoice &choice) {
    if (source.kind == Kind::registry && !state.empty()) source.reference.digest = oci::Digest::parse(state);
    return oci::fetch(source, choice, options_for(source), *store_, run_);
  }

  oci::TransferResult take(const oci::ImageName &source, const oci::PlatformChoice &) {
    pipes::engine::Engine engine = pipes::engine::Engine::connect(p_.engine, run_);
    const oci::TakenImage taken = pipes::engine::take(engine, source.reference.str(), *store_, run_);
    return {.image = taken.image,
            .source_digest = taken.image.digest,
            .size = oci::stored_size(*store_, taken.image).value_or(0),
            .bytes = taken.bytes,
            .moved = taken.made,
            .skipped = taken.remembered};
  }

  /// The name that an engine can give it: a tag is needed there.
  std::string engine_name() const {
    oci::Reference reference = name_.reference;
    const bool nameless = name_.kind != Kind::registry && name_.kind != Kind::docker_daemon;
    if (nameless || reference.tag.empty())
      throw Error(PIPE_E_INVALID, fmt::format("load needs a name with a tag, and {} has none", p_.image),
                  "tag it first, or name it name:tag@digest");
    reference.digest.reset();
    return reference.str();
  }

  void load(const oci::Descriptor &image) {
    if (!p_.load) return;
    const std::string name = engine_name();
    pipes::engine::Engine engine = pipes::engine::Engine::connect(p_.engine, run_);
    const auto there = engine.image(name);
    if (there && pipes::engine::is_image(there->id, pipes::engine::manifest_for_engine(*store_, image)))
      return;
    const std::string where = engine.version().endpoint;
    if (planning_)
      return run_.verdict(there ? Verdict::change : Verdict::create,
                          fmt::format("would load {} into {}", shown(), where));
    if (!there) run_.remember(loaded_key(name_), name);
    pipes::engine::give(engine, *store_, image, name, run_);
    run_.verdict(there ? Verdict::change : Verdict::create, fmt::format("{} loaded into {}", shown(), where));
  }

  std::string shown() const {
    return name_.kind == Kind::registry ? name_.reference.familiar() : name_.str();
  }

  Run &run_;
  const Params &p_;
  const bool planning_;
  const oci::ImageName name_;
  const oci::RegistryOptions options_;
  std::uint64_t looked_ = 0;  // requests that only asked what the source has
  std::optional<oci::Store> store_;
  std::optional<Here> here_;
};

void plan(Run &run, const Params &p) {
  Pull(run, p, true).go();
}
void pull_image(Run &run, const Params &p) {
  Pull(run, p, false).go();
}

void undo(Run &run, const Params &p) {
  run.verdict(Verdict::up_to_date, "nothing of it is left");
  const oci::ImageName name = oci::ImageName::parse(p.image);
  if (const std::optional<std::string> loaded = run.recall(loaded_key(name))) {
    pipes::engine::Engine engine = pipes::engine::Engine::connect(p.engine, run);
    try {
      engine.remove_image(*loaded);
      run.verdict(Verdict::remove, *loaded + " taken out of the engine");
    } catch (const Error &error) {
      if (error.status == PIPE_E_CANCELLED) throw;
      if (error.status != PIPE_E_NOT_FOUND)
        run.warn(fmt::format("{} stays in the engine: {}", *loaded, error.message));
    }
    run.forget(loaded_key(name));
  }
  const std::optional<std::string> named = run.recall(named_key(name));
  if (!named) return;
  std::optional<oci::Store> store = existing_store();
  if (store && store->untag(*named)) run.verdict(Verdict::remove, *named + " taken out of the store");
  run.forget(named_key(name));
}

}  // namespace

PIPE_PLUGIN(kPull, Params, plan, pull_image, undo);
