#include "core/pipeline/source.hpp"

#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/base/fd.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace pipes {
namespace {

constexpr std::size_t kMaxFile = 256U << 20;

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

/// Walks through a TOML string as it is written and says what each piece stands for.
class RawString {
 public:
  RawString(std::string_view text, std::size_t start) : text_(text), at_(start) {
    const char quote = at_ < text_.size() ? text_[at_] : '"';
    escapes_ = quote == '"';
    const std::string three(3, quote);
    is_multiline_ = text_.substr(at_, 3) == three;
    at_ += is_multiline_ ? 3 : 1;
    if (!is_multiline_) return;
    // A newline right after the opening quotes is no part of the value.
    if (text_.substr(at_, 2) == "\r\n") {
      at_ += 2;
    } else if (text_.substr(at_, 1) == "\n") {
      at_ += 1;
    }
  }

  std::size_t at() const { return at_; }

  /// Moves behind the next piece and returns how many bytes of the value it is.
  std::size_t next() {
    if (at_ >= text_.size()) return 0;
    if (!escapes_ || text_[at_] != '\\' || at_ + 1 >= text_.size()) {
      ++at_;
      return 1;
    }
    const char escape = text_[at_ + 1];
    if (escape == 'u' || escape == 'U') {
      const std::size_t digits = escape == 'u' ? 4 : 8;
      const std::size_t bytes = encoded_size(text_.substr(std::min(at_ + 2, text_.size()), digits));
      at_ = std::min(at_ + 2 + digits, text_.size());
      return bytes;
    }
    if (is_multiline_ && (escape == '\n' || escape == '\r' || escape == ' ' || escape == '\t')) {
      at_ = std::min(text_.find_first_not_of(" \t\r\n", at_ + 1), text_.size());
      return 0;
    }
    at_ += 2;
    return 1;
  }

 private:
  static std::size_t encoded_size(std::string_view hex) {
    const unsigned long point = std::strtoul(std::string(hex).c_str(), nullptr, 16);
    return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }

  std::string_view text_;
  std::size_t at_;
  bool escapes_ = false, is_multiline_ = false;
};

/// The file beside it that may have been meant.
std::string missing_hint(const std::filesystem::path &path) {
  std::vector<std::string> names;
  std::error_code error;
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".toml") names.push_back(entry->path().filename().string());
  }
  const std::string close = closest(path.filename().string(), names);
  return close.empty()
             ? "check the path; the pipelines that come with pipe are in PREFIX/share/pipe/pipelines"
             : fmt::format("did you mean `{}`?", (path.parent_path() / close).string());
}

}  // namespace

Source::Source(std::string path, std::string text) : path_(std::move(path)), text_(std::move(text)) {
  lines_.push_back(0);
  for (std::size_t at = text_.find('\n'); at != std::string::npos; at = text_.find('\n', at + 1)) {
    lines_.push_back(at + 1);
  }
}

Source Source::read(const std::string &path) {
  const auto fail = [&](const std::string &why, const std::string &hint) {
    return Error(Exit::invalid, fmt::format("cannot read {}: {}", path, why), hint);
  };
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) throw fail("there is no such file", missing_hint(path));
  if (!fd) throw fail(std::strerror(errno), "check its permissions");
  struct stat info {};
  if (::fstat(fd.get(), &info) == 0 && S_ISDIR(info.st_mode))
    throw fail("it is a folder", "name a .toml file in it");
  std::string text;
  std::string chunk(1U << 16, '\0');
  for (;;) {
    const ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw fail(std::strerror(errno), "");
    if (got == 0) break;
    text.append(chunk, 0, static_cast<std::size_t>(got));
    if (text.size() > kMaxFile) throw fail(fmt::format("it is larger than {} MiB", kMaxFile >> 20), "");
  }
  return {path, std::move(text)};
}

Place Source::place(const Spot &spot) const {
  return {path_, static_cast<int>(spot.line), static_cast<int>(spot.column), static_cast<int>(spot.length)};
}

std::string_view Source::line(std::uint32_t number) const {
  if (number == 0 || number > lines_.size()) return {};
  const std::size_t begin = lines_[number - 1];
  return std::string_view(text_).substr(begin, std::min(text_.find('\n', begin), text_.size()) - begin);
}

std::size_t Source::offset(std::uint32_t line, std::uint32_t column) const {
  if (line == 0 || line > lines_.size()) return text_.size();
  std::size_t at = lines_[line - 1];
  if (line == 1 && text_.starts_with("\xEF\xBB\xBF")) at += 3;
  for (; column > 1 && at < text_.size(); --column) {
    ++at;
    while (at < text_.size() && continues_character(text_[at])) ++at;
  }
  return at;
}

Spot Source::inside(const Spot &string, std::size_t begin, std::size_t end) const {
  RawString raw(text_, offset(string.line, string.column));
  std::size_t decoded = 0;
  // Pieces that stand for nothing (a line that is continued) belong to what comes before them.
  std::size_t first = raw.at();
  while (decoded <= begin && raw.at() < text_.size()) {
    first = raw.at();
    decoded += raw.next();
  }
  std::size_t last = first;
  while (decoded < end && raw.at() < text_.size()) decoded += raw.next();
  last = std::max(first + 1, raw.at());

  const auto next_line = std::upper_bound(lines_.begin(), lines_.end(), first);
  const auto line = static_cast<std::size_t>(next_line - lines_.begin());
  const auto characters = [&](std::size_t from, std::size_t to) {
    std::uint32_t count = 0;
    for (std::size_t at = from; at < std::min(to, text_.size()); ++at) {
      count += continues_character(text_[at]) ? 0 : 1;
    }
    return count;
  };
  const std::size_t line_end = std::min(text_.find('\n', first), text_.size());
  Spot spot;
  spot.line = spot.last_line = static_cast<std::uint32_t>(line);
  spot.column = characters(lines_[line - 1], first) + 1;
  spot.length = std::max(characters(first, std::min(last, line_end)), 1U);
  return spot;
}

}  // namespace pipes
