#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/error.hpp>
#include <pipe/oci/archive.hpp>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "sdk/oci/codec.hpp"
#include "sdk/oci/tar.hpp"
#include "tests/unit/oci/oci_support.hpp"

namespace pipes::oci {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;
using namespace pipes::oci::testing;
using Json = nlohmann::json;

std::string gzipped(std::string_view text) {
  std::string result;
  GzipWriter writer([&](const char *data, std::size_t size) { result.append(data, size); });
  writer.write(text.data(), text.size());
  writer.finish();
  return result;
}

std::string gunzipped(const std::string &bytes) {
  std::string result;
  const auto decoder = make_decoder(
      Compression::gzip, [&](const char *data, std::size_t size) { result.append(data, size); }, "x");
  decoder->write(bytes.data(), bytes.size());
  decoder->finish();
  return result;
}

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

std::string config_of(const std::vector<std::string> &layers) {
  Json config = {{"architecture", "amd64"},
                 {"os", "linux"},
                 {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array()}}}};
  for (const std::string &layer : layers) config["rootfs"]["diff_ids"].push_back(digest_of(layer).str());
  return config.dump();
}

class ArchiveTest : public ::testing::Test {
 protected:
  fs::path write(const std::string &name, const std::string &bytes) {
    write_all(dir_ / name, bytes);
    return dir_ / name;
  }
  sdk::Error import_error(const std::vector<File> &files, std::string_view ref = "") {
    return error_of([&] { import_archive(write("bad.tar", tar_of(files)), ref, other_); });
  }
  void expect_whole(const Store &store, const Descriptor &image) {
    const Manifest manifest = store.manifest(image);
    EXPECT_FALSE(store.read(*manifest.config).empty());
    for (const Descriptor &layer : manifest.layers) EXPECT_EQ(store.read(layer).size(), layer.size);
  }

  TempDir dir_;
  Store store_{dir_ / "store"}, other_{dir_ / "other"};
  Descriptor image_ = make_image(store_, "a layer");
};

TEST_F(ArchiveTest, OciArchiveComesBackAsItWas) {
  export_oci_archive(store_, image_, "app:1", dir_ / "new/a.tar");
  const Descriptor back = import_archive(dir_ / "new/a.tar", "", other_);
  EXPECT_EQ(back.digest, image_.digest);
  expect_whole(other_, back);
  EXPECT_TRUE(other_.list().empty());  // a name in an image is no name in the store
  EXPECT_EQ(import_archive(dir_ / "new/a.tar", "app:1", other_).digest, image_.digest);
  EXPECT_EQ(import_archive(dir_ / "new/a.tar", "docker.io/library/app:1", other_).digest, image_.digest);
  EXPECT_EQ(import_archive(dir_ / "new/a.tar", image_.digest.str(), other_).digest, image_.digest);
  EXPECT_EQ(error_of([&] { import_archive(dir_ / "new/a.tar", "app:2", other_); }).status, PIPE_E_NOT_FOUND);
}

TEST_F(ArchiveTest, TheSameImageGivesTheSameBytes) {
  export_oci_archive(store_, image_, "app:1", dir_ / "a.tar");
  make_image(other_, "another");  // in a store with other things, made in another order
  other_.put("a layer", kOciLayer);
  const Descriptor same = make_image(other_, "a layer");
  export_oci_archive(other_, same, "app:1", dir_ / "b.tar");
  EXPECT_EQ(read_all(dir_ / "a.tar"), read_all(dir_ / "b.tar"));
}

TEST_F(ArchiveTest, DockerArchiveHasTheSizeThatWasSaid) {
  const std::vector<std::string> names{"app:1", "localhost:5000/app:2"};
  std::string bytes;
  write_docker_archive(store_, image_, names, [&](const char *data, std::size_t size) {
    bytes.append(data, size);
    return true;
  });
  EXPECT_EQ(bytes.size(), docker_archive_size(store_, image_, names));
  export_docker_archive(store_, image_, names, dir_ / "d.tar");
  EXPECT_EQ(read_all(dir_ / "d.tar"), bytes);
  EXPECT_EQ(import_archive(dir_ / "d.tar", "localhost:5000/app:2", other_).digest, image_.digest);
}

TEST_F(ArchiveTest, StopsWhenTheSinkHasEnough) {
  int calls = 0;
  write_docker_archive(store_, image_, {}, [&](const char *, std::size_t) { return ++calls < 3; });
  EXPECT_EQ(calls, 3);
}

TEST_F(ArchiveTest, LayoutFolderComesBackAsItWas) {
  export_layout(store_, image_, "app:1", dir_ / "new/layout");
  export_layout(store_, make_image(store_, "second"), "", dir_ / "new/layout");
  EXPECT_EQ(import_layout(dir_ / "new/layout", "app:1", other_).digest, image_.digest);
  const sdk::Error several = error_of([&] { import_layout(dir_ / "new/layout", "", other_); });
  EXPECT_EQ(several.status, PIPE_E_INVALID);
  EXPECT_THAT(several.message, HasSubstr("holds 2 images"));
  EXPECT_THAT(several.hint, HasSubstr("app:1"));
  export_layout(store_, image_, "", dir_ / "new/layout");  // takes the place of the other without a name
  EXPECT_EQ(import_layout(dir_ / "new/layout", "", other_).digest, image_.digest);
}

TEST_F(ArchiveTest, PeekReadsTheIndexAlone) {
  export_oci_archive(store_, image_, "", dir_ / "a.tar");
  export_layout(store_, image_, "app:1", dir_ / "layout");
  const auto digest = [](const std::string &name) {
    const std::optional<Descriptor> found = peek(ImageName::parse(name));
    return found ? found->digest.str() : "nothing";
  };
  EXPECT_EQ(digest("oci-archive:" + (dir_ / "a.tar").string()), image_.digest.str());
  EXPECT_EQ(digest("oci:" + (dir_ / "layout").string() + ":app:1"), image_.digest.str());
  EXPECT_EQ(digest("oci:" + (dir_ / "layout").string() + ":app:2"), "nothing");
  EXPECT_EQ(digest("oci:" + (dir_ / "none").string()), "nothing");
  EXPECT_EQ(digest("oci-archive:" + (dir_ / "none").string()), "nothing");
  write_all(dir_ / "d.tar", tar_of({{"manifest.json", "[]"}}));
  EXPECT_EQ(digest("docker-archive:" + (dir_ / "d.tar").string()), "nothing");
}

TEST_F(ArchiveTest, AnIndexKeepsItsBytesThoughImagesAreMissing) {
  const Json entry = {
      {"mediaType", image_.media_type}, {"digest", image_.digest.str()}, {"size", image_.size}};
  Json elsewhere = entry;
  elsewhere["digest"] = digest_of("not here").str();
  const std::string index =
      Json{{"schemaVersion", 2}, {"mediaType", kOciIndex}, {"manifests", {entry, elsewhere}}}.dump();
  const Descriptor root = store_.put(index, kOciIndex);
  // What is not in the store can't be written ...
  EXPECT_EQ(error_of([&] { export_oci_archive(store_, root, "", dir_ / "i.tar"); }).status, PIPE_E_NOT_FOUND);
  EXPECT_FALSE(fs::exists(dir_ / "i.tar"));
  EXPECT_FALSE(fs::exists(dir_ / "i.tar.partial"));
  // ... but docker save writes such archives.
  const auto blob = [&](const Descriptor &part) {
    return File{"blobs/sha256/" + std::string(part.digest.hex()), store_.read(part)};
  };
  const Manifest manifest = store_.manifest(image_);
  const Json top = {{"mediaType", kOciIndex}, {"digest", root.digest.str()}, {"size", root.size}};
  write("i.tar", tar_of({{"oci-layout", R"({"imageLayoutVersion":"1.0.0"})"},
                         {"index.json", Json{{"schemaVersion", 2}, {"manifests", {top}}}.dump()},
                         blob(root),
                         blob(image_),
                         blob(*manifest.config),
                         blob(manifest.layers[0])}));
  const Descriptor back = import_archive(dir_ / "i.tar", "", other_);
  EXPECT_EQ(back.digest, root.digest);
  EXPECT_EQ(other_.read(back), index);
  expect_whole(other_, image_);
}

TEST_F(ArchiveTest, ReadsDockersOldForm) {
  const std::string one = tar_of({{"etc/one", "1"}}), two = tar_of({{"etc/two", "2"}});
  const std::string config = config_of({one, two, one});
  // docker save makes a link of a layer that it wrote before
  const auto file = write(
      "old.tar", tar_of({{"aa/layer.tar", one},
                         {"bb/layer.tar", two},
                         {"cc/layer.tar", "../aa/layer.tar", TarType::symbolic_link},
                         {"config.json", config},
                         {"manifest.json", R"([{"Config":"config.json","RepoTags":["app:1"],)"
                                           R"("Layers":["aa/layer.tar","bb/layer.tar","cc/layer.tar"]}])"}}));
  const Descriptor image = import_archive(file, "app:1", store_);
  const Manifest manifest = store_.manifest(image);
  EXPECT_EQ(store_.read(*manifest.config), config);
  ASSERT_EQ(manifest.layers.size(), 3U);
  EXPECT_EQ(manifest.layers[0].media_type, kOciLayerGzip);
  EXPECT_EQ(gunzipped(store_.read(manifest.layers[1])), two);
  EXPECT_EQ(manifest.layers[2].digest, manifest.layers[0].digest);
  EXPECT_EQ(import_archive(file, "", other_).digest, image.digest);  // the same each time
}

TEST_F(ArchiveTest, ReadsCompressedArchives) {
  export_oci_archive(store_, image_, "app:1", dir_ / "a.tar");
  write("a.tar.gz", gzipped(read_all(dir_ / "a.tar")));
  EXPECT_EQ(import_archive(dir_ / "a.tar.gz", "", other_).digest, image_.digest);
  EXPECT_TRUE(fs::is_empty(dir_ / "other/.partial"));
  const std::string whole = read_all(dir_ / "a.tar.gz");
  write("cut.tar.gz", whole.substr(0, whole.size() / 2));
  EXPECT_EQ(error_of([&] { import_archive(dir_ / "cut.tar.gz", "", other_); }).status, PIPE_E_MISMATCH);
  write("a.tar.xz", std::string("\xfd"
                                "7zXZ\0",
                                6) +
                        whole);
  EXPECT_THAT(error_of([&] { import_archive(dir_ / "a.tar.xz", "", other_); }).hint,
              HasSubstr("unpack it first"));
}

TEST_F(ArchiveTest, SaysWhatIsWrongWithAFile) {
  EXPECT_EQ(error_of([&] { import_archive(dir_ / "none.tar", "", other_); }).status, PIPE_E_NOT_FOUND);
  EXPECT_THAT(error_of([&] { import_archive(dir_.path(), "", other_); }).hint, HasSubstr("oci:"));
  EXPECT_EQ(error_of([&] { import_layout(dir_ / "none", "", other_); }).status, PIPE_E_NOT_FOUND);
  EXPECT_THAT(error_of([&] { import_layout(write("file", "x"), "", other_); }).hint,
              HasSubstr("oci-archive:"));
  EXPECT_THAT(import_error({{"readme", "x"}}).message,
              HasSubstr("neither an index.json nor a manifest.json"));
  EXPECT_THAT(import_error({{"oci-layout", "{}"}}).message, HasSubstr("it has no index.json"));
  EXPECT_THAT(import_error({{"oci-layout", "{}"}, {"index.json", "{}"}}).message,
              HasSubstr("no list of manifests"));
  EXPECT_THAT(import_error({{"oci-layout", "{}"}, {"index.json", R"({"manifests":[]})"}}).message,
              HasSubstr("holds no image"));
  EXPECT_THAT(import_error({{"manifest.json", "{}"}}).message, HasSubstr("is no list"));
  EXPECT_THAT(import_error({{"manifest.json", R"([{"Config":"c","Layers":[]}])"}}).message,
              HasSubstr("lacks the config"));
}

TEST_F(ArchiveTest, RefusesHostileArchives) {
  const std::string layer = tar_of({{"f", "x"}});
  const auto saved = [&](const std::string &list) {
    return File{"manifest.json", R"([{"Config":"c","RepoTags":null,"Layers":)" + list + "}]"};
  };
  const File config{"c", config_of({layer})};
  EXPECT_EQ(import_error({{"l", tar_of({{"f", "y"}})}, config, saved(R"(["l"])")}).status, PIPE_E_MISMATCH);
  EXPECT_THAT(import_error({{"l", layer}, config, saved(R"(["l","l"])")}).message,
              HasSubstr("2 layers where its config names 1"));
  EXPECT_THAT(import_error({config, saved(R"(["../../../etc/passwd"])")}).message,
              HasSubstr("lacks the layer"));
  EXPECT_THAT(import_error({config, {"l", "/etc/passwd", TarType::symbolic_link}, saved(R"(["l"])")}).message,
              HasSubstr("lacks the layer"));
  EXPECT_THAT(import_error({config, {"l", "l", TarType::symbolic_link}, saved(R"(["l"])")}).message,
              HasSubstr("lead nowhere"));
  // a blob whose name is not its content's
  export_oci_archive(store_, image_, "", dir_ / "a.tar");
  std::string bytes = read_all(dir_ / "a.tar");
  bytes.replace(bytes.find("a layer"), 7, "A layer");
  write("swapped.tar", bytes);
  EXPECT_EQ(error_of([&] { import_archive(dir_ / "swapped.tar", "", other_); }).status, PIPE_E_MISMATCH);
}

TEST_F(ArchiveTest, FollowsNoLinkOutOfALayoutFolder) {
  export_layout(store_, image_, "", dir_ / "layout");
  const Descriptor layer = store_.manifest(image_).layers[0];
  const fs::path blob = dir_ / "layout/blobs/sha256" / layer.digest.hex();
  fs::rename(blob, dir_ / "elsewhere");
  fs::create_symlink(dir_ / "elsewhere", blob);
  EXPECT_THAT(error_of([&] { import_layout(dir_ / "layout", "", other_); }).message,
              HasSubstr("symbolic link"));
}

TEST_F(ArchiveTest, WritesNoDamagedBlob) {
  const Descriptor layer = store_.manifest(image_).layers[0];
  write_all(store_.blob_path(layer.digest), "a LAYER");
  const sdk::Error error = error_of([&] { export_oci_archive(store_, image_, "", dir_ / "a.tar"); });
  EXPECT_EQ(error.status, PIPE_E_MISMATCH);
  EXPECT_FALSE(fs::exists(dir_ / "a.tar"));
}

TEST_F(ArchiveTest, ADockerArchiveHoldsOnePlatform) {
  const Descriptor index = store_.put(
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]})",
      kOciIndex);
  EXPECT_THAT(error_of([&] { export_docker_archive(store_, index, {}, dir_ / "d.tar"); }).message,
              HasSubstr("one platform"));
}

}  // namespace
}  // namespace pipes::oci
