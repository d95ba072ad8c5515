#include "tar.hpp"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <pipe/error.hpp>

#include "file.hpp"

namespace pipes::oci {
namespace {

constexpr std::size_t kMaxMembers = 1u << 20;
constexpr std::uint64_t kMaxExtended = 1u << 20;   // of one pax header or GNU long name
constexpr std::uint64_t kMaxOctal = 077777777777;  // what a field of 12 bytes holds

/// A header block (POSIX.1-2017, pax, "ustar Interchange Format").
struct Header {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6],
      version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
static_assert(sizeof(Header) == kTarBlock);

template <std::size_t size>
void put_text(char (&field)[size], std::string_view text) {
  text.copy(field, size);
}

template <std::size_t size>
void put_octal(char (&field)[size], std::uint64_t value) {
  put_text(field, fmt::format("{:0{}o}", value, size - 1));
}

unsigned int checksum_of(const Header &header) {
  Header blank = header;
  std::memset(blank.checksum, ' ', sizeof blank.checksum);
  unsigned int sum = 0;
  for (const unsigned char byte : std::string_view(reinterpret_cast<const char *>(&blank), sizeof blank))
    sum += byte;
  return sum;
}

/// "<length> <key>=<value>\n", where the length counts itself.
std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t body = key.size() + value.size() + 3;
  std::size_t length = body + 1;
  while (std::to_string(length).size() + body != length) length = std::to_string(length).size() + body;
  return fmt::format("{} {}={}\n", length, key, value);
}

std::string block_of(const TarEntry &entry, char type) {
  Header header{};
  put_text(header.name, entry.path);
  put_octal(header.mode, entry.mode);
  put_octal(header.uid, std::min<std::uint32_t>(entry.uid, 07777777));
  put_octal(header.gid, std::min<std::uint32_t>(entry.gid, 07777777));
  put_octal(header.size, std::min(entry.size, kMaxOctal));
  put_octal(header.mtime, entry.mtime < 0 ? 0 : std::min(static_cast<std::uint64_t>(entry.mtime), kMaxOctal));
  header.type = type;
  put_text(header.link, entry.link);
  std::memcpy(header.magic, "ustar", sizeof header.magic);
  std::memset(header.version, '0', sizeof header.version);
  put_octal(header.major, 0);
  put_octal(header.minor, 0);
  put_text(header.checksum, fmt::format("{:06o}", checksum_of(header)));
  header.checksum[7] = ' ';
  return {reinterpret_cast<const char *>(&header), sizeof header};
}

bool fits(std::string_view text, std::size_t size) {
  return text.size() <= size && std::ranges::all_of(text, [](char c) { return c >= ' ' && c < '\x7f'; });
}

}  // namespace

std::string tar_header(const TarEntry &entry) {
  std::string records;
  if (!fits(entry.path, sizeof Header::name)) records += pax_record("path", entry.path);
  if (!fits(entry.link, sizeof Header::link)) records += pax_record("linkpath", entry.link);
  if (entry.size > kMaxOctal) records += pax_record("size", std::to_string(entry.size));
  if (entry.uid > 07777777) records += pax_record("uid", std::to_string(entry.uid));
  if (entry.gid > 07777777) records += pax_record("gid", std::to_string(entry.gid));
  if (entry.mtime < 0) records += pax_record("mtime", std::to_string(entry.mtime));
  std::string result;
  if (!records.empty()) {
    result = block_of({.path = "PaxHeaders/entry", .size = records.size()}, 'x') + records;
    result.append(tar_padding(records.size()), '\0');
  }
  return result + block_of(entry, static_cast<char>(entry.type));
}

namespace {

/// Understands an archive header by header.
class Headers {
 public:
  /// What follows a header.
  struct Next {
    enum class Kind { end, extended, other, member } kind = Kind::end;
    std::uint64_t size = 0;                // of the content that follows, without its padding
    std::optional<TarMember> member = {};  // its offset is for the caller to set
  };

  explicit Headers(std::string what) : what_(std::move(what)) {}

  [[noreturn]] void bad(const std::string &why) const {
    throw sdk::Error(PIPE_E_INVALID, fmt::format("{} is no tar archive that can be read: {}", what_, why));
  }
  [[noreturn]] void cut_off() const {
    throw sdk::Error(PIPE_E_MISMATCH, fmt::format("{} is cut off: its end is missing", what_),
                     "fetch or write that file again");
  }

  /// `block` has kTarBlock bytes. The content of Kind::extended is to be given to `extend` next.
  Next read(const char *block) {
    Header header{};
    std::memcpy(&header, block, sizeof header);
    if (is_zero(header)) return {};
    if (number(header.checksum) != checksum_of(header)) bad("the checksum of an entry is wrong");
    if (++count_ > kMaxMembers) bad("it has too many entries");
    std::uint64_t size = number(header.size);
    const char type = header.type;
    if (type == 'x' || type == 'L' || type == 'K') {
      if (size > kMaxExtended) bad("a header of an entry is too large");
      extended_type_ = type;
      return {Next::Kind::extended, size};
    }
    if (type == 'g' || type == 'V') return {Next::Kind::other, size};
    if (type == 'S' || sparse_) bad("it has a sparse file");
    if (next_size_) size = *next_size_;
    std::string path = path_in(header);
    std::string link = next_link_ ? std::move(*next_link_) : std::string(text(header.link));
    next_path_.reset();
    next_link_.reset();
    next_size_.reset();

    const bool is_file = type == '0' || type == '\0' || type == '7';
    if (is_file && !path.ends_with('/'))
      return {Next::Kind::member, size, TarMember{tidy(path), TarType::file, {}, 0, size}};
    // Links and folders have no content, whatever their header says.
    if (is_file) return {Next::Kind::member, 0, TarMember{tidy(path), TarType::folder, {}, 0, 0}};
    if (type == '1' || type == '2' || type == '5')
      return {Next::Kind::member, 0, TarMember{tidy(path), TarType(type), std::move(link), 0, 0}};
    return {Next::Kind::other, type == '3' || type == '4' || type == '6' ? 0 : size};
  }

  void extend(std::string bytes) {
    if (extended_type_ != 'x') {
      bytes.resize(strnlen(bytes.data(), bytes.size()));
      (extended_type_ == 'L' ? next_path_ : next_link_) = std::move(bytes);
      return;
    }
    for (std::string_view rest = bytes; !rest.empty();) {
      const std::size_t space = rest.find(' ');
      if (space == std::string_view::npos) bad("a pax header is broken");
      const std::uint64_t length = parse(rest.substr(0, space), 10);
      if (length <= space + 1 || length > rest.size() || rest[length - 1] != '\n')
        bad("a pax header is broken");
      const std::string_view record = rest.substr(space + 1, length - space - 2);
      rest.remove_prefix(length);
      const std::size_t equals = record.find('=');
      if (equals == std::string_view::npos) bad("a pax header is broken");
      const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
      if (key == "path") next_path_ = value;
      if (key == "linkpath") next_link_ = value;
      if (key == "size") next_size_ = parse(value, 10);
      if (key.starts_with("GNU.sparse.")) sparse_ = true;
    }
  }

 private:
  static bool is_zero(const Header &header) {
    const std::string_view bytes(reinterpret_cast<const char *>(&header), sizeof header);
    return bytes.find_first_not_of('\0') == std::string_view::npos;
  }

  template <std::size_t size>
  static std::string_view text(const char (&field)[size]) {
    return {field, strnlen(field, size)};
  }

  template <std::size_t size>
  std::uint64_t number(const char (&field)[size]) const {
    if ((static_cast<unsigned char>(field[0]) & 0x80U) != 0) {  // GNU: binary, big-endian
      std::uint64_t value = static_cast<unsigned char>(field[0]) & 0x7fU;
      for (std::size_t i = 1; i < size; ++i) {
        if (value >> 55 != 0) bad("a number in it is too large");
        value = value << 8 | static_cast<unsigned char>(field[i]);
      }
      return value;
    }
    std::string_view digits = text(field);
    while (!digits.empty() && digits.front() == ' ') digits.remove_prefix(1);
    while (!digits.empty() && digits.back() == ' ') digits.remove_suffix(1);
    return parse(digits, 8);
  }

  std::uint64_t parse(std::string_view digits, int base) const {
    std::uint64_t value = 0;
    if (digits.empty()) return 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (error != std::errc{} || end != digits.data() + digits.size()) bad("a number in it is none");
    return value;
  }

  std::string path_in(const Header &header) const {
    if (next_path_) return *next_path_;
    const std::string_view prefix = std::string_view(header.magic, 6) == std::string_view("ustar\0", 6)
                                        ? text(header.prefix)
                                        : std::string_view();
    return prefix.empty() ? std::string(text(header.name)) : fmt::format("{}/{}", prefix, text(header.name));
  }

  static std::string tidy(std::string_view path) {
    for (bool changed = true; changed;) {
      changed = false;
      if (path.starts_with("./")) path.remove_prefix(2), changed = true;
      if (path.starts_with('/')) path.remove_prefix(1), changed = true;
    }
    while (path.ends_with('/')) path.remove_suffix(1);
    return std::string(path);
  }

  std::string what_;
  std::size_t count_ = 0;
  char extended_type_ = 'x';
  // What extended headers say of the next entry.
  std::optional<std::string> next_path_, next_link_;
  std::optional<std::uint64_t> next_size_;
  bool sparse_ = false;
};

/// Reads a tar file from its start, header by header.
class Lister {
 public:
  Lister(int fd, const std::filesystem::path &path) : fd_(fd), path_(path), headers_(path.string()) {
    struct stat status {};
    if (fstat(fd, &status) != 0) throw_io("read", path, errno);
    end_ = static_cast<std::uint64_t>(status.st_size);
  }

  std::vector<TarMember> list() {
    std::vector<TarMember> members;
    std::array<char, kTarBlock> block{};
    while (next_ + kTarBlock <= end_) {
      read_at(next_, block.data(), block.size());
      Headers::Next next = headers_.read(block.data());
      if (next.kind == Headers::Next::Kind::end) return members;
      next_ += kTarBlock;
      const std::uint64_t offset = next_;
      skip(next.size);
      if (next.kind == Headers::Next::Kind::extended) {
        std::string bytes(static_cast<std::size_t>(next.size), '\0');
        read_at(offset, bytes.data(), bytes.size());
        headers_.extend(std::move(bytes));
      }
      if (next.member) {
        next.member->offset = offset;
        members.push_back(*std::move(next.member));
      }
    }
    if (members.empty()) headers_.bad("it is too short");
    if (next_ > end_) headers_.cut_off();
    return members;  // some writers leave the end marks out
  }

 private:
  void read_at(std::uint64_t offset, void *to, std::size_t size) const {
    char *next = static_cast<char *>(to);
    while (size > 0) {
      const ssize_t count = pread(fd_, next, size, static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw_io("read", path_, errno);
      if (count == 0) headers_.cut_off();
      next += count;
      offset += static_cast<std::uint64_t>(count);
      size -= static_cast<std::size_t>(count);
    }
  }

  void skip(std::uint64_t size) {
    if (size > end_ || next_ + size > end_) headers_.cut_off();
    next_ += size + tar_padding(size);
  }

  int fd_;
  std::filesystem::path path_;
  Headers headers_;
  std::uint64_t next_ = 0, end_ = 0;
};

}  // namespace

std::vector<TarMember> list_tar(int fd, const std::filesystem::path &path) {
  return Lister(fd, path).list();
}

struct TarStream::State {
  State(std::string what, TarVisitor &to) : headers(std::move(what)), visitor(to) {}

  void take_header() {
    Headers::Next next = headers.read(block.data());
    kind = next.kind;
    if (kind == Headers::Next::Kind::end) return;
    left = next.size;
    padding = tar_padding(next.size);
    if (next.member) {
      any = true;
      next.member->offset = offset;
      visitor.begin(*next.member);
    }
    extended.clear();
    if (left == 0) end_content();
  }

  void take_content(const char *data, std::size_t size) {
    if (kind == Headers::Next::Kind::extended) extended.append(data, size);
    if (kind == Headers::Next::Kind::member) visitor.content(data, size);
    left -= size;
    if (left == 0) end_content();
  }

  void end_content() {
    if (kind == Headers::Next::Kind::extended) headers.extend(std::move(extended));
    if (kind == Headers::Next::Kind::member) visitor.end();
  }

  Headers headers;
  TarVisitor &visitor;
  std::array<char, kTarBlock> block{};
  std::size_t filled = 0;  // of block
  Headers::Next::Kind kind = Headers::Next::Kind::other;
  std::uint64_t offset = 0, left = 0, padding = 0;
  std::string extended;
  bool any = false;
};

TarStream::TarStream(std::string what, TarVisitor &visitor)
    : state_(std::make_unique<State>(std::move(what), visitor)) {}
TarStream::~TarStream() = default;

void TarStream::write(const char *data, std::size_t size) {
  State &state = *state_;
  while (size > 0 && state.kind != Headers::Next::Kind::end) {
    const std::uint64_t wanted = state.left > 0      ? state.left
                                 : state.padding > 0 ? state.padding
                                                     : kTarBlock - state.filled;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(size, wanted));
    state.offset += count;
    if (state.left > 0) {
      state.take_content(data, count);
    } else if (state.padding > 0) {
      state.padding -= count;
    } else {
      std::copy_n(data, count, state.block.data() + state.filled);
      state.filled = (state.filled + count) % kTarBlock;
      if (state.filled == 0) state.take_header();
    }
    data += count;
    size -= count;
  }
}

void TarStream::finish() {
  const State &state = *state_;
  if (state.kind == Headers::Next::Kind::end) return;
  if (!state.any) state.headers.bad("it is too short");
  if (state.left > 0 || state.padding > 0 || state.filled > 0) state.headers.cut_off();
}

}  // namespace pipes::oci
