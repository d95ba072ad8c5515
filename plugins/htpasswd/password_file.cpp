#include "password_file.hpp"

#include <pipe/error.hpp>

#include <algorithm>

#include <fmt/core.h>

#include "bcrypt.hpp"

namespace htpasswd {
namespace {

using pipes::sdk::Error;

/// bcrypt is asked at each request of a push; from here on people notice.
constexpr unsigned kSlowCost = 12;

}  // namespace

PasswordFile::PasswordFile(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    Line line{.text = std::string(text.substr(0, end)), .user = {}, .hash = {}};
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::size_t colon = line.text.find(':');
    if (!line.text.starts_with('#') && colon != std::string::npos && colon > 0) {
      line.user = line.text.substr(0, colon);
      line.hash = line.text.substr(colon + 1);
    }
    lines_.push_back(std::move(line));
  }
}

std::string PasswordFile::text() const {
  std::string all;
  for (const Line &line : lines_) all += line.text + "\n";
  return all;
}

std::optional<std::string> PasswordFile::hash(const std::string &user) const {
  const auto found = std::ranges::find(lines_, user, &Line::user);
  if (found == lines_.end()) return std::nullopt;
  return found->hash;
}

std::vector<std::string> PasswordFile::users() const {
  std::vector<std::string> names;
  for (const Line &line : lines_)
    if (!line.user.empty() && std::ranges::count(names, line.user) == 0) names.push_back(line.user);
  return names;
}

std::vector<std::string> PasswordFile::twice() const {
  std::vector<std::string> names;
  for (const std::string &user : users())
    if (std::ranges::count(lines_, user, &Line::user) > 1) names.push_back(user);
  return names;
}

void PasswordFile::set(const std::string &user, const std::string &hash) {
  const Line entry{.text = user + ":" + hash, .user = user, .hash = hash};
  const auto first = std::ranges::find(lines_, user, &Line::user);
  if (first == lines_.end()) {
    lines_.push_back(entry);
    return;
  }
  *first = entry;
  lines_.erase(std::remove_if(first + 1, lines_.end(), [&](const Line &line) { return line.user == user; }),
               lines_.end());
}

bool PasswordFile::remove(const std::string &user) {
  return std::erase_if(lines_, [&](const Line &line) { return line.user == user; }) > 0;
}

std::vector<std::string> PasswordFile::remarks() const {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    const Line &line = lines_[i];
    if (line.user.empty()) {
      const bool blank = line.text.find_first_not_of(" \t\r") == std::string::npos;
      if (!blank && !line.text.starts_with('#'))
        all.push_back(fmt::format(
            "line {}: it is no entry, NAME:HASH, and the registry refuses the whole file", i + 1));
      continue;
    }
    const std::optional<unsigned> cost = cost_of(line.hash);
    if (line.hash.ends_with('\r'))
      all.push_back(
          fmt::format("line {}: the entry of {} ends with a carriage return, and its password is refused",
                      i + 1, line.user));
    else if (const std::string_view kind = foreign_kind(line.hash); !kind.empty())
      all.push_back(fmt::format(
          "line {}: the password of {} is hashed with {}, and a registry takes bcrypt only: it is refused",
          i + 1, line.user, kind));
    else if (cost && *cost > kSlowCost)
      all.push_back(
          fmt::format("line {}: the password of {} has cost {}, which is paid at each request of a push",
                      i + 1, line.user, *cost));
  }
  for (const std::string &user : twice())
    all.push_back(
        fmt::format("{} has two entries, and which one counts differs from program to program", user));
  return all;
}

std::string_view foreign_kind(const std::string &hash) {
  if (cost_of(hash)) return {};
  if (hash.starts_with("$apr1$") || hash.starts_with("$1$")) return "MD5";
  if (hash.starts_with("{SHA}")) return "SHA-1";
  if (hash.starts_with("$5$")) return "SHA-256";
  if (hash.starts_with("$6$")) return "SHA-512";
  return "something else than bcrypt";
}

void check_user(const std::string &user) {
  const auto control = [](unsigned char c) { return c < ' ' || c == 0x7f; };
  if (user.empty() || user.starts_with('#') || user.find(':') != std::string::npos ||
      std::ranges::any_of(user, control))
    throw Error(PIPE_E_INVALID, fmt::format("\"{}\" is no name of a user", user),
                "a name has no colon and no line end, and does not begin with #");
}

void check_password(const std::string &user, const std::string &password) {
  if (password.empty())
    throw Error(PIPE_E_INVALID, fmt::format("the password of {} is empty", user),
                "give one by a secret; `openssl rand -base64 24` makes one");
  if (password.size() > kLongestPassword)
    throw Error(PIPE_E_INVALID,
                fmt::format("the password of {} has {} bytes, and bcrypt looks at {} only", user,
                            password.size(), kLongestPassword),
                "give a shorter one; `openssl rand -base64 24` makes one");
  if (password.find('\0') != std::string::npos || password.find('\n') != std::string::npos)
    throw Error(PIPE_E_INVALID, fmt::format("the password of {} has more than one line", user),
                "give it in one line");
}

}  // namespace htpasswd
