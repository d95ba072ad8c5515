#include "x509.hpp"

#include <pipe/error.hpp>
#include <pipe/free.hpp>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <new>

#include <fmt/chrono.h>
#include <fmt/core.h>

namespace certificate {
namespace {

using pipes::sdk::Error;
using pipes::sdk::Free;
using namespace std::chrono_literals;

using Bio = std::unique_ptr<BIO, Free<BIO_free>>;
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;
using Store = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>>;
void free_stack(STACK_OF(X509) * stack) {
  sk_X509_free(stack);
}
using Stack = std::unique_ptr<STACK_OF(X509), Free<free_stack>>;

/// Clocks of clients differ, and virtual machines wake up with an old one.
constexpr auto kBackdated = 1h;
constexpr int kSerialBits = 127;  // positive, at most 20 octets (RFC 5280, 4.1.2.2)

/// Ends with what OpenSSL says; only where it has no memory, or we do not know its rules.
[[noreturn]] void fail(std::string_view what) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  throw Error(PIPE_E_INTERNAL, fmt::format("{}: {}", what, text.data()));
}
void require(bool good, std::string_view what) {
  if (!good) fail(what);
}

std::string content(BIO *bio) {
  char *text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  return {text, static_cast<std::size_t>(size)};
}
Bio memory() {
  Bio bio(BIO_new(BIO_s_mem()));
  if (!bio) throw std::bad_alloc();
  return bio;
}
Bio reader(const std::string &text) {
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) throw std::bad_alloc();
  return bio;
}

std::string name_text(const X509_NAME *name) {
  const Bio out = memory();
  X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253);
  return content(out.get());
}

Clock::time_point time_of(const ASN1_TIME *time) {
  std::tm parts{};
  require(ASN1_TIME_to_tm(time, &parts) == 1, "reading a certificate's time");
  return Clock::from_time_t(timegm(&parts));
}

void set_time(ASN1_TIME *to, Clock::time_point time) {
  require(ASN1_TIME_set(to, Clock::to_time_t(time)) != nullptr, "setting a certificate's time");
}

void add_extension(X509 *to, const X509 *issuer, int kind, const std::string &value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, const_cast<X509 *>(issuer), to, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  require(extension != nullptr, value);
  require(X509_add_ext(to, extension.get(), -1) == 1, value);
}

/// By the library's own types: a name in a configuration text could bring settings of its own.
void add_alternative_names(X509 *to, const std::vector<Host> &hosts) {
  const Names names(GENERAL_NAMES_new());
  for (const Host &host : hosts) {
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (name == nullptr || sk_GENERAL_NAME_push(names.get(), name) == 0) throw std::bad_alloc();
    if (host.is_address) {
      ASN1_OCTET_STRING *address = a2i_IPADDRESS(host.name.c_str());
      require(address != nullptr, host.name);
      GENERAL_NAME_set0_value(name, GEN_IPADD, address);
    } else {
      ASN1_IA5STRING *text = ASN1_IA5STRING_new();
      require(
          text != nullptr && ASN1_STRING_set(text, host.name.data(), static_cast<int>(host.name.size())) == 1,
          host.name);
      GENERAL_NAME_set0_value(name, GEN_DNS, text);
    }
  }
  require(X509_add1_ext_i2d(to, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) == 1,
          "subjectAltName");
}

void set_random_serial(X509 *to) {
  const Number number(BN_new());
  require(number && BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1,
          "a serial number");
  require(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(to)) != nullptr, "a serial number");
}

/// What both kinds have; `issuer` may be the certificate itself.
void fill(X509 *to, const std::string &name, const Key &key, Clock::time_point begin, Clock::time_point end) {
  require(X509_set_version(to, X509_VERSION_3) == 1, "the version");
  set_random_serial(to);
  set_time(X509_getm_notBefore(to), begin);
  set_time(X509_getm_notAfter(to), end);
  const auto *text = reinterpret_cast<const unsigned char *>(name.data());
  require(X509_NAME_add_entry_by_txt(X509_get_subject_name(to), "CN", MBSTRING_UTF8, text,
                                     static_cast<int>(name.size()), -1, 0) == 1,
          "the subject");
  require(X509_set_pubkey(to, key.get()) == 1, "the public key");
}

void sign(X509 *certificate, const Key &key) {
  require(X509_sign(certificate, key.get(), EVP_sha256()) != 0, "signing");
}

bool is_ip_address(const std::string &text) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

bool is_port(std::string_view text, std::size_t colon) {
  return colon < text.size() && text.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
}

bool is_dns_name(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  if (text.empty() || text.size() > 253 || text.front() == '.' || text.back() == '.') return false;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  };
  return std::ranges::all_of(text, allowed) && text.find("..") == std::string_view::npos;
}

int refuse_passphrase(char * /*buffer*/, int /*size*/, int /*writing*/, void *asked) {
  *static_cast<bool *>(asked) = true;
  return -1;
}

std::string address_text(const ASN1_OCTET_STRING *address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
  inet_ntop(family, ASN1_STRING_get0_data(address), text.data(), text.size());
  return text.data();
}

Names alternative_names(X509 *certificate) {
  return Names(
      static_cast<GENERAL_NAMES *>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
}

}  // namespace

Key::Key(EVP_PKEY *key) : key_(key, EVP_PKEY_free) {}

Key Key::make() {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  require(key != nullptr, "making a key");
  return Key(key);
}

std::optional<Key> Key::parse(const std::string &pem, const std::string &file) {
  bool locked = false;
  EVP_PKEY *key = PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, refuse_passphrase, &locked);
  ERR_clear_error();
  if (locked)
    throw Error(PIPE_E_INVALID,
                fmt::format("the key {} is locked with a passphrase, and a registry can't ask for it", file),
                fmt::format("take it off: openssl pkey -in {} -out NEW", file));
  if (key == nullptr) return std::nullopt;
  return Key(key);
}

std::string Key::pem() const {
  const Bio out = memory();
  require(PEM_write_bio_PKCS8PrivateKey(out.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
          "writing a key");
  return content(out.get());
}

Host Host::parse(std::string_view text) {
  std::string name(text);
  if (name.starts_with('[')) {
    name = name.substr(1, name.find(']') - 1);
  } else if (const auto colon = name.find(':'); colon == name.rfind(':') && is_port(name, colon)) {
    name.resize(colon);
  }
  const bool address = is_ip_address(name);
  if (!address && !is_dns_name(name))
    throw Error(
        PIPE_E_INVALID, fmt::format("\"{}\" is no host that a certificate can be for", text),
        "give a DNS name or an IP address, such as registry.lan or 10.0.0.7; a port after it is left out");
  if (!address)
    std::ranges::transform(name, name.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    });
  return {name, address};
}

Certificate::Certificate(X509 *certificate) : certificate_(certificate, X509_free) {
  if (certificate == nullptr) throw std::bad_alloc();
}

Certificate Certificate::authority(const std::string &name, const Key &key, Days valid) {
  const Certificate made(X509_new());
  const auto now = Clock::now();
  fill(made.get(), name, key, now - kBackdated, now + valid);
  require(X509_set_issuer_name(made.get(), X509_get_subject_name(made.get())) == 1, "the issuer");
  add_extension(made.get(), made.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(made.get(), made.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(made.get(), made.get(), NID_subject_key_identifier, "hash");
  sign(made.get(), key);
  return made;
}

Certificate Certificate::server(const std::vector<Host> &hosts, const Key &key, const Certificate &authority,
                                const Key &authority_key, Days valid) {
  const Certificate made(X509_new());
  const auto now = Clock::now();
  // A common name has 64 characters at most; clients read subjectAltName.
  fill(made.get(), hosts.front().name.substr(0, 64), key, std::max(now - kBackdated, authority.begin()),
       std::min<Clock::time_point>(now + valid, authority.end()));
  require(X509_set_issuer_name(made.get(), X509_get_subject_name(authority.get())) == 1, "the issuer");
  add_extension(made.get(), authority.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(made.get(), authority.get(), NID_key_usage, "critical,digitalSignature");
  add_extension(made.get(), authority.get(), NID_ext_key_usage, "serverAuth");
  add_extension(made.get(), authority.get(), NID_subject_key_identifier, "hash");
  add_extension(made.get(), authority.get(), NID_authority_key_identifier, "keyid");
  add_alternative_names(made.get(), hosts);
  sign(made.get(), authority_key);
  return made;
}

std::vector<Certificate> Certificate::parse(const std::string &pem) {
  std::vector<Certificate> all;
  const Bio in = reader(pem);
  while (X509 *certificate = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr))
    all.push_back(Certificate(certificate));
  ERR_clear_error();  // the last one says "no start line"
  return all;
}

std::string Certificate::pem() const {
  const Bio out = memory();
  require(PEM_write_bio_X509(out.get(), get()) == 1, "writing a certificate");
  return content(out.get());
}

std::string Certificate::subject() const {
  return name_text(X509_get_subject_name(get()));
}
std::string Certificate::issuer() const {
  return name_text(X509_get_issuer_name(get()));
}

std::string Certificate::fingerprint() const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  require(X509_digest(get(), EVP_sha256(), digest.data(), &size) == 1, "hashing a certificate");
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest.at(i));
  return text;
}

Clock::time_point Certificate::begin() const {
  return time_of(X509_get0_notBefore(get()));
}
Clock::time_point Certificate::end() const {
  return time_of(X509_get0_notAfter(get()));
}
bool Certificate::is_authority() const {
  return X509_check_ca(get()) == 1;
}
bool Certificate::may_serve() const {
  const std::uint32_t usage = X509_get_extended_key_usage(get());
  return usage == UINT32_MAX || (usage & XKU_SSL_SERVER) != 0;
}
bool Certificate::has_alternative_names() const {
  return alternative_names(get()) != nullptr;
}

std::vector<std::string> Certificate::names() const {
  std::vector<std::string> all;
  const Names names = alternative_names(get());
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int kind = 0;
    const void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &kind);
    const auto *text = static_cast<const ASN1_STRING *>(value);
    if (kind == GEN_DNS)
      all.emplace_back(reinterpret_cast<const char *>(ASN1_STRING_get0_data(text)),
                       static_cast<std::size_t>(ASN1_STRING_length(text)));
    if (kind == GEN_IPADD) all.push_back(address_text(text));
  }
  std::ranges::sort(all);
  return all;
}

bool Certificate::is_for(const Host &host) const {
  if (host.is_address) return X509_check_ip_asc(get(), host.name.c_str(), 0) == 1;
  // A wildcard is asked for as what it stands for.
  const std::string name = host.name.starts_with("*.") ? "any" + host.name.substr(1) : host.name;
  return X509_check_host(get(), name.data(), name.size(), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1;
}

bool Certificate::has(const Key &key) const {
  const bool same = X509_check_private_key(get(), key.get()) == 1;
  ERR_clear_error();
  return same;
}

bool Certificate::signed_by(const Certificate &authority) const {
  const bool good = X509_verify(get(), X509_get0_pubkey(authority.get())) == 1;
  ERR_clear_error();
  return good;
}

std::string chain_problem(const std::vector<Certificate> &chain, const std::vector<Certificate> &roots) {
  const Store store(X509_STORE_new());
  const StoreContext context(X509_STORE_CTX_new());
  const Stack rest(sk_X509_new_null());
  if (!store || !context || !rest) throw std::bad_alloc();
  for (const Certificate &root : roots) X509_STORE_add_cert(store.get(), root.get());
  if (roots.empty()) X509_STORE_set_default_paths(store.get());
  for (std::size_t i = 1; i < chain.size(); ++i) sk_X509_push(rest.get(), chain[i].get());
  require(X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), rest.get()) == 1,
          "checking a chain");
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_SERVER);
  // As Go and OpenSSL's own clients: an intermediate that was named as a root is one.
  X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_PARTIAL_CHAIN);
  const bool good = X509_verify_cert(context.get()) == 1;
  const int problem = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  return good ? std::string() : X509_verify_cert_error_string(problem);
}

std::string date_text(Clock::time_point time) {
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(Clock::to_time_t(time)));
}

}  // namespace certificate
