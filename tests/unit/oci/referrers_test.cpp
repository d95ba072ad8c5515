#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/oci/attached.hpp>

#include <fmt/core.h>

#include <string>
#include <vector>

#include "sdk/oci/image_source.hpp"
#include "sdk/oci/referrers.hpp"

namespace pipes::oci {
namespace {

using ::testing::HasSubstr;

std::string entry(const std::string &content, const std::string &platform, const std::string &more = {}) {
  return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}{}{}}})", kOciManifest,
                     digest_of(content).str(), content.size(),
                     platform.empty() ? "" : ",\"platform\":" + platform, more);
}

std::string attestation_of(const std::string &content) {
  return fmt::format(R"(,"annotations":{{"vnd.docker.reference.type":"attestation-manifest",)"
                     R"("vnd.docker.reference.digest":"{}"}})",
                     digest_of(content).str());
}

/// Images for amd64, arm64 and s390x; the first two with an attestation.
Manifest index() {
  const std::string unknown = R"({"os":"unknown","architecture":"unknown"})";
  return parse_manifest(
      fmt::format(
          R"({{"schemaVersion":2,"mediaType":"{}","manifests":[{},{},{},{},{}],"annotations":{{"a":"b"}}}})",
          kOciIndex, entry("amd", R"({"os":"linux","architecture":"amd64"})"),
          entry("arm", R"({"os":"linux","architecture":"arm64"})"),
          entry("s390x", R"({"os":"linux","architecture":"s390x"})"),
          entry("amd-sbom", unknown, attestation_of("amd")),
          entry("arm-sbom", unknown, attestation_of("arm"))),
      kOciIndex);
}

TEST(SelectPlatforms, KeepsWhatIsAskedForWithItsAttestations) {
  const Manifest whole = index();
  const Manifest part =
      select_platforms(whole, {Platform::parse("linux/arm64"), Platform::parse("linux/s390x")});
  std::vector<Digest> digests;
  for (const Descriptor &kept : part.manifests) digests.push_back(kept.digest);
  EXPECT_THAT(digests, ::testing::ElementsAre(digest_of("arm"), digest_of("s390x"), digest_of("arm-sbom")));
  EXPECT_NE(part.digest, whole.digest);
  EXPECT_EQ(part.annotations.at("a"), "b");
  EXPECT_EQ(part.media_type, kOciIndex);
}

TEST(SelectPlatforms, LeavesAWholeIndexAsItIs) {
  const Manifest whole = index();
  const Manifest part = select_platforms(
      whole,
      {Platform::parse("linux/s390x"), Platform::parse("linux/arm64"), Platform::parse("linux/amd64")});
  EXPECT_EQ(part.bytes, whole.bytes);
  EXPECT_EQ(part.digest, whole.digest);
}

TEST(SelectPlatforms, NamesWhatIsMissing) {
  try {
    select_platforms(index(), {Platform::parse("linux/amd64"), Platform::parse("windows/amd64")});
    FAIL();
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.status, PIPE_E_NOT_FOUND);
    EXPECT_THAT(error.message, HasSubstr("windows/amd64"));
    EXPECT_THAT(error.hint, HasSubstr("linux/s390x"));
  }
}

Descriptor referrer(const std::string &content) {
  return {.media_type = std::string(kOciManifest),
          .digest = digest_of(content),
          .size = content.size(),
          .platform = {},
          .annotations = {{"k", "v"}},
          .urls = {},
          .artifact_type = "application/vnd.example.sbom"};
}

TEST(FallbackTag, StartsAnIndexAndAddsToIt) {
  const std::optional<Manifest> one = with_referrers({}, {referrer("one")});
  ASSERT_TRUE(one && one->is_index());
  EXPECT_EQ(one->manifests.at(0).digest, digest_of("one"));
  EXPECT_EQ(one->manifests.at(0).artifact_type, "application/vnd.example.sbom");
  EXPECT_EQ(one->manifests.at(0).annotations.at("k"), "v");
  const std::optional<Manifest> two = with_referrers(one, {referrer("one"), referrer("two")});
  ASSERT_TRUE(two);
  EXPECT_EQ(two->manifests.size(), 2u);
  EXPECT_FALSE(with_referrers(two, {referrer("two")})) << "nothing to add";
}

TEST(FallbackTag, IsToldFromTagsOfImages) {
  const std::string tag = fallback_tag(digest_of("x"));
  EXPECT_EQ(tag, "sha256-" + std::string(digest_of("x").hex()));
  EXPECT_TRUE(is_attached_tag(tag));
  const std::string longer = fallback_tag(digest_of("x", "sha512"));
  EXPECT_EQ(longer.size(), 71u) << "the specification cuts it to 64 digits";
  EXPECT_TRUE(is_attached_tag(longer));
  EXPECT_TRUE(is_attached_tag(tag + ".sig"));
  EXPECT_FALSE(is_attached_tag("latest"));
  EXPECT_FALSE(is_attached_tag("sha256-abc"));
  EXPECT_FALSE(is_attached_tag("v1.2-" + std::string(digest_of("x").hex())));
}

}  // namespace
}  // namespace pipes::oci
