// From anywhere to anywhere: puts together the ends of a copy.
#include <pipe/oci/copy.hpp>

#include <fmt/core.h>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/place.hpp>
#include <pipe/oci/temporary_store.hpp>

#include <exception>
#include <map>
#include <mutex>
#include <system_error>

#include "image_copy.hpp"
#include "registries_conf.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;
using Kind = ImageName::Kind;

fs::path folder_of(const std::string &file) {
  const fs::path parent = fs::path(file).parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

/// An archive that an image is read from.
struct Archive {
  std::unique_ptr<TemporaryStore> scratch;
  std::unique_ptr<LayoutSource> layout;
  std::string reference;
};

Archive open_archive(const ImageName &from) {
  auto tar = std::make_unique<TarSource>(from.path, folder_of(from.path));
  if (tar->open("oci-layout")) return {.scratch = {}, .layout = std::move(tar), .reference = from.ref};
  // Of an old docker-archive the layers are yet to be compressed.
  auto scratch = std::make_unique<TemporaryStore>(folder_of(from.path));
  Store &store = **scratch;
  const Digest image = import_archive(from.path, from.ref, store).digest;
  return {.scratch = std::move(scratch),
          .layout = std::make_unique<FolderSource>(store.path()),
          .reference = image.str()};
}

}  // namespace

struct Copier::State {
  State(RegistryOptions from, RegistryOptions to, sdk::Observer &observer)
      : from_options(std::move(from)), to_options(std::move(to)), whole(observer) {}

  /// One object a host and a login, so that a token, a scheme and a pace are found once.
  Registry &at(const std::string &host, const RegistryOptions &options) {
    const std::lock_guard lock(mutex);
    for (const auto &[known, registry] : registries)
      if (known.first == host && known.second == options) return *registry;
    registries.emplace_back(std::pair(host, options), std::make_unique<Registry>(host, options, whole));
    return *registries.back().second;
  }
  BlobBoard &board(const std::string &target) {
    const std::lock_guard lock(mutex);
    return boards[target];
  }
  /// One object a folder, so that its names are read once for many images.
  const FolderSource &folder(const std::string &path) {
    const std::lock_guard lock(mutex);
    std::unique_ptr<FolderSource> &known = folders[path];
    if (!known) known = std::make_unique<FolderSource>(path);
    return *known;
  }
  /// And one a store, so that many names are written at once.
  Store &store(const std::string &path) {
    const std::lock_guard lock(mutex);
    const auto known = stores.find(path);
    if (known != stores.end()) return known->second;
    std::error_code ignored;
    fs::create_directories(path, ignored);  // as the umask lets; a store of our own is for nobody else
    return stores.emplace(path, Store(path)).first->second;
  }
  void finish() {
    const std::lock_guard lock(mutex);
    for (auto &[path, store] : stores) store.sync();
    stores.clear();
  }
  Traffic traffic() {
    const std::lock_guard lock(mutex);
    Traffic sum;
    for (const auto &[key, registry] : registries) {
      sum.requests += registry->traffic().requests;
      sum.retries += registry->traffic().retries;
    }
    return sum;
  }

  /// What fails at the target is not a mirror's fault, and another source does not help.
  struct TargetFailed {
    std::exception_ptr error;
  };

  template <class Work>
  auto from_registry(const Reference &reference, const ImageTarget &to, Work work) {
    try {
      return ask_in_turn(
          reference, from_options, whole, [&](const Endpoint &place, const RegistryOptions &how) {
            RegistrySource source(at(place.reference.registry, how), place.reference.repository, whole);
            try {
              return work(source, place.reference.identifier());
            } catch (const sdk::Error &) {
              if (source.failed() || !to.failed()) throw;
              throw TargetFailed{std::current_exception()};
            }
          });
    } catch (const TargetFailed &failure) {
      std::rethrow_exception(failure.error);
    }
  }

  RegistryTarget to_registry(const Reference &reference) {
    const auto [place, how] = place_of(reference, to_options);
    return RegistryTarget(at(place.registry, how), place.repository, board(place.registry));
  }

  template <class Work>
  auto from_any(const ImageName &from, const ImageTarget &to, Work work) {
    if (from.kind == Kind::registry) return from_registry(from.reference, to, work);
    if (from.kind == Kind::oci_layout) {
      LayoutImages images(folder(from.path), from.ref);
      return work(images, from.ref);
    }
    const Archive archive = open_archive(from);
    LayoutImages images(*archive.layout, from.ref);
    return work(images, archive.reference);
  }

  TransferResult copy(const ImageName &from, ImageTarget &to, const std::string &tag,
                      const std::optional<Digest> &wanted, const CopyOptions &options,
                      const BeforeChange &before_change) {
    const Traffic before = traffic();
    TransferResult result = from_any(from, to, [&](ImageSource &source, const std::string &reference) {
      Job job(&whole);
      return ImageCopy(source, to, options, job).run(reference, tag, wanted, before_change);
    });
    warn_of_platform(from.str(), options, result, whole);
    result.requests = traffic().requests - before.requests;
    result.retries = traffic().retries - before.retries;
    return result;
  }

  const RegistryOptions from_options, to_options;
  Job whole;
  std::mutex mutex;
  std::vector<std::pair<std::pair<std::string, RegistryOptions>, std::unique_ptr<Registry>>> registries;
  std::map<std::string, BlobBoard> boards;  // by registry or folder
  std::map<std::string, std::unique_ptr<FolderSource>> folders;
  std::map<std::string, Store> stores;
};

Copier::Copier(RegistryOptions from, RegistryOptions to, sdk::Observer &observer)
    : state_(std::make_unique<State>(std::move(from), std::move(to), observer)) {}
Copier::~Copier() = default;

TransferResult Copier::copy(const ImageName &from, const ImageName &to, const CopyOptions &options,
                            const BeforeChange &before_change) {
  switch (to.kind) {
    case Kind::registry: {
      RegistryTarget target = state_->to_registry(to.reference);
      return state_->copy(from, target, to.reference.tag, to.reference.digest, options, before_change);
    }
    case Kind::oci_layout: {
      StoreTarget target(state_->store(to.path), state_->board(to.path),
                         options.attached_tags ? std::string() : repository_of(to.ref));
      TransferResult result = state_->copy(from, target, to.ref, {}, options, before_change);
      if (to.ref.empty()) set_images(to.path, {{{}, result.image}});
      return result;
    }
    case Kind::oci_archive:
    case Kind::docker_archive: {
      TemporaryStore scratch(folder_of(to.path));
      BlobBoard board;
      StoreTarget target(*scratch, board);
      CopyOptions alone = options;
      alone.referrers = Referrers::none;  // an archive holds one image
      TransferResult result = state_->copy(from, target, {}, {}, alone, before_change);
      if (to.kind == Kind::oci_archive)
        export_oci_archive(*scratch, result.image, to.ref, to.path);
      else
        export_docker_archive(*scratch, result.image,
                              to.ref.empty() ? std::vector<std::string>() : std::vector{to.ref}, to.path);
      return result;
    }
    case Kind::docker_daemon:
      break;
  }
  throw sdk::Error(PIPE_E_INVALID, to.str() + " lies in an engine, which is not asked here");
}

CopyForecast Copier::forecast(const ImageName &from, const ImageName &to, const CopyOptions &options) {
  const auto forecast = [&](ImageTarget &target, const std::string &tag) {
    return state_->from_any(from, target, [&](ImageSource &source, const std::string &reference) {
      Job job(&state_->whole);
      return ImageCopy(source, target, options, job).forecast(reference, tag);
    });
  };
  if (to.kind == Kind::registry) {
    RegistryTarget target = state_->to_registry(to.reference);
    return forecast(target, to.reference.tag);
  }
  if (to.kind == Kind::oci_layout && fs::exists(fs::path(to.path) / "oci-layout")) {
    StoreTarget target(state_->store(to.path), state_->board(to.path));
    return forecast(target, to.ref);
  }
  NoTarget nothing;
  return forecast(nothing, {});
}

void Copier::finish() {
  state_->finish();
}

std::vector<std::string> Copier::tags(const Reference &repository) {
  return ask_in_turn(repository, state_->from_options, state_->whole,
                     [&](const Endpoint &place, const RegistryOptions &how) {
                       return state_->at(place.reference.registry, how).tags(place.reference.repository);
                     });
}

Traffic Copier::traffic() const {
  return state_->traffic();
}

Copier::Target Copier::source(const Reference &repository) {
  const Endpoint place = RegistriesConf::load().to_pull(repository).back();
  return {.registry = state_->at(place.reference.registry, options_for(place, state_->from_options)),
          .repository = place.reference.repository};
}

Copier::Target Copier::target(const Reference &repository) {
  auto [place, how] = place_of(repository, state_->to_options);
  return {.registry = state_->at(place.registry, how), .repository = std::move(place.repository)};
}

}  // namespace pipes::oci
