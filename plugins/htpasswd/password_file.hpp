#pragma once
// An htpasswd file as text: lines of others keep their place, and comments stay.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace htpasswd {

class PasswordFile {
 public:
  PasswordFile() = default;
  explicit PasswordFile(std::string_view text);
  std::string text() const;

  /// The hash of a user; of one who is there twice the first, as Distribution takes the last and Apache the
  /// first: `twice` says so.
  std::optional<std::string> hash(const std::string &user) const;
  std::vector<std::string> users() const;  // in their order, each once
  std::vector<std::string> twice() const;
  /// In the place of the user's line; a new one comes last. Further lines of the user go.
  void set(const std::string &user, const std::string &hash);
  bool remove(const std::string &user);

  /// What Distribution would make of the file, that its owner should know: "line 3: …".
  std::vector<std::string> remarks() const;

 private:
  struct Line {
    std::string text, user, hash;  // user: empty of a comment and of what is no entry
  };
  std::vector<Line> lines_;
};

/// What a hash is that is not bcrypt: "MD5 (apr1)", "SHA-1", "crypt"; empty of bcrypt.
std::string_view foreign_kind(const std::string &hash);

/// Throws PIPE_E_INVALID where a name can't stand in such a file, or a password can't be told from others.
void check_user(const std::string &user);
void check_password(const std::string &user, const std::string &password);

}  // namespace htpasswd
