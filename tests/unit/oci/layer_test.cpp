#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/error.hpp>
#include <pipe/oci/layer.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "sdk/oci/codec.hpp"
#include "tests/unit/oci/oci_support.hpp"

namespace pipes::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;
using namespace pipes::oci::testing;
using Json = nlohmann::json;

class LayerTest : public ::testing::Test {
 protected:
  LayerTest() {
    write_all(tree_ / "bin/app", "program");
    chmod((tree_ / "bin/app").c_str(), 0750);
    write_all(tree_ / "etc/app.conf", "setting");
    chmod((tree_ / "etc/app.conf").c_str(), 0600);
    fs::create_symlink("../bin/app", tree_ / "etc/link");
    fs::create_hard_link(tree_ / "etc/app.conf", tree_ / "etc/second");
    fs::create_directories(tree_ / "empty");
  }

  LayerFile file(const std::string &from, const std::string &to) { return {tree_ / from, to}; }

  /// The tar of a layer, as bsdtar, which is another implementation, shows it: mode, owner, path, link.
  std::vector<std::string> shown(const Layer &layer) {
    const std::string command =
        "bsdtar -tvf " + store_.blob_path(layer.blob.digest).string() +
        R"( | awk '{print $1, $3 ":" $4, $8 "-" $9, $10, $11, $12, $13, $14}' | sed 's/ *$//' > )" +
        (dir_ / "list").string();
    EXPECT_EQ(std::system(command.c_str()), 0);
    std::vector<std::string> lines;
    std::ifstream list(dir_ / "list");
    for (std::string line; std::getline(list, line);) lines.push_back(line);
    return lines;
  }
  std::string tar(const Layer &layer) {
    std::string result;
    const std::string bytes = store_.read(layer.blob);
    const auto decoder = make_decoder(
        Compression::gzip, [&](const char *data, std::size_t size) { result.append(data, size); }, "layer");
    decoder->write(bytes.data(), bytes.size());
    decoder->finish();
    return result;
  }

  TempDir dir_;
  Store store_{dir_ / "store"};
  fs::path tree_ = dir_ / "tree";
};

TEST_F(LayerTest, HoldsAFolderWithNormalModesAndOneOwner) {
  const Layer layer = build_layer({file("", "/opt/app")}, {}, store_);
  EXPECT_THAT(shown(layer),
              ElementsAre("drwxr-xr-x 0:0 1970-opt/", "drwxr-xr-x 0:0 1970-opt/app/",
                          "drwxr-xr-x 0:0 1970-opt/app/bin/", "-rwxr-xr-x 0:0 1970-opt/app/bin/app",
                          "drwxr-xr-x 0:0 1970-opt/app/empty/", "drwxr-xr-x 0:0 1970-opt/app/etc/",
                          "-rw-r--r-- 0:0 1970-opt/app/etc/app.conf",
                          "lrwxrwxrwx 0:0 1970-opt/app/etc/link -> ../bin/app",
                          "hrw-r--r-- 0:0 1970-opt/app/etc/second link to opt/app/etc/app.conf"));
}

TEST_F(LayerTest, HasTheDigestsOfItsBlobAndItsTar) {
  const Layer layer = build_layer({file("", "/")}, {}, store_);
  EXPECT_EQ(layer.diff_id, digest_of(tar(layer)));
  EXPECT_EQ(layer.size, tar(layer).size());
  EXPECT_EQ(layer.blob.media_type, kOciLayerGzip);
  const Layer measured = measure_layer({file("", "/")}, {});
  EXPECT_EQ(measured.blob.digest, layer.blob.digest);
  EXPECT_EQ(measured.blob.size, layer.blob.size);
  EXPECT_EQ(measured.diff_id, layer.diff_id);
}

TEST_F(LayerTest, DependsOnNothingButNamesAndContent) {
  const Layer first = build_layer({file("", "/")}, {}, store_);
  const fs::path copy = dir_ / "copy";  // made in another order, by another umask, at another time
  write_all(copy / "etc/second", "setting");
  fs::create_directories(copy / "empty");
  fs::create_hard_link(copy / "etc/second", copy / "etc/app.conf");
  write_all(copy / "bin/app", "program");
  chmod((copy / "bin/app").c_str(), 0777);
  chmod((copy / "empty").c_str(), 0700);
  fs::create_symlink("../bin/app", copy / "etc/link");
  const timespec old[2] = {{1, 0}, {1, 0}};
  utimensat(AT_FDCWD, (copy / "bin/app").c_str(), old, 0);
  EXPECT_EQ(build_layer({{copy, "/"}}, {}, store_).blob.digest, first.blob.digest);
  write_all(copy / "bin/app", "another");
  EXPECT_NE(build_layer({{copy, "/"}}, {}, store_).blob.digest, first.blob.digest);
}

TEST_F(LayerTest, TakesAFileToAPathOrIntoAFolder) {
  EXPECT_THAT(shown(build_layer({file("bin/app", "/usr/bin/tool")}, {.parents = false}, store_)),
              ElementsAre("-rwxr-xr-x 0:0 1970-usr/bin/tool"));
  EXPECT_THAT(shown(build_layer({file("bin/app", "/usr/bin/")}, {.parents = false}, store_)),
              ElementsAre("-rwxr-xr-x 0:0 1970-usr/bin/app"));
}

TEST_F(LayerTest, FollowsALinkThatIsNamed) {
  EXPECT_THAT(shown(build_layer({file("etc/link", "/app")}, {}, store_)),
              ElementsAre("-rwxr-xr-x 0:0 1970-app"));
}

TEST_F(LayerTest, GivesTimeAndOwnerWhereAsked) {
  const Layer layer =
      build_layer({file("bin/app", "/app")}, {.mtime = 1000000000, .uid = 10, .gid = 20}, store_);
  EXPECT_THAT(shown(layer), ElementsAre("-rwxr-xr-x 10:20 2001-app"));
}

TEST_F(LayerTest, SaysWhatCanNotBe) {
  const auto error = [&](const std::vector<LayerFile> &files) {
    return error_of([&] { build_layer(files, {}, store_); });
  };
  EXPECT_EQ(error({file("nothing", "/x")}).status, PIPE_E_NOT_FOUND);
  EXPECT_THAT(error({file("nothing", "/x")}).message, HasSubstr("tree/nothing"));
  ASSERT_EQ(mkfifo((tree_ / "fifo").c_str(), 0600), 0);
  EXPECT_THAT(error({file("", "/")}).message, HasSubstr("a device, a pipe or a socket"));
  EXPECT_THAT(error({file("bin/app", "/a"), file("bin/app", "/a/b")}).message,
              HasSubstr("both a file and a folder"));
}

TEST(LayerFileTest, SaysWhatGoesWhere) {
  const auto parts = [](const char *text) {
    const LayerFile file = LayerFile::parse(text);
    return file.from.string() + " > " + file.to;
  };
  EXPECT_EQ(parts("build/app:/usr/bin/app"), "build/app > /usr/bin/app");
  EXPECT_EQ(parts("/usr/bin/app"), "/usr/bin/app > /usr/bin/app");
  EXPECT_EQ(parts("a:b:/c"), "a:b > /c");
  for (const char *text : {"", "app", "app:", "app:usr/bin", ":/usr", "app:/../etc", "a:/b/../../c"})
    EXPECT_EQ(error_of([&] { LayerFile::parse(text); }).status, PIPE_E_INVALID) << text;
}

Layer some_layer() {
  Layer layer;
  layer.blob.media_type = kOciLayerGzip;
  return layer;
}

TEST(ComposeImage, DescribesHowToRunIt) {
  ImageSpec spec;
  spec.platform = Platform::parse("linux/arm/v7");
  spec.entrypoint = {"/app"};
  spec.command = {"serve"};
  spec.env = {{"B", "2"}, {"A", "1=x"}};
  spec.labels = {{"k", "v"}};
  spec.ports = {"5000/tcp"};
  spec.volumes = {"/data"};
  spec.user = "1000:1000";
  spec.created = 86400;
  const ImageDocuments documents = compose_image(spec, {some_layer()}, nullptr);
  const Json config = Json::parse(documents.config);
  EXPECT_EQ(config["created"], "1970-01-02T00:00:00Z");
  EXPECT_EQ(config["variant"], "v7");
  EXPECT_EQ(config["config"], Json::parse(R"({"User":"1000:1000","ExposedPorts":{"5000/tcp":{}},
    "Env":["A=1=x","B=2"],"Entrypoint":["/app"],"Cmd":["serve"],"Volumes":{"/data":{}},"Labels":{"k":"v"}})"));
  EXPECT_EQ(config["rootfs"]["diff_ids"].size(), 1U);
  const Manifest manifest = parse_manifest(documents.manifest, kOciManifest);
  EXPECT_EQ(manifest.config->digest, digest_of(documents.config));
}

TEST(ComposeImage, BuildsUponABase) {
  const std::string base_config =
      R"({"architecture":"arm64","os":"linux","config":{"Env":["PATH=/bin","A=0"],"Cmd":["sh"],"Labels":null},)"
      R"("rootfs":{"type":"layers","diff_ids":[")" +
      digest_of("below").str() + R"("]},"history":[{"x":1}],"x-other":7})";
  const std::string base_manifest =
      R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":")" +
      digest_of(base_config).str() + R"(","size":)" + std::to_string(base_config.size()) +
      R"(},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":")" +
      digest_of("blob").str() + R"(","size":4}]})";
  const BaseImage base{parse_manifest(base_manifest, ""), base_config};
  ImageSpec spec;
  spec.env = {{"A", "1"}, {"Z", "9"}};
  spec.labels = {{"k", "v"}};
  const ImageDocuments kept = compose_image(spec, {some_layer()}, &base);
  Json config = Json::parse(kept.config);
  EXPECT_EQ(config["config"]["Env"], Json::parse(R"(["PATH=/bin","A=1","Z=9"])"));
  EXPECT_EQ(config["config"]["Cmd"], Json::parse(R"(["sh"])"));
  EXPECT_EQ(config["architecture"], "arm64");
  EXPECT_EQ(config["x-other"], 7);
  EXPECT_EQ(config["rootfs"]["diff_ids"].size(), 2U);
  EXPECT_EQ(config["history"].size(), 2U);
  const Manifest manifest = parse_manifest(kept.manifest, kOciManifest);
  EXPECT_EQ(manifest.layers.at(0).media_type, kOciLayerGzip);
  EXPECT_EQ(manifest.layers.at(0).digest, digest_of("blob"));

  spec.entrypoint = {"/app"};
  config = Json::parse(compose_image(spec, {}, &base).config);
  EXPECT_FALSE(config["config"].contains("Cmd"));

  for (const char *broken :
       {"{", "{}", R"({"rootfs":{"diff_ids":[]}})", R"({"config":{"Labels":[]},"rootfs":{"diff_ids":[1]}})"})
    EXPECT_THAT(
        error_of([&] {
          compose_image(spec, {}, std::make_unique<BaseImage>(BaseImage{base.manifest, broken}).get());
        }).message,
        HasSubstr("the base image can't be built upon"))
        << broken;
}

TEST(ComposeImage, RefusesMoreLayersThanEnginesMount) {
  EXPECT_EQ(error_of([] { compose_image({}, std::vector<Layer>(128), nullptr); }).status, PIPE_E_INVALID);
}

TEST(SourceDateEpoch, IsReadStrictly) {
  const pid_t child = start_child([] {
    unsetenv("SOURCE_DATE_EPOCH");
    if (source_date_epoch() != 0) return 1;
    setenv("SOURCE_DATE_EPOCH", "86400", 1);
    if (source_date_epoch() != 86400) return 2;
    setenv("SOURCE_DATE_EPOCH", "yesterday", 1);
    return error_of([] { source_date_epoch(); }).status == PIPE_E_INVALID ? 0 : 3;
  });
  EXPECT_EQ(wait_for(child), 0);
}

}  // namespace
}  // namespace pipes::oci
