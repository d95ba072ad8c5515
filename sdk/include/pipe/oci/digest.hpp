#pragma once
// Content digests (OCI image-spec, descriptor.md, "Digests").
#include <compare>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace pipes::oci {

/// `algorithm:hex`, validated: sha256 or sha512, exact length, lower case. Safe in a path or a URL.
class Digest {
 public:
  /// Throws sdk::Error{PIPE_E_INVALID}.
  static Digest parse(std::string_view text);
  static std::optional<Digest> try_parse(std::string_view text);

  const std::string &str() const { return text_; }
  std::string_view algorithm() const { return std::string_view(text_).substr(0, text_.find(':')); }
  std::string_view hex() const { return std::string_view(text_).substr(text_.find(':') + 1); }
  /// `sha256:0123456789ab`, for people.
  std::string brief() const;
  auto operator<=>(const Digest &) const = default;

 private:
  explicit Digest(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// Computes a digest piece by piece.
class Hasher {
 public:
  explicit Hasher(std::string_view algorithm = "sha256");
  ~Hasher();
  Hasher(Hasher &&) noexcept;
  Hasher &operator=(Hasher &&) noexcept;
  void update(const void *data, std::size_t size);
  void update(std::string_view data) { update(data.data(), data.size()); }
  /// The digest of everything so far; call once.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest digest_of(std::string_view bytes, std::string_view algorithm = "sha256");

}  // namespace pipes::oci
