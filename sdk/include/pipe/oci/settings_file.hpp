#pragma once
// Files that other programs live by: keys, passwords, settings of an engine. They are replaced whole, and who
// may read them is part of them.
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace pipes::oci {

/// Whom a file belongs to; the group may be left as it is.
struct Owner {
  uid_t user = 0;
  std::optional<gid_t> group{};

  /// "1000", "1000:1000" or "self", which is the caller; nullopt of an empty text. PIPE_E_INVALID otherwise.
  static std::optional<Owner> parse(std::string_view text);
};

/// What is asked of a file or folder; what is not said stays as it is.
struct FileAccess {
  std::optional<mode_t> mode{};
  std::optional<Owner> owner{};
};

/// The whole file, at most 4 MiB; symbolic links are followed. nullopt if there is none; PIPE_E_IO if it is
/// no regular file or can't be read.
std::optional<std::string> read_settings(const std::filesystem::path &);

/// Replaces the file, so that a reader or a crash sees the old or the new content, never a mix; nobody sees
/// the content before `access` holds. Through a symbolic link, the file behind it. A new file is 0644 unless
/// `access` says otherwise; the folder is made if need be, and what killed runs had begun to write there is
/// removed. PIPE_E_IO, with what to do.
void write_settings(const std::filesystem::path &, std::string_view content, const FileAccess &access = {});

/// Whether mode and owner are as asked. False where there is nothing.
bool has_access(const std::filesystem::path &, const FileAccess &);
/// Makes them so. PIPE_E_IO, with what to do.
void set_access(const std::filesystem::path &, const FileAccess &);

/// True where it was made now; its parents are, too, as the process's umask has it.
bool make_folder(const std::filesystem::path &, const FileAccess &);

}  // namespace pipes::oci
