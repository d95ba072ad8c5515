#pragma once
// Layers on their way into the store, from archives. For .cpp files of this folder only.
#include <pipe/oci/layer.hpp>
#include <pipe/oci/store.hpp>

#include <cstddef>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codec.hpp"
#include "workers.hpp"

namespace pipes::oci {

/// A layer that comes piece by piece and becomes a blob: an unpacked one is compressed and remembered, one
/// that is compressed is kept as it is.
class LayerWriter {
 public:
  /// `what` names it in errors, `expected` is its diffID where that is known. The others have to outlive
  /// this.
  LayerWriter(Store &, Workers &, std::string what, std::optional<Digest> expected);
  ~LayerWriter();
  void write(const char *data, std::size_t size);
  /// Waits until it is in the store. PIPE_E_MISMATCH, and nothing is kept, if it is not the expected one.
  Layer finish();

 private:
  void begin();

  Store &store_;
  Workers &workers_;
  std::string what_, start_;  // the first bytes, until the compression is known
  std::optional<Digest> expected_;
  Hasher unpacked_;
  std::uint64_t size_ = 0;
  std::optional<BlobWriter> blob_;
  std::unique_ptr<GzipWriter> gzip_;  // one of the two once it is known
  std::unique_ptr<Decoder> decoder_;
};

/// The layers of one image: those that are remembered and those that are made.
class LayerIntake {
 public:
  explicit LayerIntake(Store &store) : store_(store) {}

  /// Remembered, or made here. Does not wait for those that are being made.
  const Layer *find(const Digest &diff_id);
  /// Found before, or made here.
  bool has(const Digest &diff_id);
  std::unique_ptr<LayerWriter> begin(std::string what, const std::optional<Digest> &expected);
  /// Sees the layer through in the background, at most a few at a time; what LayerWriter::finish throws is
  /// thrown by a later call.
  void end(std::unique_ptr<LayerWriter>);
  /// Waits for those that are being made.
  void wait();
  std::size_t made() const { return made_; }
  std::size_t remembered() const { return remembered_; }

  /// Makes the manifest of a config and its layers. Throws PIPE_E_INVALID for a config that names no layers,
  /// PIPE_E_NOT_FOUND where a layer is missing. `where` names the archive in errors.
  Descriptor put_image(const std::string &config, const std::string &where);

 private:
  void collect();

  Store &store_;
  std::map<Digest, Layer> layers_;
  std::size_t made_ = 0, remembered_ = 0;
  Workers workers_;
  std::deque<std::future<Layer>> pending_;
};

/// The diffIDs that an image's config names (image-spec, config.md, "rootfs"). Throws PIPE_E_INVALID.
std::vector<Digest> diff_ids_of(const std::string &config, const std::string &where);

}  // namespace pipes::oci
