#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pipe/error.hpp>
#include <pipe/oci/reference.hpp>

#include <string>

namespace pipes::oci {
namespace {

using ::testing::HasSubstr;

const std::string kHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::string kDigest = "sha256:" + kHash;

std::string message_of(std::string_view text) {
  try {
    ImageName::parse(text);
  } catch (const sdk::Error &error) {
    EXPECT_EQ(error.status, PIPE_E_INVALID);
    EXPECT_FALSE(error.hint.empty());
    return error.message;
  }
  return "no error";
}

struct Normalised {
  std::string text, full, familiar;
};
/// What stands in the name of a test.
void PrintTo(const Normalised &name, std::ostream *out) {
  *out << name.text;
}
class Names : public ::testing::TestWithParam<Normalised> {};

TEST_P(Names, AreNormalisedAsDockerDoes) {
  const Reference reference = Reference::parse(GetParam().text);
  EXPECT_EQ(reference.str(), GetParam().full);
  EXPECT_EQ(reference.familiar(), GetParam().familiar);
  EXPECT_EQ(Reference::parse(reference.str()).str(), reference.str());
  EXPECT_EQ(Reference::parse(reference.familiar()).str(), reference.str());
}

INSTANTIATE_TEST_SUITE_P(
    Each, Names,
    ::testing::Values(
        Normalised{"registry:3", "docker.io/library/registry:3", "registry:3"},
        Normalised{"registry", "docker.io/library/registry:latest", "registry:latest"},
        Normalised{"library/registry:3", "docker.io/library/registry:3", "registry:3"},
        Normalised{"docker.io/registry:3", "docker.io/library/registry:3", "registry:3"},
        Normalised{"index.docker.io/registry:3", "docker.io/library/registry:3", "registry:3"},
        Normalised{"prireg/registry:2", "docker.io/prireg/registry:2", "prireg/registry:2"},
        Normalised{"prireg:5000/registry:2", "prireg:5000/registry:2", "prireg:5000/registry:2"},
        Normalised{"localhost/app", "localhost/app:latest", "localhost/app:latest"},
        Normalised{"localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"},
        Normalised{"localhost:5000/a/b/c:v1", "localhost:5000/a/b/c:v1", "localhost:5000/a/b/c:v1"},
        Normalised{"[::1]:5000/app:1", "[::1]:5000/app:1", "[::1]:5000/app:1"},
        Normalised{"Registry.Example.org/a__b-c.d:V_1.0-x", "Registry.Example.org/a__b-c.d:V_1.0-x",
                   "Registry.Example.org/a__b-c.d:V_1.0-x"},
        Normalised{"a---b/c", "docker.io/a---b/c:latest", "a---b/c:latest"},
        Normalised{"docker.io/localhost/app:1", "docker.io/localhost/app:1", "docker.io/localhost/app:1"},
        Normalised{"docker.io/my.host/app:1", "docker.io/my.host/app:1", "docker.io/my.host/app:1"},
        Normalised{"app@" + kDigest, "docker.io/library/app@" + kDigest, "app@" + kDigest},
        Normalised{"host:5000/app:1@" + kDigest, "host:5000/app:1@" + kDigest,
                   "host:5000/app:1@" + kDigest}));

TEST(Reference, IsFoundByItsDigestWhereItHasOne) {
  EXPECT_EQ(Reference::parse("app:1").identifier(), "1");
  EXPECT_EQ(Reference::parse("app:1@" + kDigest).identifier(), kDigest);
  EXPECT_EQ(Reference::parse("app@" + kDigest).tag, "");
  EXPECT_EQ(Reference::parse("app:1").name(), "docker.io/library/app");
}

TEST(Reference, SaysWhatIsWrongWithAName) {
  EXPECT_THAT(message_of(""), HasSubstr("it is empty"));
  EXPECT_THAT(message_of("App:1"), HasSubstr("\"App\" has upper case letters"));
  EXPECT_THAT(message_of("host:5000/App"), HasSubstr("upper case"));
  EXPECT_THAT(message_of("app:"), HasSubstr("no tag after the ':'"));
  EXPECT_THAT(message_of("app:.1"), HasSubstr("\".1\" is no tag"));
  EXPECT_THAT(message_of("app:" + std::string(129, 'x')), HasSubstr("longer than 128"));
  EXPECT_THAT(message_of("app:1:2"), HasSubstr("\"1:2\" is no tag"));
  EXPECT_THAT(message_of("host:port/app"), HasSubstr("\"port\" is no port"));
  EXPECT_THAT(message_of("host:99999/app"), HasSubstr("\"99999\" is no port"));
  EXPECT_THAT(message_of("ho_st.x/app"), HasSubstr("is no host name"));
  EXPECT_THAT(message_of("-host.x/app"), HasSubstr("is no host name"));
  EXPECT_THAT(message_of("[::1/app"), HasSubstr("']'"));
  EXPECT_THAT(message_of("[zz]:1/app"), HasSubstr("is no IPv6 address"));
  EXPECT_THAT(message_of("a//b"), HasSubstr("a part of the repository is empty"));
  EXPECT_THAT(message_of("/app"), HasSubstr("a part of the repository is empty"));
  EXPECT_THAT(message_of("a/../b"), HasSubstr("has to begin and end with"));
  EXPECT_THAT(message_of("a.-b"), HasSubstr("\".-\""));
  EXPECT_THAT(message_of("a___b"), HasSubstr("\"___\""));
  EXPECT_THAT(message_of("a b"), HasSubstr("' '"));
  EXPECT_THAT(message_of("app@sha256:12"), HasSubstr("64 hex digits, this has 2"));
  EXPECT_THAT(message_of("app@md5:12"), HasSubstr("neither sha256 nor sha512"));
  EXPECT_THAT(message_of(kHash), HasSubstr("an image ID"));
  EXPECT_THAT(message_of("https://host:5000/app"), HasSubstr("has no \"https://\""));
  EXPECT_THAT(message_of(std::string(300, 'a')), HasSubstr("longer than 255"));
  EXPECT_THAT(message_of("app:1\n"), HasSubstr("is no tag"));
}

TEST(ImageName, KnowsWhereImagesAre) {
  using Kind = ImageName::Kind;
  const auto check = [](std::string_view text, Kind kind, std::string_view path, std::string_view ref) {
    const ImageName name = ImageName::parse(text);
    EXPECT_EQ(name.kind, kind) << text;
    EXPECT_EQ(name.path, path) << text;
    EXPECT_EQ(name.ref, ref) << text;
    EXPECT_EQ(name.str(), text);
  };
  check("oci:/srv/images", Kind::oci_layout, "/srv/images", "");
  check("oci:images:host:5000/app:1", Kind::oci_layout, "images", "host:5000/app:1");
  check("oci-archive:a/b.tar", Kind::oci_archive, "a/b.tar", "");
  check("docker-archive:b.tar:app:1", Kind::docker_archive, "b.tar", "app:1");
  check("docker-daemon:docker.io/library/app:1", Kind::docker_daemon, "", "");
  EXPECT_EQ(ImageName::parse("docker-daemon:app:1").reference.familiar(), "app:1");
  EXPECT_EQ(ImageName::parse("registry:3").kind, Kind::registry);
  EXPECT_EQ(ImageName::parse("docker://host:5000/app:1").str(), "host:5000/app:1");
}

TEST(ImageName, SaysWhatIsMissing) {
  EXPECT_THAT(message_of("oci:"), HasSubstr("no path after \"oci:\""));
  EXPECT_THAT(message_of("oci-archive::x"), HasSubstr("no path after \"oci-archive:\""));
  EXPECT_THAT(message_of("docker-archive:x.tar:"), HasSubstr("no name after the last ':'"));
  EXPECT_THAT(message_of("docker-daemon:App"), HasSubstr("upper case"));
}

}  // namespace
}  // namespace pipes::oci
