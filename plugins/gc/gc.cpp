// gc: garbage collection of a Distribution registry in a container, safe against pushes that are under way.
#include <pipe/engine/host.hpp>
#include <pipe/engine/sharing.hpp>
#include <pipe/oci/canary.hpp>
#include <pipe/oci/params.hpp>
#include <pipe/oci/repositories.hpp>
#include <pipe/plugin.hpp>
#include <pipe/text.hpp>

#include <fmt/core.h>

#include "collector.hpp"
#include "maintenance.hpp"

namespace {

using namespace pipes::sdk;
namespace oci = pipes::oci;
namespace engine = pipes::engine;
using gc::Findings;

struct Params : oci::RegistryParams {
  std::string container, engine, registry, config, canary_repository;
  bool delete_untagged = false;
  Duration ready_timeout{};
};

struct Outputs {
  std::int64_t blobs = 0, manifests = 0, freed = 0;
};

constexpr Schema kGc{
    "gc", "0.1.0", "Collect the garbage of a registry in a container, and free its space",
    std::tuple_cat(
        std::tuple{
            field("container", &Params::container,
                  {.help = "The registry's container, as its engine names it (CNCF Distribution, 2 or 3)",
                   .examples = "registry"}),
            field(
                "engine", &Params::engine,
                {.help =
                     "Container engine: docker, podman, or its address; by default the one `run` would take",
                 .fallback = "\"\""}),
            field("registry", &Params::registry,
                  {.help = "Where the registry answers, as host[:port]; by default at its published port",
                   .fallback = "\"\"",
                   .examples = "registry.lan:5000"}),
            field("delete_untagged", &Params::delete_untagged,
                  {.help =
                       "Also what no tag names. Refused where that would break images for several platforms",
                   .fallback = "false"}),
            field(
                "config", &Params::config,
                {.help = "The registry's configuration, in the container; by default as its command names it",
                 .fallback = "\"\"",
                 .examples = "/etc/distribution/config.yml"}),
            field("ready_timeout", &Params::ready_timeout,
                  {.help = "How long the registry may take until it answers again",
                   .min = 0,
                   .fallback = "\"60s\""}),
            field("canary_repository", &Params::canary_repository,
                  {.help = "Repository that a tiny image is pushed to, and stays in, to see that the "
                           "registry works",
                   .fallback = "\"pipe-canary\""})},
        oci::kRegistryFields),
    std::tuple{field("blobs", &Outputs::blobs, {.help = "Blobs that were deleted"}),
               field("manifests", &Outputs::manifests, {.help = "Manifests without a tag that were deleted"}),
               field("freed", &Outputs::freed,
                     {.help = "Bytes that were freed, as far as their files can be seen"})}};

constexpr const char *kTag = "gc";  // of the canary

std::string address_of(const Params &p, const engine::Container &container, const engine::Version &version) {
  if (!p.registry.empty()) return p.registry;
  for (const engine::PortBinding &port : container.bound_ports)
    if (port.container.ends_with("/tcp") && !port.host_port.empty()) return engine::reach(port, version.host);
  throw Error(PIPE_E_INVALID, fmt::format("the container {} publishes no port", p.container),
              "give `registry`: where it answers, as host:port");
}

/// One collection.
class Collection {
 public:
  Collection(Run &run, const Params &p)
      : run_(run),
        p_(p),
        steady_(run),
        engine_(engine::Engine::connect(p.engine, steady_)),
        maintenance_(engine_, steady_, p.container, p.ready_timeout) {}

  void plan() {
    if (maintenance_.left_over())
      return run_.verdict(
          Verdict::change,
          fmt::format("{} is read-only, as a collection was killed: make it writable, and go on",
                      p_.container));
    const engine::Container container = maintenance_.container();
    refuse_beside_another(container);
    const Findings found = look(container);
    const std::uint64_t bytes = size_of(container.id, container.spec, found);
    tell(found, bytes);
    if (is_clean(found)) return clean();
    run_.verdict(Verdict::change, fmt::format("{} to be deleted; {} will be read-only meanwhile",
                                              what(found, bytes), p_.container));
  }

  void run() {
    end_what_was_killed();
    const engine::Container container = maintenance_.container();
    refuse_beside_another(container);
    const Findings found = look(container);
    if (is_clean(found)) {
      tell(found, 0);
      return clean();
    }
    oci::Registry registry(address_of(p_, container, engine_.version()), p_.registry_options(), steady_);
    if (p_.delete_untagged) refuse_to_break(registry, found);
    fly(registry, "before the collection");
    const std::uint64_t before = size_of(container.id, container.spec, found);
    Findings deleted;
    std::uint64_t after = 0;
    run_.remember(stand_in_note(), "made");  // so that `down --dry-run` knows, should this be killed
    guarded([&] {
      const std::string id = maintenance_.begin(container);
      check_read_only(registry);
      deleted = collect(id, container.spec, false);
      after = size_of(id, container.spec, found);
    });
    fly(registry, "after the collection");
    const std::uint64_t freed = before > after ? before - after : 0;
    tell(deleted, freed);
    run_.verdict(Verdict::change, fmt::format("{} deleted", what(deleted, freed)));
  }

  void undo() {
    if (!maintenance_.left_over()) {
      run_.forget(stand_in_note());
      return run_.verdict(Verdict::up_to_date, "what was collected is gone; there is nothing to take back");
    }
    steady_.hold(true);
    end_maintenance();
    run_.verdict(Verdict::change, fmt::format("{} is writable again", p_.container));
  }

 private:
  void end_what_was_killed() {
    if (!maintenance_.left_over()) return;
    run_.warn(fmt::format("an earlier collection was killed and left {} read-only: it becomes writable again",
                          p_.container));
    end_maintenance();
  }

  std::string stand_in_note() const { return fmt::format("container {}.gc", p_.container); }

  void end_maintenance() {
    maintenance_.end();
    run_.forget(stand_in_note());
  }

  /// Whatever comes of `body`, the registry is writable after.
  template <class Body>
  void guarded(Body body) {
    try {
      body();
    } catch (Error &error) {
      steady_.hold(true);
      try {
        end_maintenance();
        error.message += fmt::format("\n{} is as it was before, and writable", p_.container);
      } catch (const Error &worse) {
        error.message +=
            fmt::format("\nand {} could not be made writable again: {}", p_.container, worse.message);
        error.hint = worse.hint.empty()
                         ? fmt::format("start {0}, and remove {0}.gc; or run this again", p_.container)
                         : worse.hint;
      }
      throw;
    }
    steady_.hold(true);
    end_maintenance();
    steady_.hold(false);
    run_.check_cancelled();
  }

  Findings look(const engine::Container &container) { return collect(container.id, container.spec, true); }

  Findings collect(const std::string &id, const engine::ContainerSpec &spec, bool dry) {
    std::vector<std::string> command = gc::collect_command(spec, p_.config);
    if (p_.delete_untagged) command.insert(command.begin() + 2, "--delete-untagged");
    if (dry) command.insert(command.begin() + 2, "--dry-run");
    Findings found;
    const int code = engine_.exec(id, command, [&](std::string_view piece) {
      found.feed(piece);
      steady_.check_cancelled();
    });
    found.finish();
    if (code != 0)
      throw Error(PIPE_E_IO,
                  fmt::format("`{} garbage-collect` in {} ended with {}:\n{}", command.front(), p_.container,
                              code, found.last_lines()),
                  code == 126 || code == 127
                      ? "is this a container of CNCF Distribution?"
                      : "mend what it names; `config` says which configuration it reads");
    return found;
  }

  /// Another registry on the same storage goes on writing meanwhile, and remembers blobs that are gone.
  void refuse_beside_another(const engine::Container &container) {
    for (const engine::Mount &mount : container.spec.mounts)
      if (const auto others = engine::writers_beside(engine_, container.name, mount); !others.empty())
        throw Error(
            PIPE_E_INVALID,
            fmt::format("{} writes to {} at {}, as {} does: what is pushed there meanwhile would be lost",
                        others.front(), mount.source, mount.target, container.name),
            fmt::format("stop {} first, and start it again afterwards", others.front()));
  }

  /// Distribution 2 takes the images of an index for untagged, and what refers to an image as well.
  void refuse_to_break(oci::Registry &registry, const Findings &found) {
    if (found.manifests.empty()) return;
    for (const std::string &repository : oci::choose_repositories(registry, {"*"})) {
      std::vector<std::string> tags;
      try {
        tags = registry.tags(repository);
      } catch (const Error &error) {
        if (error.status != PIPE_E_NOT_FOUND) throw;
      }
      for (const std::string &tag : tags) {
        run_.check_cancelled();
        const auto image = registry.head_manifest(repository, tag);
        if (!image || (image->media_type != oci::kOciIndex && image->media_type != oci::kDockerList))
          continue;
        for (const oci::Descriptor &child : registry.manifest(repository, image->digest.str()).manifests)
          if (found.manifests.contains(child.digest))
            throw Error(
                PIPE_E_DENIED,
                fmt::format("delete_untagged would break {}/{}:{}: this registry takes the images of an "
                            "index for untagged, {} is one of them. Nothing was deleted",
                            registry.host(), repository, tag, child.digest.brief()),
                "collect without delete_untagged, and let `prune` delete what is old; registry:3 knows "
                "better");
      }
    }
  }

  void fly(oci::Registry &registry, const char *when) {
    std::string stage;
    try {
      registry.expect_push(p_.canary_repository);
      oci::fly(registry, p_.canary_repository, kTag, oci::make_canary(kTag), stage);
    } catch (Error &error) {
      error.message = fmt::format("the canary {}/{}:{} {}: {} failed: {}", registry.host(),
                                  p_.canary_repository, kTag, when, stage, error.message);
      throw;
    }
  }

  /// That the stand-in refuses a push is seen, not believed: another thing may answer at that address.
  void check_read_only(oci::Registry &registry) {
    std::string stage;
    try {
      oci::fly(registry, p_.canary_repository, kTag, oci::make_canary(kTag), stage);
    } catch (const Error &error) {
      if (error.status == PIPE_E_DENIED) return;
      throw;
    }
    throw Error(PIPE_E_MISMATCH,
                fmt::format("{} still takes pushes while {} should be read-only: nothing was collected",
                            registry.host(), p_.container),
                "does something else answer there? `registry` says where this one does");
  }

  /// Of those of the blobs whose files can be seen: with another storage than files, none.
  std::uint64_t size_of(const std::string &id, const engine::ContainerSpec &spec, const Findings &found) {
    std::uint64_t sum = 0;
    for (const oci::Digest &blob : found.blobs) {
      steady_.check_cancelled();
      sum += engine_.file_size(id, gc::blob_file(spec, blob)).value_or(0);
    }
    return sum;
  }

  static bool is_clean(const Findings &found) { return found.blobs.empty() && found.manifests.empty(); }

  void clean() { run_.verdict(Verdict::up_to_date, fmt::format("{} has no garbage", p_.container)); }

  static std::string what(const Findings &found, std::uint64_t bytes) {
    std::string text = count_text(found.blobs.size(), "blob");
    if (!found.manifests.empty()) text += " and " + count_text(found.manifests.size(), "manifest");
    if (bytes > 0) text += fmt::format(" ({})", bytes_text(bytes));
    return text;
  }

  void tell(const Findings &found, std::uint64_t freed) {
    run_.output("blobs", static_cast<std::int64_t>(found.blobs.size()));
    run_.output("manifests", static_cast<std::int64_t>(found.manifests.size()));
    run_.output("freed", static_cast<std::int64_t>(freed));
  }

  Run &run_;
  const Params &p_;
  gc::Steady steady_;
  engine::Engine engine_;
  gc::Maintenance maintenance_;
};

void plan(Run &run, const Params &p) {
  Collection(run, p).plan();
}
void collect_garbage(Run &run, const Params &p) {
  Collection(run, p).run();
}
void undo(Run &run, const Params &p) {
  Collection(run, p).undo();
}

}  // namespace

PIPE_PLUGIN(kGc, Params, plan, collect_garbage, undo);
