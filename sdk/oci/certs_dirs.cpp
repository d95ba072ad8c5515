#include "certs_dirs.hpp"

#include <fmt/core.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pipe/free.hpp>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <system_error>

#include "file.hpp"

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

using Bio = std::unique_ptr<BIO, sdk::Free<BIO_free>>;
using Certificate = std::unique_ptr<X509, sdk::Free<X509_free>>;

/// The certificates in a PEM file, and nothing else of it; empty if there are none.
std::string certificates_in(const std::string &text) {
  const Bio in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))), out(BIO_new(BIO_s_mem()));
  if (!in || !out) throw std::bad_alloc();
  while (const Certificate certificate{PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)})
    PEM_write_bio_X509(out.get(), certificate.get());
  ERR_clear_error();  // the last one says "no start line"
  char *pem = nullptr;
  const long size = BIO_get_mem_data(out.get(), &pem);
  return {pem, static_cast<std::size_t>(size)};
}

/// Names of the files in a folder, sorted; none if there is no such folder.
std::vector<std::string> names_in(const fs::path &folder, sdk::Observer &observer) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  const bool absent = error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory;
  if (error && !absent)
    observer.log(sdk::Level::warning, fmt::format("can't look into {}: {}; no certificate of it is used",
                                                  folder.string(), error.message()));
  std::ranges::sort(names);
  return names;
}

/// Its content; nothing, and a warning, if it can't be read.
std::optional<std::string> read_or_warn(const fs::path &file, sdk::Observer &observer) {
  try {
    if (std::optional<std::string> text = read_settings(file)) return text;
    observer.log(sdk::Level::warning, fmt::format("{} is a link to nothing", file.string()));
  } catch (const sdk::Error &error) {
    observer.log(sdk::Level::warning, error.message + "; it is not used");
  }
  return std::nullopt;
}

void add_authority(const fs::path &file, HostCertificates &to, sdk::Observer &observer) {
  const std::optional<std::string> text = read_or_warn(file, observer);
  if (!text) return;
  const std::string pem = certificates_in(*text);
  if (pem.empty())
    observer.log(sdk::Level::warning,
                 fmt::format("{} holds no certificate in PEM format; it is not used", file.string()));
  to.ca_pem += pem;
}

void add_pair(const fs::path &cert, const fs::path &key, HostCertificates &to, sdk::Observer &observer) {
  if (!to.client_cert.empty() || !read_or_warn(cert, observer) || !read_or_warn(key, observer)) return;
  to.client_cert = cert.string();
  to.client_key = key.string();
}

void look_into(const fs::path &folder, HostCertificates &to, sdk::Observer &observer) {
  const std::vector<std::string> names = names_in(folder, observer);
  const auto has = [&](const fs::path &name) { return std::ranges::binary_search(names, name.string()); };
  for (const fs::path name : names) {
    const fs::path cert = fs::path(name).replace_extension(".cert");
    const fs::path key = fs::path(name).replace_extension(".key");
    if (name.extension() == ".crt") add_authority(folder / name, to, observer);
    if (name == cert && !has(key))
      throw sdk::Error(PIPE_E_INVALID,
                       fmt::format("the client certificate {} has no key {} beside it",
                                   (folder / cert).string(), key.string()),
                       "put its key there; a CA's certificate has to be called NAME.crt");
    if (name == key && !has(cert))
      throw sdk::Error(PIPE_E_INVALID,
                       fmt::format("the client key {} has no certificate {} beside it",
                                   (folder / key).string(), cert.string()),
                       "put its certificate there, or take the key away");
    if (name == cert) add_pair(folder / cert, folder / key, to, observer);
  }
}

/// The names that a host's folder may have.
std::vector<std::string> folder_names(const std::string &host) {
  constexpr std::string_view kPort = ":443";
  if (host.empty() || host.front() == '.' || host.find('/') != std::string::npos) return {};
  if (host.ends_with(kPort)) return {host, host.substr(0, host.size() - kPort.size())};
  if (host.find(':') == std::string::npos || host.ends_with(']')) return {host, host + std::string(kPort)};
  return {host};
}

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

std::string authorities_of(const std::string &ca_file) {
  const auto refuse = [&](std::string_view why) {
    throw sdk::Error(PIPE_E_INVALID, fmt::format("can't use the CA file {}: {}", ca_file, why),
                     "it must be a readable PEM file");
  };
  std::string pem;
  try {
    const std::optional<std::string> text = read_settings(ca_file);
    if (!text) refuse("there is no such file");
    pem = certificates_in(*text);
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_IO) throw;
    refuse(error.message);
  }
  if (pem.empty()) refuse("it holds no certificate");
  return pem;
}

}  // namespace

CertsDirs CertsDirs::of_this_machine() {
  std::vector<fs::path> folders;
  fs::path config = environment("XDG_CONFIG_HOME");
  if (const std::string home = environment("HOME"); config.empty() && !home.empty())
    config = fs::path(home) / ".config";
  if (!config.empty()) {
    folders.push_back(config / "containers/certs.d");
    folders.push_back(config / "docker/certs.d");
  }
  folders.emplace_back("/etc/containers/certs.d");
  folders.emplace_back("/etc/docker/certs.d");
  return CertsDirs(std::move(folders));
}

HostCertificates CertsDirs::find(const std::string &host, sdk::Observer &observer) const {
  HostCertificates found;
  for (const fs::path &folder : folders_)
    for (const std::string &name : folder_names(host)) look_into(folder / name, found, observer);
  return found;
}

http::ClientOptions client_options(const std::string &host, const std::string &address,
                                   const RegistryOptions &options, const CertsDirs &certs,
                                   sdk::Observer &observer) {
  if (options.client_cert.empty() && !options.client_key.empty())
    throw sdk::Error(PIPE_E_INVALID, "client_key is given without client_cert",
                     "name the certificate that the key belongs to");
  HostCertificates found = certs.find(host, observer);
  http::ClientOptions result;
  result.verify = !options.insecure;
  result.ca_pem = std::move(found.ca_pem);
  if (!options.ca_file.empty()) result.ca_pem += authorities_of(options.ca_file);
  result.client_cert = options.client_cert.empty() ? found.client_cert : options.client_cert;
  result.client_key = options.client_cert.empty() ? found.client_key : options.client_key;
  result.client_cert_host = http::Origin::of("https://" + address).host;
  return result;
}

}  // namespace pipes::oci
