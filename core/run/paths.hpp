#pragma once
#include "core/base/fd.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace pipes {

/// $XDG_STATE_HOME/pipe, else ~/.local/state/pipe. Throws pipes::Error if there is no home either.
std::filesystem::path state_home();
/// Where a pipeline's memory is: its name, and a hash of where its file lies, so that two pipelines of
/// one name do not take each other's things away.
std::filesystem::path memory_folder(const std::string &pipeline, const std::string &file);
/// By which one sees that a file was edited; empty if it cannot be read.
std::string file_hash(const std::string &file);
/// `name` as one file name: other characters than letters, digits, `._-` as %XX, long ones shortened.
std::string file_name(std::string_view name);
/// Replaces a file whole: partial file, rename, and (durable) fsync of file and folder. Throws
/// std::system_error.
void write_file(const std::filesystem::path &, std::string_view bytes, bool durable);

/// Held for the length of a run, so that two runs of one pipeline do not interleave.
class PipelineLock {
 public:
  /// The lock of a memory folder, if nobody else has it.
  static PipelineLock try_lock(const std::filesystem::path &folder);
  /// Waits for it.
  void wait();
  bool held() const { return held_; }

 private:
  UniqueFd file_;
  bool held_ = false;
};

}  // namespace pipes
