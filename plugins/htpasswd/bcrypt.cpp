#include "bcrypt.hpp"

#include <pipe/error.hpp>

#include <crypt.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

namespace htpasswd {
namespace {

constexpr std::size_t kHashSize = 60;

/// 32 kB, cleared afterwards: libcrypt works in it.
struct Scratch {
  crypt_data data{};
  ~Scratch() { explicit_bzero(&data, sizeof data); }
};

std::string crypt_text(const std::string &password, const std::string &setting) {
  const auto scratch = std::make_unique<Scratch>();
  const char *hash = crypt_rn(password.c_str(), setting.c_str(), &scratch->data, sizeof scratch->data);
  return hash == nullptr ? std::string() : hash;
}

}  // namespace

std::string hash_of(const std::string &password, unsigned cost) {
  std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> setting{};
  // Without bytes of its caller's, libcrypt asks the kernel for random ones.
  if (crypt_gensalt_rn("$2y$", cost, nullptr, 0, setting.data(), static_cast<int>(setting.size())) == nullptr)
    throw std::system_error(errno, std::generic_category(), "making a salt");
  std::string hash = crypt_text(password, setting.data());
  if (hash.empty()) throw std::system_error(errno, std::generic_category(), "hashing a password");
  return hash;
}

bool matches(const std::string &password, const std::string &hash) {
  const std::string again = crypt_text(password, hash);
  return !again.empty() && again == hash;
}

std::optional<unsigned> cost_of(const std::string &hash) {
  const auto digit = [&](std::size_t at) { return hash[at] >= '0' && hash[at] <= '9'; };
  const bool bcrypt = hash.size() == kHashSize && hash.starts_with("$2") && hash[3] == '$' &&
                      hash[6] == '$' && (hash[2] == 'a' || hash[2] == 'b' || hash[2] == 'y');
  if (!bcrypt || !digit(4) || !digit(5)) return std::nullopt;
  return static_cast<unsigned>((hash[4] - '0') * 10 + (hash[5] - '0'));
}

}  // namespace htpasswd
