#pragma once
// tar, as much of it as images need: POSIX ustar with pax headers; GNU's long names when reading. For
// .cpp files of this folder only.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::oci {

enum class TarType : char { file = '0', hard_link = '1', symbolic_link = '2', folder = '5' };

struct TarEntry {
  std::string path;  // relative; a folder's ends with '/'
  TarType type = TarType::file;
  std::string link{};  // of links
  std::uint32_t mode = 0644;
  std::uint32_t uid = 0, gid = 0;
  std::int64_t mtime = 0;  // seconds since 1970
  std::uint64_t size = 0;  // of files
};

constexpr std::size_t kTarBlock = 512;
constexpr std::size_t kTarEnd = 2 * kTarBlock;  // zeros

/// What comes before an entry's content: one block, or three and more where ustar's fields are too small.
/// Nothing of it depends on the machine or the time.
std::string tar_header(const TarEntry &entry);
/// The zeros after a content of that size.
constexpr std::size_t tar_padding(std::uint64_t size) {
  return static_cast<std::size_t>((kTarBlock - size % kTarBlock) % kTarBlock);
}

/// An entry of an archive that is there, with the place of its content.
struct TarMember {
  std::string path;  // without "./", leading and trailing '/'
  TarType type;
  std::string link;  // as written
  std::uint64_t offset, size;
};

/// The files, links and folders of a tar file, in its order. Nothing is unpacked: paths are names to look
/// up, wherever they point. Throws sdk::Error{PIPE_E_INVALID} for what is no tar, PIPE_E_MISMATCH for one
/// that is cut off.
std::vector<TarMember> list_tar(int fd, const std::filesystem::path &path);

/// What is told of an archive that comes piece by piece.
class TarVisitor {
 public:
  virtual ~TarVisitor() = default;
  virtual void begin(const TarMember &) = 0;
  /// A file's content, in order; not called for an empty one.
  virtual void content(const char *data, std::size_t size) = 0;
  virtual void end() = 0;
};

/// Reads such an archive, with the same errors as list_tar.
class TarStream {
 public:
  /// `what` names the archive in errors.
  TarStream(std::string what, TarVisitor &);
  ~TarStream();
  void write(const char *data, std::size_t size);
  /// Call at the end of the input: throws if the archive is not whole.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pipes::oci
