#pragma once
// Which blobs a target has, as one job got to know: each moves once. For .cpp files of this folder only.
#include <pipe/error.hpp>
#include <pipe/oci/digest.hpp>

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace pipes::oci {

/// Any thread may call any member.
class BlobBoard {
 public:
  /// What is to be done about a blob: nothing, as it is in the repository; or the caller's part, who says how
  /// it went by `settle`. `elsewhere` is another repository that has it.
  struct Answer {
    bool here = false;
    std::string elsewhere;
  };
  /// Waits while somebody else is at the same blob.
  Answer ask(const Digest &blob, const std::string &repository, const sdk::Observer &);
  void settle(const Digest &blob, const std::string &repository, bool there);

 private:
  struct Entry {
    bool taken = false;
    std::set<std::string> repositories;
  };
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Digest, Entry> blobs_;
};

}  // namespace pipes::oci
