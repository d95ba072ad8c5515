#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/engine_archive.hpp>
#include <pipe/oci/transfer.hpp>

#include <chrono>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "sdk/oci/codec.hpp"
#include "sdk/oci/layer_memory.hpp"
#include "sdk/oci/tar.hpp"
#include "tests/unit/oci/oci_support.hpp"

namespace pipes::oci {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;
using namespace pipes::oci::testing;
using Json = nlohmann::json;

class Watcher : public sdk::Observer {
 public:
  void log(sdk::Level, std::string_view) override {}
  void progress(const sdk::Progress &p) override {
    if (p.id != 0) parts[std::string(p.label)] = p.done;
  }
  bool cancelled() const override { return cancel; }
  int cancel_fd() const override { return -1; }
  std::map<std::string, std::uint64_t> parts;
  bool cancel = false;
};

struct File {
  std::string path, content;
  TarType type = TarType::file;  // links: content is where to
};

std::string tar_of(const std::vector<File> &files) {
  std::string bytes;
  for (const File &file : files) {
    const bool is_file = file.type == TarType::file;
    bytes += tar_header({.path = file.path,
                         .type = file.type,
                         .link = is_file ? "" : file.content,
                         .size = is_file ? file.content.size() : 0});
    if (is_file) bytes += file.content + std::string(tar_padding(file.content.size()), '\0');
  }
  return bytes + std::string(kTarEnd, '\0');
}

std::string unpacked(const Store &store, const Descriptor &layer) {
  std::string result;
  const auto decoder = make_decoder(
      Compression::gzip, [&](const char *data, std::size_t size) { result.append(data, size); }, "x");
  const std::string bytes = store.read(layer);
  decoder->write(bytes.data(), bytes.size());
  decoder->finish();
  return result;
}

std::string hex(const std::string &bytes) {
  return std::string(digest_of(bytes).hex());
}

class EngineArchiveTest : public ::testing::Test {
 protected:
  /// A layer of that many bytes and some.
  static std::string layer(const std::string &seed, std::size_t size = 20000) {
    std::string text;
    while (text.size() < size) text += seed + std::to_string(text.size());
    text.resize(size);
    return tar_of({{"file", text}});
  }

  static std::string config_of(const std::vector<std::string> &layers) {
    Json config = {{"architecture", "amd64"},
                   {"os", "linux"},
                   {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array()}}}};
    for (const std::string &each : layers) config["rootfs"]["diff_ids"].push_back(digest_of(each).str());
    return config.dump();
  }

  EngineImage engine_image(const std::string &id_of, const std::vector<std::string> &layers) {
    EngineImage image{.name = "app:1", .id = digest_of(id_of).str(), .layers = {}};
    for (const std::string &each : layers) image.layers.push_back(digest_of(each));
    return image;
  }

  /// As Docker before 25 writes it, with a link for a layer that it wrote before.
  static std::vector<File> old_docker(const std::vector<std::string> &layers) {
    std::vector<File> files;
    std::map<std::string, std::string> written;
    Json names = Json::array();
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const std::string folder = hex("v1 " + std::to_string(i)), path = folder + "/layer.tar";
      files.push_back({folder, "", TarType::folder});
      files.push_back({folder + "/VERSION", "1.0"});
      files.push_back({folder + "/json", "{}"});
      const auto [first, is_new] = written.emplace(layers[i], path);
      if (is_new)
        files.push_back({path, layers[i]});
      else
        files.push_back({path, "../" + first->second, TarType::symbolic_link});
      names.push_back(path);
    }
    const std::string config = config_of(layers);
    files.push_back({hex(config) + ".json", config});
    files.push_back(
        {"manifest.json",
         Json::array({{{"Config", hex(config) + ".json"}, {"RepoTags", nullptr}, {"Layers", names}}})
             .dump()});
    return files;
  }

  /// As Podman writes it.
  static std::vector<File> podman(const std::vector<std::string> &layers, const std::string &config) {
    std::vector<File> files;
    Json names = Json::array();
    for (const std::string &each : layers) {
      files.push_back({hex(each) + ".tar", each});
      files.push_back({hex("v1 " + each) + "/layer.tar", "../" + hex(each) + ".tar", TarType::symbolic_link});
      names.push_back(hex(each) + ".tar");
    }
    files.push_back({hex(config) + ".json", config});
    files.push_back(
        {"manifest.json",
         Json::array({{{"Config", hex(config) + ".json"}, {"RepoTags", nullptr}, {"Layers", names}}})
             .dump()});
    return files;
  }

  static File blob(const std::string &content) { return {"blobs/sha256/" + hex(content), content}; }
  static Json descriptor(const std::string &content, std::string_view type) {
    return {{"mediaType", type}, {"digest", digest_of(content).str()}, {"size", content.size()}};
  }

  /// As Docker 25 and later write it: an OCI layout, too. `packed` are the layers' blobs.
  static std::vector<File> layout(const std::vector<std::string> &packed, const std::string &config,
                                  std::string_view layer_type, std::string &manifest) {
    std::vector<File> files{{"blobs", "", TarType::folder}};
    Json json = {{"schemaVersion", 2},
                 {"mediaType", kOciManifest},
                 {"config", descriptor(config, kOciConfig)},
                 {"layers", Json::array()}};
    Json names = Json::array();
    for (const std::string &each : packed) {
      files.push_back(blob(each));
      json["layers"].push_back(descriptor(each, layer_type));
      names.push_back(blob(each).path);
    }
    manifest = json.dump();
    files.push_back(blob(config));
    files.push_back(blob(manifest));
    files.push_back({"index.json",
                     Json{{"schemaVersion", 2}, {"manifests", {descriptor(manifest, kOciManifest)}}}.dump()});
    files.push_back(
        {"manifest.json",
         Json::array({{{"Config", blob(config).path}, {"RepoTags", nullptr}, {"Layers", names}}}).dump()});
    files.push_back({"oci-layout", R"({"imageLayoutVersion":"1.0.0"})"});
    return files;
  }

  TakenImage take(const EngineImage &image, const std::string &bytes, std::size_t piece = 7000) {
    EngineArchive archive(image, store_, watcher_);
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      if (!archive.write(bytes.data() + at, std::min(piece, bytes.size() - at))) break;
    return archive.finish();
  }
  TakenImage take(const EngineImage &image, const std::vector<File> &files) {
    return take(image, tar_of(files));
  }
  sdk::Error take_error(const EngineImage &image, const std::vector<File> &files) {
    return error_of([&] { take(image, files); });
  }

  void expect_layers(const Descriptor &image, const std::vector<std::string> &layers) {
    const Manifest manifest = store_.manifest(image);
    ASSERT_EQ(manifest.layers.size(), layers.size());
    for (std::size_t i = 0; i < layers.size(); ++i) {
      EXPECT_EQ(manifest.layers[i].media_type, kOciLayerGzip);
      EXPECT_EQ(unpacked(store_, manifest.layers[i]), layers[i]);
    }
  }

  TempDir dir_;
  Store store_{dir_ / "store"};
  Watcher watcher_;
  const std::string one_ = layer("one"), two_ = layer("two", 700000), three_ = layer("three", 1000);
};

TEST_F(EngineArchiveTest, ReadsDockersOldForm) {
  const std::vector<std::string> layers{one_, two_, one_};
  const TakenImage taken = take(engine_image(config_of(layers), layers), old_docker(layers));
  expect_layers(taken.image, layers);
  EXPECT_EQ(store_.read(*store_.manifest(taken.image).config), config_of(layers));
  EXPECT_EQ(taken.bytes, one_.size() + two_.size());
  EXPECT_EQ(taken.made, 2U);
  EXPECT_EQ(taken.remembered, 0U);
  EXPECT_EQ(watcher_.parts,
            (std::map<std::string, std::uint64_t>{{"layer 1", one_.size()}, {"layer 2", two_.size()}}));
  EXPECT_TRUE(fs::is_empty(dir_ / "store/.partial"));
  EXPECT_EQ(recall_image(store_, digest_of(config_of(layers)).str())->digest, taken.image.digest);
}

TEST_F(EngineArchiveTest, GivesTheSameImageForEveryFormAndForAFile) {
  const std::vector<std::string> layers{one_, two_};
  const std::string config = config_of(layers);
  const EngineImage image = engine_image(config, layers);
  std::string manifest;
  const std::vector<std::vector<File>> forms{old_docker(layers), podman(layers, config),
                                             layout(layers, config, kOciLayer, manifest)};
  write_all(dir_ / "old.tar", tar_of(forms[0]));
  Store other(dir_ / "other");
  const Digest expected = import_archive(dir_ / "old.tar", "", other).digest;
  for (const std::vector<File> &form : forms) {
    fs::remove_all(dir_ / "store");
    store_ = Store(dir_ / "store");
    const TakenImage taken = take(image, form);
    EXPECT_EQ(taken.image.digest, expected);
    expect_layers(taken.image, layers);
  }
  EXPECT_TRUE(watcher_.parts.contains(digest_of(two_).brief()));
}

TEST_F(EngineArchiveTest, ReadsNoFurtherThanItHasTo) {
  const std::vector<std::string> layers{one_, two_};
  const std::string config = config_of(layers);
  std::string bytes = tar_of(podman(layers, config));
  bytes.resize(bytes.size() - kTarEnd);  // there would be more
  EngineArchive archive(engine_image(config, layers), store_, watcher_);
  bool wants_more = archive.write(bytes.data(), bytes.size());
  for (int i = 0; wants_more && i < 2000; ++i) {  // until the layers are on the disk
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    wants_more = archive.write("", 0);
  }
  EXPECT_FALSE(wants_more);
  expect_layers(archive.finish().image, layers);
}

TEST_F(EngineArchiveTest, CompressesOnlyWhatIsNew) {
  take(engine_image(config_of({one_, two_}), {one_, two_}), old_docker({one_, two_}));
  const std::string same_size = layer("six", 20000);
  ASSERT_EQ(same_size.size(), one_.size());
  const std::vector<std::string> layers{one_, two_, same_size};
  for (const bool is_named : {false, true}) {
    fs::remove(store_.path() / ".layers/sha256" / hex(same_size));
    const TakenImage taken = take(engine_image(config_of(layers), layers),
                                  is_named ? podman(layers, config_of(layers)) : old_docker(layers));
    expect_layers(taken.image, layers);
    EXPECT_EQ(taken.made, 1U);
    EXPECT_EQ(taken.remembered, 2U);
    // Without names all must be read to know them.
    EXPECT_EQ(taken.bytes, is_named ? same_size.size() : one_.size() + two_.size() + same_size.size());
  }
  EXPECT_TRUE(fs::is_empty(dir_ / "store/.partial"));
}

TEST_F(EngineArchiveTest, ReadsNoLayerWhereAllAreKnown) {
  const std::vector<std::string> layers{one_, two_};
  const std::string config = config_of(layers);
  take(engine_image(config, layers), old_docker(layers));
  Json relabelled = Json::parse(config);
  relabelled["config"] = {{"Labels", {{"new", "yes"}}}};
  const std::string changed = relabelled.dump();
  std::vector<File> files = old_docker(layers);
  files[files.size() - 2] = {hex(changed) + ".json", changed};
  const TakenImage taken = take(engine_image(changed, layers), files);
  expect_layers(taken.image, layers);
  EXPECT_EQ(store_.read(*store_.manifest(taken.image).config), changed);
  EXPECT_EQ(taken.bytes, 0U);
  EXPECT_EQ(taken.made, 0U);
}

TEST_F(EngineArchiveTest, BelievesNoMemoryOfABlobThatIsGone) {
  const std::vector<std::string> layers{one_, two_};
  const std::string config = config_of(layers), id = digest_of(config).str();
  const TakenImage first = take(engine_image(config, layers), old_docker(layers));
  fs::remove(store_.blob_path(store_.manifest(first.image).layers[0].digest));
  EXPECT_FALSE(recall_image(store_, id));
  EXPECT_EQ(prune_memory(store_), 2U);  // the layer and the image
  EXPECT_FALSE(fs::exists(store_.path() / ".layers/sha256" / hex(one_)));
  EXPECT_TRUE(fs::exists(store_.path() / ".layers/sha256" / hex(two_)));
  const TakenImage second = take(engine_image(config, layers), old_docker(layers));
  EXPECT_EQ(second.image.digest, first.image.digest);
  EXPECT_EQ(second.made, 1U);
  EXPECT_EQ(prune_memory(store_), 0U);
}

TEST_F(EngineArchiveTest, BelievesNoMemoryThatCantBeRead) {
  take(engine_image(config_of({one_}), {one_}), old_docker({one_}));
  for (const char *text : {"", "{}", "[]", "{\"mediaType\":\"x\",\"digest\":\"../../etc\",\"size\":1}"}) {
    write_all(store_.path() / ".layers/sha256" / hex(one_), text);
    EXPECT_FALSE(recall_layer(store_, digest_of(one_))) << text;
    write_all(store_.path() / ".images/sha256" / hex(config_of({one_})), text);
    EXPECT_FALSE(recall_image(store_, digest_of(config_of({one_})).str())) << text;
  }
  write_all(store_.path() / ".layers/sha256/not a digest", "x");
  EXPECT_EQ(prune_memory(store_), 3U);
  EXPECT_FALSE(recall_image(store_, "../../etc/passwd"));
}

TEST_F(EngineArchiveTest, KeepsBlobsAsTheyWerePulled) {
  const std::vector<std::string> layers{one_, two_};
  std::vector<std::string> packed;
  for (const std::string &each : layers) {
    GzipWriter gzip(
        [&, &to = packed.emplace_back()](const char *data, std::size_t size) { to.append(data, size); });
    gzip.write(each.data(), each.size());
    gzip.finish();
  }
  std::string manifest;
  const std::vector<File> files = layout(packed, config_of(layers), kOciLayerGzip, manifest);
  EngineImage image = engine_image(manifest, layers);
  image.keeps_blobs = true;
  const TakenImage taken = take(image, files);
  EXPECT_EQ(taken.image.digest, digest_of(manifest));
  EXPECT_EQ(store_.read(taken.image), manifest);
  expect_layers(taken.image, layers);
  EXPECT_TRUE(recall_image(store_, image.id));
  std::vector<File> swapped = files;
  swapped[1].content.back() = static_cast<char>(swapped[1].content.back() ^ 1);
  fs::remove_all(dir_ / "store");
  store_ = Store(dir_ / "store");
  EXPECT_EQ(take_error(image, swapped).status, PIPE_E_MISMATCH);
  std::vector<File> lacking = files;
  lacking.erase(lacking.begin() + 1);
  const sdk::Error error = take_error(image, lacking);
  EXPECT_EQ(error.status, PIPE_E_NOT_FOUND);
  EXPECT_THAT(error.message,
              HasSubstr("the archive of app:1 is not whole: it lacks " + digest_of(packed[0]).str()));
}

TEST_F(EngineArchiveTest, ReadsAConfigThatIsNotTheOneOfTheId) {
  const std::vector<std::string> layers{one_};
  const TakenImage taken = take(engine_image("in OCI's form", layers), podman(layers, config_of(layers)));
  expect_layers(taken.image, layers);
  EXPECT_EQ(recall_image(store_, digest_of("in OCI's form").str())->digest, taken.image.digest);
}

TEST_F(EngineArchiveTest, RefusesHostileArchives) {
  const std::vector<std::string> layers{one_, two_};
  const std::string config = config_of(layers);
  const EngineImage image = engine_image(config, layers);
  std::vector<File> files = podman(layers, config);

  std::vector<File> swapped = files;
  swapped[0].content = three_;
  EXPECT_EQ(take_error(image, swapped).status, PIPE_E_MISMATCH);
  EXPECT_FALSE(fs::exists(store_.path() / ".layers/sha256" / hex(three_)));

  std::vector<File> lacking = files;
  lacking.erase(lacking.begin());
  EXPECT_THAT(take_error(image, lacking).message, HasSubstr("it lacks the layer " + digest_of(one_).str()));

  std::vector<File> linked = files;
  linked[0] = {hex(one_) + ".tar", "/etc/passwd", TarType::symbolic_link};
  EXPECT_EQ(take_error(image, linked).status, PIPE_E_NOT_FOUND);

  std::vector<File> climbing = files;
  climbing.insert(climbing.begin(), {{"../../../escaped.tar", three_},
                                     {"blobs/sha256/../../escaped", three_},
                                     {"/absolute.json", "{}"},
                                     {"blobs/sha512/" + hex(one_), three_}});
  expect_layers(take(image, climbing).image, layers);
  EXPECT_FALSE(fs::exists(dir_ / "escaped.tar"));
  EXPECT_FALSE(fs::exists(dir_ / "escaped"));

  const EngineImage nothing = engine_image("nothing", {});
  EXPECT_THAT(take_error(nothing, {{"readme", "x"}}).message, HasSubstr("no manifest.json"));
  EXPECT_THAT(take_error(nothing, {{"manifest.json", "{}"}}).message, HasSubstr("is no list"));
  EXPECT_THAT(take_error(nothing, {{"manifest.json", "[{},{}]"}}).message, HasSubstr("holds 2 images"));
  EXPECT_THAT(take_error(nothing, {{"manifest.json", R"([{"Config":"c.json"}])"}}).message,
              HasSubstr("lacks the config"));
  EXPECT_EQ(error_of([&] { take(image, "no tar at all"); }).status, PIPE_E_INVALID);
}

TEST_F(EngineArchiveTest, OfTwoDocumentsWithOneNameTheLaterCounts) {
  const std::vector<std::string> layers{one_};
  std::vector<File> files = podman(layers, config_of(layers));
  files.insert(files.begin(), File{"manifest.json", "[]"});
  files.insert(files.begin(), files[1]);  // and a layer that comes twice
  const TakenImage taken = take(engine_image("another", layers), files);
  expect_layers(taken.image, layers);
}

TEST_F(EngineArchiveTest, LimitsWhatAnArchiveMayHold) {
  std::vector<File> many;
  for (int i = 0; i < 1100; ++i) many.push_back({std::to_string(i) + "/layer.tar", "x"});
  EXPECT_THAT(take_error(engine_image("x", {}), many).message, HasSubstr("more than 1024 layers"));
  // A document is refused by the size that is said, before a byte of it is kept.
  EngineArchive archive(engine_image("x", {}), store_, watcher_);
  const std::string header = tar_header({.path = "manifest.json", .size = std::uint64_t{1} << 40});
  EXPECT_EQ(error_of([&] { archive.write(header.data(), header.size()); }).status, PIPE_E_INVALID);
}

TEST_F(EngineArchiveTest, NoticesThatItIsCutOffWhereverThatIs) {
  const std::vector<std::string> layers{one_, two_};
  const std::string bytes = tar_of(old_docker(layers));
  std::mt19937 random(3);
  for (int i = 0; i < 20; ++i) {
    const sdk::Error error =
        error_of([&] { take(engine_image("x", layers), bytes.substr(0, random() % (bytes.size() - 3000))); });
    EXPECT_NE(error.status, PIPE_OK);
  }
  EXPECT_TRUE(fs::is_empty(dir_ / "store/.partial"));
}

TEST_F(EngineArchiveTest, StopsWhenItIsCancelled) {
  watcher_.cancel = true;
  const std::vector<std::string> layers{one_};
  EXPECT_EQ(take_error(engine_image("x", layers), old_docker(layers)).status, PIPE_E_CANCELLED);
}

TEST_F(EngineArchiveTest, FilesUseTheSameMemory) {
  const std::vector<std::string> layers{one_, two_};
  write_all(dir_ / "old.tar", tar_of(old_docker(layers)));
  const Descriptor imported = import_archive(dir_ / "old.tar", "", store_);
  const TakenImage taken = take(engine_image(config_of(layers), layers), podman(layers, config_of(layers)));
  EXPECT_EQ(taken.image.digest, imported.digest);
  EXPECT_EQ(taken.made, 0U);
  // And the other way round: a layer that is known is not even looked at.
  std::vector<File> files = old_docker(layers);
  for (File &file : files)
    if (file.path.ends_with("layer.tar") && file.content == two_) file.content = three_;
  write_all(dir_ / "broken.tar", tar_of(files));
  EXPECT_EQ(import_archive(dir_ / "broken.tar", "", store_).digest, imported.digest);
}

}  // namespace
}  // namespace pipes::oci
