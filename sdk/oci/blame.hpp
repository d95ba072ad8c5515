#pragma once
// Which side of a copy failed. For .cpp files of this folder only.
#include <pipe/error.hpp>

#include <atomic>

namespace pipes::oci {

/// Any thread may call any member.
class Blame {
 public:
  /// Calls `work`, and remembers if it throws an error; one who was only told to stop did not fail.
  template <class Work>
  auto watch(Work work) {
    try {
      return work();
    } catch (const sdk::Error &error) {
      if (error.status != PIPE_E_CANCELLED) failed_ = true;
      throw;
    }
  }
  bool failed() const { return failed_; }

 private:
  std::atomic<bool> failed_ = false;
};

}  // namespace pipes::oci
