#include "sdk/oci/certs_dirs.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "oci_support.hpp"

namespace pipes::oci {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A certificate that nobody uses: the parser wants a real one.
constexpr const char *kPem = R"(-----BEGIN CERTIFICATE-----
MIIBbjCCARWgAwIBAgIUMujz6vHtJR7KN+ipPRPh4YWwZUowCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBeDAgFw0yNjExMjQxMDM1NTJaGA8yMTI2MTAzMTEwMzU1Mlow
DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGHJfMlXfjxy
sS/mDYejGoECS3o+Zq5qNrmEyCgd+9Ywa5iJMswo5uzTMfcRgMyUT/ZqBok/EqhI
WqrP6gwR4/mjUzBRMB0GA1UdDgQWBBR4WSM1ibVz5gvOswSAWgdYxZ/LqzAfBgNV
HSMEGDAWgBR4WSM1ibVz5gvOswSAWgdYxZ/LqzAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0cAMEQCIFLWnG+ORqI/QJWJ8dNnl4PQSnle+TcdzIs1xBoMwQFP
AiBYduSRHLfPwOMYFVbw03VW7Z+vHWJsoIHM3VVcXiA6ng==
-----END CERTIFICATE-----
)";

class Warnings final : public sdk::Observer {
 public:
  std::string all;
  void log(sdk::Level, std::string_view message) override { all.append(message).append("\n"); }
  void progress(const sdk::Progress &) override {}
  bool cancelled() const override { return false; }
  int cancel_fd() const override { return -1; }
};

class CertsDirsTest : public ::testing::Test {
 protected:
  TempDir folder;
  Warnings warnings;
  const CertsDirs certs{{folder / "user", folder / "system"}};

  HostCertificates find(const std::string &host) { return certs.find(host, warnings); }
  std::size_t authorities(const std::string &host) {
    const std::string pem = find(host).ca_pem;
    std::size_t count = 0;
    for (auto at = pem.find("BEGIN"); at != std::string::npos; at = pem.find("BEGIN", at + 1)) ++count;
    return count;
  }
};

TEST_F(CertsDirsTest, HasNothingWhereThereAreNoFolders) {
  EXPECT_EQ(find("a.lan:5000").ca_pem, "");
  EXPECT_EQ(find("..").ca_pem, "");
  EXPECT_THAT(warnings.all, IsEmpty());
}

TEST_F(CertsDirsTest, TrustsTheAuthoritiesOfAllFolders) {
  write_all(folder / "user/a.lan:5000/one.crt", kPem);
  write_all(folder / "system/a.lan:5000/two.crt", std::string("# a comment\n") + kPem + kPem);
  write_all(folder / "system/a.lan:5000/three.pem", kPem);
  write_all(folder / "system/a.lan/other.crt", kPem);
  EXPECT_EQ(authorities("a.lan:5000"), 3U);
  EXPECT_EQ(authorities("a.lan"), 1U);
  EXPECT_EQ(authorities("lan"), 0U);
}

TEST_F(CertsDirsTest, KnowsThatPort443IsTheUsualOne) {
  write_all(folder / "user/a.lan:443/ca.crt", kPem);
  write_all(folder / "user/b.lan/ca.crt", kPem);
  write_all(folder / "user/[::1]:443/ca.crt", kPem);
  EXPECT_EQ(authorities("a.lan"), 1U);
  EXPECT_EQ(authorities("b.lan:443"), 1U);
  EXPECT_EQ(authorities("[::1]"), 1U);
  EXPECT_EQ(authorities("b.lan:8443"), 0U);
}

TEST_F(CertsDirsTest, TakesTheFirstPairOfTheFirstFolder) {
  for (const char *name : {"user/a.lan/b.cert", "user/a.lan/b.key", "user/a.lan/c.cert", "user/a.lan/c.key",
                           "system/a.lan/a.cert", "system/a.lan/a.key"})
    write_all(folder / name, "x");
  EXPECT_EQ(find("a.lan").client_cert, folder / "user/a.lan/b.cert");
  EXPECT_EQ(find("a.lan").client_key, folder / "user/a.lan/b.key");
}

TEST_F(CertsDirsTest, NamesHalfAPair) {
  write_all(folder / "user/a.lan/ca.cert", "x");
  const sdk::Error error = error_of([&] { find("a.lan"); });
  EXPECT_EQ(error.status, PIPE_E_INVALID);
  EXPECT_EQ(error.message, "the client certificate " + (folder / "user/a.lan/ca.cert").string() +
                               " has no key ca.key beside it");
  write_all(folder / "user/b.lan/x.key", "x");
  EXPECT_THAT(error_of([&] { find("b.lan"); }).message, HasSubstr("has no certificate x.cert beside it"));
}

TEST_F(CertsDirsTest, WarnsOfWhatItCannotUseAndGoesOn) {
  write_all(folder / "user/a.lan/a.crt", "no certificate");
  write_all(folder / "user/a.lan/z.crt", kPem);
  std::filesystem::create_symlink("nowhere", folder / "user/a.lan/b.crt");
  EXPECT_EQ(authorities("a.lan"), 1U);
  EXPECT_THAT(warnings.all, HasSubstr("a.crt holds no certificate in PEM format"));
  EXPECT_THAT(warnings.all, HasSubstr("b.crt is a link to nothing"));
}

TEST_F(CertsDirsTest, AddsTheStepsOwnToThem) {
  write_all(folder / "user/a.lan:1/ca.crt", kPem);
  for (const char *name : {"user/a.lan:1/c.cert", "user/a.lan:1/c.key"}) write_all(folder / name, "x");
  write_all(folder / "own.pem", kPem);
  http::ClientOptions options = client_options(
      "a.lan:1", "b.lan:2", {.insecure = true, .ca_file = (folder / "own.pem").string()}, certs, warnings);
  EXPECT_FALSE(options.verify);
  EXPECT_EQ(options.ca_pem.size(), 2 * find("a.lan:1").ca_pem.size());
  EXPECT_EQ(options.client_cert, folder / "user/a.lan:1/c.cert");
  EXPECT_EQ(options.client_cert_host, "b.lan");
  options = client_options("a.lan:1", "a.lan:1", {.client_cert = "/mine"}, certs, warnings);
  EXPECT_EQ(options.client_cert, "/mine");
  EXPECT_EQ(options.client_key, "");
}

TEST_F(CertsDirsTest, RefusesACaFileThatItCannotUse) {
  write_all(folder / "bad.pem", "no certificate");
  const auto message = [&](const std::string &file) {
    return error_of([&] { client_options("a", "a", {.ca_file = file}, certs, warnings); }).message;
  };
  EXPECT_EQ(message((folder / "bad.pem").string()),
            "can't use the CA file " + (folder / "bad.pem").string() + ": it holds no certificate");
  EXPECT_EQ(message("/nowhere/ca.pem"), "can't use the CA file /nowhere/ca.pem: there is no such file");
}

}  // namespace
}  // namespace pipes::oci
