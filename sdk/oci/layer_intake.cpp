#include "layer_intake.hpp"

#include <fmt/core.h>
#include <pipe/error.hpp>

#include <chrono>
#include <utility>
#include <vector>

#include "descriptor.hpp"
#include "layer_memory.hpp"

namespace pipes::oci {
namespace {

constexpr std::string_view kOciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
constexpr std::size_t kMagic = 6;       // bytes that tell a compression
constexpr std::size_t kMaxPending = 2;  // layers whose last bytes are on their way to the disk

}  // namespace

LayerWriter::LayerWriter(Store &store, Workers &workers, std::string what, std::optional<Digest> expected)
    : store_(store),
      workers_(workers),
      what_(std::move(what)),
      expected_(std::move(expected)),
      unpacked_(expected_ ? expected_->algorithm() : "sha256") {}
LayerWriter::~LayerWriter() = default;

void LayerWriter::begin() {
  const Compression compression = detect_compression(start_);
  blob_.emplace(store_.writer(compression == Compression::zstd ? kOciLayerZstd : kOciLayerGzip));
  const auto keep = [this](const char *data, std::size_t size) { blob_->write(data, size); };
  if (compression == Compression::none) {
    gzip_ = std::make_unique<GzipWriter>(keep, &workers_);
  } else {
    const auto measure = [this](const char *data, std::size_t size) {
      unpacked_.update(data, size);
      size_ += size;
    };
    decoder_ = make_decoder(compression, measure, what_);
  }
  const std::string start = std::exchange(start_, {});
  write(start.data(), start.size());
}

void LayerWriter::write(const char *data, std::size_t size) {
  if (gzip_) {
    gzip_->write(data, size);  // the workers begin with it while it is hashed
    unpacked_.update(data, size);
    size_ += size;
  } else if (decoder_) {
    blob_->write(data, size);
    decoder_->write(data, size);
  } else {
    start_.append(data, size);
    if (start_.size() >= kMagic) begin();
  }
}

Layer LayerWriter::finish() {
  if (!gzip_ && !decoder_) begin();
  if (decoder_) decoder_->finish();
  if (gzip_) gzip_->finish();
  Layer layer{.blob = {}, .diff_id = unpacked_.finish(), .size = size_};
  if (expected_ && layer.diff_id != *expected_)
    throw sdk::Error(PIPE_E_MISMATCH,
                     fmt::format("{} is not the layer {} that the image names", what_, expected_->brief()),
                     "the archive is damaged; write it again");
  layer.blob = blob_->commit();
  if (gzip_) remember_layer(store_, layer);
  return layer;
}

const Layer *LayerIntake::find(const Digest &diff_id) {
  collect();
  if (const auto known = layers_.find(diff_id); known != layers_.end()) return &known->second;
  const std::optional<Layer> layer = recall_layer(store_, diff_id);
  if (!layer) return nullptr;
  ++remembered_;
  return &layers_.emplace(diff_id, *layer).first->second;
}

bool LayerIntake::has(const Digest &diff_id) {
  collect();
  return layers_.contains(diff_id);
}

std::unique_ptr<LayerWriter> LayerIntake::begin(std::string what, const std::optional<Digest> &expected) {
  return std::make_unique<LayerWriter>(store_, workers_, std::move(what), expected);
}

void LayerIntake::end(std::unique_ptr<LayerWriter> writer) {
  if (pending_.size() >= kMaxPending) pending_.front().wait();
  collect();
  pending_.push_back(
      std::async(std::launch::async, [writer = std::move(writer)] { return writer->finish(); }));
}

void LayerIntake::collect() {
  while (!pending_.empty() &&
         pending_.front().wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
    std::future<Layer> ready = std::move(pending_.front());
    pending_.pop_front();
    Layer layer = ready.get();
    ++made_;
    layers_.insert_or_assign(layer.diff_id, std::move(layer));
  }
}

void LayerIntake::wait() {
  for (const std::future<Layer> &each : pending_) each.wait();
  collect();
}

Descriptor LayerIntake::put_image(const std::string &config, const std::string &where) {
  wait();
  Json manifest = {{"schemaVersion", 2}, {"mediaType", kOciManifest}, {"config", {}}};
  manifest["layers"] = Json::array();
  for (const Digest &diff_id : diff_ids_of(config, where)) {
    const Layer *layer = find(diff_id);
    if (layer == nullptr)
      throw sdk::Error(PIPE_E_NOT_FOUND,
                       fmt::format("{} is not whole: it lacks the layer {}", where, diff_id.str()));
    manifest["layers"].push_back(write_descriptor(layer->blob));
  }
  manifest["config"] = write_descriptor(store_.put(config, kOciConfig));
  return store_.put(manifest.dump(), kOciManifest);
}

std::vector<Digest> diff_ids_of(const std::string &config, const std::string &where) {
  const auto bad = [&](std::string_view why) {
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{} is no docker-archive: its config {}", where, why));
  };
  const ParsedJson parsed = parse_json(config);
  const Json::json_pointer path("/rootfs/diff_ids");
  if (!parsed.problem.empty() || !parsed.value.is_object() || !parsed.value.contains(path) ||
      !parsed.value.at(path).is_array())
    bad("names no layers");
  std::vector<Digest> result;
  for (const Json &id : parsed.value.at(path)) {
    const std::optional<Digest> digest =
        id.is_string() ? Digest::try_parse(id.get_ref<const std::string &>()) : std::nullopt;
    if (!digest) bad("names a layer by something other than a digest");
    result.push_back(*digest);
  }
  return result;
}

}  // namespace pipes::oci
