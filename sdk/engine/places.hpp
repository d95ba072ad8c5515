#pragma once
// Where things lie for the user that runs us.
#include <filesystem>
#include <optional>
#include <string>

namespace pipes::engine {

/// An environment variable; empty and unset are the same.
std::string env(const char *name);
std::filesystem::path home();
/// $XDG_STATE_HOME/pipe, else ~/.local/state/pipe.
std::filesystem::path state_folder();
/// $XDG_RUNTIME_DIR; /run for root; nothing elsewhere.
std::optional<std::filesystem::path> runtime_folder();
/// $PATH, and behind it the usual folders: the $PATH of a user, which `su` leaves to root, lacks those of
/// iptables.
std::string program_folders();
/// The program of that name in one of program_folders(); empty if there is none.
std::filesystem::path find_program(const char *name);
/// Writes by a temporary file and rename; `mode` as in open(2). False where that fails (errno says why).
bool write_atomically(const std::filesystem::path &file, const std::string &text, unsigned mode);
/// The whole of a small file, or empty.
std::string read_text(const std::filesystem::path &file);

}  // namespace pipes::engine
