#include <gtest/gtest.h>
#include <pipe/http/client.hpp>

namespace pipes::http {
namespace {

TEST(Origin, HoldsSchemeHostAndPort) {
  EXPECT_EQ(Origin::of("https://Registry.Example/v2/").str(), "https://registry.example");
  EXPECT_EQ(Origin::of("http://localhost:5000/v2/").str(), "http://localhost:5000");
  EXPECT_EQ(Origin::of("https://[::1]:5000").str(), "https://[::1]:5000");
  EXPECT_EQ(Origin::of("https://h:443/a"), Origin::of("https://H/b"));
}

TEST(Origin, DiffersByPortAndScheme) {
  EXPECT_NE(Origin::of("https://h/"), Origin::of("https://h:8443/"));
  EXPECT_NE(Origin::of("https://h:80/"), Origin::of("http://h/"));
}

TEST(Origin, RefusesWhatIsNoWebAddress) {
  for (const char *url : {"", "h/path", "ftp://h/", "file:///etc/passwd", "https://",
                          "https://user:secret@h/", "https://h%2Fevil/", "https://h\nx/"}) {
    try {
      Origin::of(url);
      ADD_FAILURE() << url;
    } catch (const sdk::Error &error) {
      EXPECT_EQ(error.status, PIPE_E_INVALID) << url;
      EXPECT_EQ(error.message.find("secret"), std::string::npos) << error.message;
    }
  }
}

TEST(Origin, KnowsLoopback) {
  for (const char *url : {"http://localhost/", "http://127.0.0.1:1/", "http://127.8.9.1/", "http://[::1]/",
                          "http://x.localhost/", "http://0x7f000001/"})
    EXPECT_TRUE(Origin::of(url).loopback()) << url;
  for (const char *url : {"http://127.0.0.1.evil.example/", "http://localhost.example/", "http://10.0.0.1/"})
    EXPECT_FALSE(Origin::of(url).loopback()) << url;
}

TEST(ResolveUrl, FollowsRfc3986) {
  const std::string base = "https://h:5000/v2/app/blobs/uploads/?a=1";
  EXPECT_EQ(resolve_url(base, "/v2/x?_state=y%3D"), "https://h:5000/v2/x?_state=y%3D");
  EXPECT_EQ(resolve_url(base, "https://other/z#part"), "https://other/z");
  EXPECT_EQ(resolve_url(base, "//cdn/z"), "https://cdn/z");
  EXPECT_EQ(resolve_url(base, "next"), "https://h:5000/v2/app/blobs/uploads/next");
  EXPECT_EQ(resolve_url(base, "../x"), "https://h:5000/v2/app/blobs/x");
}

TEST(ResolveUrl, RefusesWhatHasNoMeaning) {
  EXPECT_THROW(resolve_url("https://h/", "https://"), sdk::Error);
}

TEST(EncodeComponent, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(encode_component("sha256:ab/c d&=\xc3\xa9"), "sha256%3Aab%2Fc%20d%26%3D%C3%A9");
  EXPECT_EQ(encode_component("a-z_0.9~"), "a-z_0.9~");
}

TEST(DisplayUrl, KeepsSecretsBack) {
  EXPECT_EQ(display_url("https://user:pw@h:1/p?X-Amz-Signature=secret#f"), "https://h:1/p");
  EXPECT_EQ(display_url("user:pw@h/x"), "h/x");
  EXPECT_EQ(display_url("https://h/a@b"), "https://h/a@b");
  EXPECT_EQ(display_url("https://h/\x1b[31m"), "https://h/?[31m");
}

TEST(Headers, AreFoundByLowerCaseName) {
  const Headers headers{{{"link", "a"}, {"x", "b"}, {"link", "c"}}};
  EXPECT_EQ(headers.get("link"), "c");
  EXPECT_EQ(headers.get("none"), "");
  EXPECT_EQ(headers.all("link").size(), 2u);
}

}  // namespace
}  // namespace pipes::http
