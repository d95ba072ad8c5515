#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/error.hpp>
#include <pipe/oci/manifest.hpp>

#include <string>

namespace pipes::oci {
namespace {

using ::testing::HasSubstr;

const std::string kConfigDigest = digest_of("config").str();
const std::string kLayerDigest = digest_of("layer").str();

std::string replaced(std::string text, const std::string &from, const std::string &to) {
  text.replace(text.find(from), from.size(), to);
  return text;
}

std::string image(const std::string &extra = "") {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)" + extra +
         R"("config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" + kConfigDigest +
         R"(","size":6},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":")" +
         kLayerDigest + R"(","size":5}]})";
}

std::string entry(const std::string &content, const std::string &platform, const std::string &extra = "") {
  return R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
         digest_of(content).str() + R"(","size":7)" + (platform.empty() ? "" : R"(,"platform":)" + platform) +
         extra + "}";
}

std::string index_of(const std::string &entries) {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)" +
         entries + "]}";
}

std::string message_of(const std::string &bytes, std::string_view type = "") {
  try {
    parse_manifest(bytes, type);
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.status, PIPE_E_INVALID);
    return error.message;
  }
  return "no error";
}

TEST(Manifest, KeepsTheExactBytes) {
  const std::string bytes = image() + "\n  ";
  const Manifest manifest = parse_manifest(bytes, kOciManifest, digest_of(bytes));
  EXPECT_EQ(manifest.bytes, bytes);
  EXPECT_EQ(manifest.digest, digest_of(bytes));
  EXPECT_EQ(manifest.config->digest.str(), kConfigDigest);
  EXPECT_EQ(manifest.layers.at(0).size, 5U);
  EXPECT_EQ(manifest.blob_bytes(), 11U);
  EXPECT_FALSE(manifest.is_index());
  EXPECT_EQ(manifest.descriptor().size, bytes.size());
}

TEST(Manifest, ReadsWhatIsOptional) {
  const Manifest manifest = parse_manifest(
      image(R"("artifactType":"text/x","annotations":{"a":"b"},"subject":{"mediaType":"m","digest":")" +
            kLayerDigest + R"(","size":1},)"),
      "");
  EXPECT_EQ(manifest.artifact_type, "text/x");
  EXPECT_EQ(manifest.annotations.at("a"), "b");
  EXPECT_EQ(manifest.subject->size, 1U);
}

TEST(Manifest, RefusesBytesThatDoNotHashToWhatWasAsked) {
  try {
    parse_manifest(image(), kOciManifest, digest_of("other"));
    FAIL() << "no error";
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.status, PIPE_E_MISMATCH);
    EXPECT_THAT(error.message, HasSubstr(digest_of("other").str()));
    EXPECT_THAT(error.message, HasSubstr(digest_of(image()).str()));
  }
}

TEST(Manifest, HashesWithTheAlgorithmThatWasAsked) {
  const Digest expected = digest_of(image(), "sha512");
  EXPECT_EQ(parse_manifest(image(), "", expected).digest, expected);
}

// CVE-2021-41190
TEST(Manifest, RefusesTwoThingsInOne) {
  EXPECT_THAT(message_of(image(R"("manifests":[],)")), HasSubstr("both an image and a list"));
  EXPECT_THAT(message_of(image(), kOciIndex), HasSubstr("it came as"));
  EXPECT_THAT(message_of(image(), "application/vnd.docker.distribution.manifest.v2+json"),
              HasSubstr("it came as"));
  EXPECT_THAT(message_of(replaced(image(), "image.manifest", "image.index")), HasSubstr("has another shape"));
  EXPECT_THAT(message_of(replaced(index_of(""), "image.index", "image.manifest")),
              HasSubstr("has another shape"));
  EXPECT_THAT(message_of(image(R"("layers":[],)")), HasSubstr("the key \"layers\" twice"));
  EXPECT_THAT(message_of(image(R"("Layers":[],)")), HasSubstr("has \"Layers\" where \"layers\" is meant"));
  EXPECT_THAT(message_of(image(R"("fsLayers":[],)")), HasSubstr("schema 1"));
}

TEST(Manifest, FindsTheTypeFromTheShapeWhereNobodySays) {
  const std::string no_type =
      replaced(image(), R"("mediaType":"application/vnd.oci.image.manifest.v1+json",)", "");
  EXPECT_EQ(parse_manifest(no_type, "").media_type, kOciManifest);
  EXPECT_EQ(parse_manifest(no_type, "application/json; charset=utf-8").media_type, kOciManifest);
  EXPECT_EQ(parse_manifest(no_type, kDockerManifest).media_type, kDockerManifest);
  EXPECT_EQ(parse_manifest(replaced(no_type, "application/vnd.oci.image.config.v1+json",
                                    "application/vnd.docker.container.image.v1+json"),
                           "")
                .media_type,
            kDockerManifest);
  EXPECT_EQ(parse_manifest(R"({"schemaVersion":2,"manifests":[]})", "").media_type, kOciIndex);
  EXPECT_EQ(parse_manifest(image(), "Application/VND.oci.image.manifest.v1+json ; x=y").media_type,
            kOciManifest);
}

TEST(Manifest, RefusesWhatIsNone) {
  EXPECT_THAT(message_of("<html>"), HasSubstr("not JSON"));
  EXPECT_THAT(message_of(""), HasSubstr("not JSON"));
  EXPECT_THAT(message_of(image() + "{}"), HasSubstr("not JSON"));
  EXPECT_THAT(message_of("[]"), HasSubstr("no JSON object"));
  EXPECT_THAT(message_of("{}"), HasSubstr("neither layers nor manifests"));
  EXPECT_THAT(message_of(image(), "text/html"), HasSubstr("it came as text/html"));
  EXPECT_THAT(message_of(replaced(image(), "\"schemaVersion\":2", "\"schemaVersion\":1")),
              HasSubstr("schemaVersion"));
  EXPECT_THAT(message_of(R"({"schemaVersion":2,"layers":[]})"), HasSubstr("no config"));
  EXPECT_THAT(message_of(std::string(20, '[')), HasSubstr("not JSON"));
  EXPECT_THAT(message_of(R"({"schemaVersion":2,"manifests":)" + std::string(100000, '[') +
                         std::string(100000, ']') + "}"),
              HasSubstr("nested too deeply"));
  EXPECT_THAT(message_of(std::string(kMaxManifestSize + 1, ' ')), HasSubstr("the limit is"));
}

TEST(Manifest, RefusesBrokenDescriptors) {
  EXPECT_THAT(message_of(replaced(image(), kLayerDigest, "sha256:../../../etc/passwd")),
              HasSubstr("bad digest"));
  EXPECT_THAT(message_of(replaced(image(), "\"size\":5", "\"size\":-5")), HasSubstr("is no number of bytes"));
  EXPECT_THAT(message_of(replaced(image(), "\"size\":5", "\"size\":5.5")),
              HasSubstr("is no number of bytes"));
  EXPECT_THAT(message_of(replaced(image(), "\"size\":5", "\"size\":\"5\"")),
              HasSubstr("is no number of bytes"));
  EXPECT_THAT(message_of(replaced(image(), "\"size\":5", "\"size\":18446744073709551615")),
              HasSubstr("can't be true"));
  EXPECT_THAT(message_of(replaced(image(), kLayerDigest, kConfigDigest)), HasSubstr("two different sizes"));
  EXPECT_THAT(message_of(replaced(image(), "\"layers\":[", "\"layers\":[1,")), HasSubstr("no object"));
}

TEST(Manifest, RefusesMoreLayersThanCanBe) {
  std::string layers;
  for (int i = 0; i < 5000; ++i)
    layers += R"({"mediaType":"m","digest":")" + kLayerDigest + R"(","size":5},)";
  EXPECT_THAT(message_of(replaced(image(), "\"layers\":[", "\"layers\":[" + layers)), HasSubstr("too many"));
}

TEST(Platform, IsReadAndNormalised) {
  EXPECT_EQ(Platform::parse("linux/amd64").str(), "linux/amd64");
  EXPECT_EQ(Platform::parse("linux/x86_64").str(), "linux/amd64");
  EXPECT_EQ(Platform::parse("linux/aarch64").str(), "linux/arm64");
  EXPECT_EQ(Platform::parse("linux/arm64/v8").str(), "linux/arm64");
  EXPECT_EQ(Platform::parse("linux/arm/7").str(), "linux/arm/v7");
  EXPECT_EQ(Platform::host().os, "linux");
  for (const char *text : {"", "linux", "linux/", "/amd64", "linux/amd64/v2/x", "Linux/amd64", "linux/a b"})
    EXPECT_THROW(Platform::parse(text), sdk::Error) << text;
}

TEST(Platform, AProcessorRunsWhatWasMadeForItsElders) {
  const auto matches = [](const char *wanted, const char *offered) {
    return Platform::parse(wanted).matches(Platform::parse(offered));
  };
  EXPECT_TRUE(matches("linux/arm/v7", "linux/arm/v6"));
  EXPECT_FALSE(matches("linux/arm/v6", "linux/arm/v7"));
  EXPECT_TRUE(matches("linux/arm64", "linux/arm64/v8"));
  EXPECT_FALSE(matches("linux/arm64", "linux/arm/v7"));
  EXPECT_FALSE(matches("linux/amd64", "windows/amd64"));
}

TEST(SelectPlatform, TakesTheBestThatRuns) {
  const Manifest index =
      parse_manifest(index_of(entry("v5", R"({"os":"linux","architecture":"arm","variant":"v5"})") + "," +
                              entry("v6", R"({"os":"linux","architecture":"arm","variant":"v6"})") + "," +
                              entry("v8", R"({"os":"linux","architecture":"arm","variant":"v8"})") + "," +
                              entry("x", R"({"os":"linux","architecture":"amd64"})")),
                     "");
  EXPECT_EQ(select_platform(index, Platform::parse("linux/arm/v7")).digest, digest_of("v6"));
  EXPECT_EQ(select_platform(index, Platform::parse("linux/arm/v5")).digest, digest_of("v5"));
  EXPECT_EQ(select_platform(index, Platform::parse("linux/amd64")).digest, digest_of("x"));
}

TEST(SelectPlatform, SaysWhatThereIs) {
  const Manifest index = parse_manifest(
      index_of(entry("a", R"({"os":"linux","architecture":"amd64"})") + "," +
               entry("b", R"({"os":"unknown","architecture":"unknown"})",
                     R"(,"annotations":{"vnd.docker.reference.type":"attestation-manifest"})")),
      "");
  try {
    select_platform(index, Platform::parse("linux/s390x"));
    FAIL() << "no error";
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.status, PIPE_E_NOT_FOUND);
    EXPECT_THAT(error.message, HasSubstr("linux/s390x"));
    EXPECT_EQ(error.hint, "it is there for linux/amd64");
  }
}

TEST(SelectPlatform, TakesTheOnlyImageThatNamesNoPlatform) {
  const Manifest index = parse_manifest(index_of(entry("a", "")), "");
  EXPECT_EQ(select_platform(index, Platform::host()).digest, digest_of("a"));
}

}  // namespace
}  // namespace pipes::oci
