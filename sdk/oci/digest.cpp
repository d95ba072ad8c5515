#include <pipe/error.hpp>
#include <pipe/oci/digest.hpp>

#include <openssl/evp.h>

#include <array>
#include <utility>

#include <fmt/core.h>

namespace pipes::oci {
namespace {

struct Algorithm {
  std::string_view name;
  std::size_t hex_length;
};
constexpr std::array kAlgorithms{Algorithm{"sha256", 64}, Algorithm{"sha512", 128}};
constexpr std::size_t kBriefHex = 12;

const Algorithm *find_algorithm(std::string_view name) {
  for (const Algorithm &algorithm : kAlgorithms)
    if (algorithm.name == name) return &algorithm;
  return nullptr;
}

bool is_lower_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// What is wrong with `text`, empty if nothing.
std::string problem(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return "there is no ':' between algorithm and hash";
  const Algorithm *algorithm = find_algorithm(text.substr(0, colon));
  if (algorithm == nullptr) return "the algorithm is neither sha256 nor sha512";
  const std::string_view hex = text.substr(colon + 1);
  if (hex.size() != algorithm->hex_length)
    return fmt::format("{} has {} hex digits, this has {}", algorithm->name, algorithm->hex_length,
                       hex.size());
  if (!is_lower_hex(hex)) return "only the digits 0-9 and a-f are allowed";
  return {};
}

/// EVP_get_digestbyname would look the implementation up again for each new context: fetched once, it
/// makes small digests three times as fast. Lives as long as the process.
const EVP_MD *fetched(std::string_view name) {
  static const EVP_MD *const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  static const EVP_MD *const sha512 = EVP_MD_fetch(nullptr, "SHA512", nullptr);
  if (find_algorithm(name) == nullptr)
    throw sdk::Error(PIPE_E_INVALID, fmt::format("unknown digest algorithm \"{}\"", name),
                     "use sha256 or sha512");
  return name == "sha512" ? sha512 : sha256;
}

[[noreturn]] void fail() {
  throw sdk::Error(PIPE_E_INTERNAL, "OpenSSL can't compute a digest");
}

}  // namespace

std::optional<Digest> Digest::try_parse(std::string_view text) {
  if (!problem(text).empty()) return std::nullopt;
  return Digest(std::string(text));
}

Digest Digest::parse(std::string_view text) {
  if (const std::string what = problem(text); !what.empty())
    throw sdk::Error(PIPE_E_INVALID, fmt::format("bad digest \"{}\": {}", text.substr(0, 160), what),
                     "a digest is sha256: and 64 hex digits in lower case");
  return Digest(std::string(text));
}

std::string Digest::brief() const {
  return fmt::format("{}:{}", algorithm(), hex().substr(0, kBriefHex));
}

struct Hasher::State {
  std::string algorithm;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Hasher::Hasher(std::string_view algorithm) : state_(std::make_unique<State>()) {
  const EVP_MD *type = fetched(algorithm);
  state_->algorithm = algorithm;
  if (type == nullptr || !state_->context || EVP_DigestInit_ex2(state_->context.get(), type, nullptr) != 1)
    fail();
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher &&) noexcept = default;
Hasher &Hasher::operator=(Hasher &&) noexcept = default;

void Hasher::update(const void *data, std::size_t size) {
  if (EVP_DigestUpdate(state_->context.get(), data, size) != 1) fail();
}

Digest Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned int size = 0;
  if (EVP_DigestFinal_ex(state_->context.get(), raw.data(), &size) != 1) fail();
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = state_->algorithm + ':';
  for (unsigned int i = 0; i < size; ++i) {
    text += kHex[raw[i] >> 4];
    text += kHex[raw[i] & 0xf];
  }
  return Digest::parse(text);
}

Digest digest_of(std::string_view bytes, std::string_view algorithm) {
  Hasher hasher(algorithm);
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace pipes::oci
