#include <fmt/core.h>
#include <pipe/oci/engine_archive.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "docker_archive.hpp"
#include "file.hpp"
#include "job.hpp"
#include "layer_intake.hpp"
#include "layer_memory.hpp"
#include "layout_index.hpp"
#include "layout_source.hpp"
#include "tar.hpp"

namespace pipes::oci {
namespace {

constexpr std::size_t kMaxLayers = 1024;
constexpr std::uint64_t kMaxDocuments = 64u << 20;  // bytes, all together
constexpr std::string_view kLayerEnd = ".tar", kBlobs = "blobs/";

/// `blobs/<algorithm>/<hex>` of an OCI layout.
std::optional<Digest> blob_digest(std::string_view path) {
  if (!path.starts_with(kBlobs)) return std::nullopt;
  std::string text(path.substr(kBlobs.size()));
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  text[slash] = ':';
  return Digest::try_parse(text);
}

/// Podman names a layer `<hex of its diffID>.tar`. Docker's old form has `<another number>/layer.tar`.
std::optional<Digest> layer_digest(std::string_view path) {
  path.remove_suffix(kLayerEnd.size());
  return Digest::try_parse(fmt::format("sha256:{}", path));
}

/// The store, once the blobs of an archive are in it.
class Received : public FolderSource {
 public:
  Received(const Store &store, std::string where) : FolderSource(store.path()), where_(std::move(where)) {}
  std::string where() const override { return where_; }

 private:
  std::string where_;
};

}  // namespace

/// Each member goes one of these ways: a layer to be made, a layer to be found out, a blob to be kept as it
/// is, a document to be kept in memory, or nowhere.
struct EngineArchive::State : TarVisitor {
  State(EngineImage from, Store &to, sdk::Observer &observer)
      : engine(std::move(from)),
        where(fmt::format("the archive of {}", engine.name)),
        store(to),
        job(observer),
        wanted(engine.layers.begin(), engine.layers.end()),
        intake(to),
        tar(where, *this) {
    for (const Digest &diff_id : wanted)
      if (const Layer *known = intake.find(diff_id)) known_sizes.insert(known->size);
  }

  void begin(const TarMember &member) override {
    job.check_cancelled();
    if (member.type != TarType::file) return;  // links are names of layers that come by themselves
    if (const std::optional<Digest> digest = blob_digest(member.path)) return begin_blob(member, *digest);
    if (member.path.ends_with(kLayerEnd)) {
      const std::optional<Digest> named = layer_digest(member.path);
      return begin_layer(member, named && wanted.contains(*named) ? named : std::nullopt);
    }
    if (member.path.find('/') != std::string::npos) return;
    begin_document(member.path, member.size);
  }

  void begin_blob(const TarMember &member, const Digest &digest) {
    if (!engine.keeps_blobs && wanted.contains(digest)) return begin_layer(member, digest);
    if (!engine.keeps_blobs && digest.str() == engine.id)
      return begin_document(std::string(digest.hex()) + ".json", member.size);
    const Descriptor expected{.media_type = {}, .digest = digest, .size = member.size};
    if (store.has(expected)) return;
    blob.emplace(store.writer(expected));
    progress.emplace(job, digest.brief(), member.size);
  }

  void begin_layer(const TarMember &member, const std::optional<Digest> &diff_id) {
    if (++count > kMaxLayers)
      throw sdk::Error(PIPE_E_INVALID, fmt::format("{} has more than {} layers", where, kMaxLayers));
    if (diff_id ? intake.has(*diff_id) : has_all_layers()) return;
    progress.emplace(job, diff_id ? diff_id->brief() : fmt::format("layer {}", count), member.size);
    size = member.size;
    what = fmt::format("{}: {}", where, member.path);
    if (!diff_id && known_sizes.contains(member.size)) {
      // Most likely it is known, too. To put it aside costs less than to compress it.
      spool = nameless_file(scratch());
      hasher.emplace();
    } else {
      layer = intake.begin(what, diff_id);
    }
  }

  void begin_document(const std::string &name, std::uint64_t bytes) {
    documents_size += bytes;
    if (documents_size > kMaxDocuments)
      throw sdk::Error(PIPE_E_INVALID, fmt::format("the documents in {} are too large", where));
    document = documents.insert_or_assign(name, std::string()).first;
  }

  void content(const char *data, std::size_t bytes) override {
    if (document != documents.end()) document->second.append(data, bytes);
    if (blob) blob->write(data, bytes);
    if (layer) layer->write(data, bytes);
    if (spool) {
      write_all(spool.get(), data, bytes, scratch());
      hasher->update(data, bytes);
    }
    if (progress) progress->add(bytes);
  }

  void end() override {
    progress.reset();
    if (document != documents.end()) end_document();
    if (blob) {
      blob->commit();
      blob.reset();
      ++kept;
    }
    if (spool) end_spool();
    if (layer) intake.end(std::move(layer));
  }

  void end_document() {
    const std::optional<Digest> id = Digest::try_parse(engine.id);
    if (id && document->first == std::string(id->hex()) + ".json" &&
        digest_of(document->second, id->algorithm()) == *id)
      config = document->second;
    document = documents.end();
  }

  void end_spool() {
    const UniqueFd file = std::exchange(spool, UniqueFd());
    const Digest diff_id = hasher->finish();
    if (intake.has(diff_id)) return;
    layer = intake.begin(what, diff_id);
    Content{{}, file.get(), 0, size, what}.copy_to([this](const char *data, std::size_t bytes) {
      job.check_cancelled();
      layer->write(data, bytes);
    });
  }

  bool has_all_layers() {
    return !wanted.empty() &&
           std::ranges::all_of(wanted, [&](const Digest &each) { return intake.has(each); });
  }

  std::filesystem::path scratch() const { return store.path() / ".partial"; }

  /// The image whose blobs came as they are; nullopt: there is none, the engine has unpacked layers.
  std::optional<Descriptor> kept_image() const {
    const auto text = documents.find("index.json");
    if (text == documents.end()) return std::nullopt;
    const Json index = parse_index(text->second, where + ": index.json");
    std::optional<Descriptor> any;
    for (const Json &entry : index["manifests"]) {
      Descriptor image = read_entry(entry, where + ": index.json").descriptor;
      if (image.digest.str() == engine.id) return image;
      if (engine.keeps_blobs && !any) any = std::move(image);
    }
    return any;
  }

  /// The config that manifest.json names, where it is not the one that the engine names the image by: Podman
  /// writes another one for images in OCI's form.
  const std::string &config_by_name() const {
    const auto list = documents.find("manifest.json");
    if (list == documents.end())
      throw sdk::Error(PIPE_E_INVALID, where + " is no docker-archive: it has no manifest.json");
    const std::vector<SavedImage> images = parse_saved_images(list->second, where);
    if (images.size() != 1)
      throw sdk::Error(PIPE_E_INVALID, fmt::format("{} holds {} images", where, images.size()));
    const auto found = documents.find(images.front().config);
    if (found == documents.end())
      throw sdk::Error(PIPE_E_INVALID, fmt::format("{} is no docker-archive: it lacks the config {}", where,
                                                   images.front().config));
    return found->second;
  }

  Descriptor image() {
    if (!config)
      if (const std::optional<Descriptor> root = kept_image())
        return import_image(Received(store, where), *root, store);
    return intake.put_image(config ? *config : config_by_name(), where);
  }

  const EngineImage engine;
  const std::string where;
  Store &store;
  Job job;
  const std::set<Digest> wanted;
  std::set<std::uint64_t> known_sizes;  // of wanted layers that are remembered, unpacked
  LayerIntake intake;
  TarStream tar;
  bool stopped = false;

  std::map<std::string, std::string> documents;
  std::uint64_t documents_size = 0;
  std::optional<std::string> config;  // by the engine's ID
  std::size_t count = 0, kept = 0;    // layers; blobs

  // Of the member that is coming:
  std::map<std::string, std::string>::iterator document = documents.end();
  std::optional<BlobWriter> blob;
  std::unique_ptr<LayerWriter> layer;
  UniqueFd spool;
  std::optional<Hasher> hasher;
  std::string what;  // for errors
  std::uint64_t size = 0;
  std::optional<BlobProgress> progress;
};

EngineArchive::EngineArchive(EngineImage engine, Store &store, sdk::Observer &observer)
    : state_(std::make_unique<State>(std::move(engine), store, observer)) {}
EngineArchive::~EngineArchive() = default;

bool EngineArchive::write(const char *data, std::size_t size) {
  state_->tar.write(data, size);
  state_->stopped = state_->config && state_->has_all_layers();
  return !state_->stopped;
}

TakenImage EngineArchive::finish() {
  State &state = *state_;
  if (!state.stopped) state.tar.finish();
  state.intake.wait();
  TakenImage taken{.image = state.image(), .bytes = state.job.moved()};
  taken.made = state.intake.made() + state.kept;
  taken.remembered = state.intake.remembered();
  remember_image(state.store, state.engine.id, taken.image);
  return taken;
}

}  // namespace pipes::oci
