#pragma once
// One blob's download: goes on where it broke off, and by several connections where one is slow. For .cpp
// files of this folder only.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "registry_session.hpp"

namespace pipes::oci {

/// Passes on a blob's bytes in order, from an offset on and not beyond the end.
class Download {
 public:
  /// Makes the request for the blob; the argument is what Range says after "bytes=", or empty.
  using CallFor = std::function<Call(const std::string &range)>;

  Download(Session &, const Descriptor &, std::string name, const http::Sink &, std::uint64_t offset,
           CallFor);

  /// Until all has come. Throws as Registry::get_blob.
  void run();

 private:
  struct Slow {};
  class Ranges;

  void stream();
  void start(const http::Response &response);
  void take(const char *data, std::size_t size);
  void pass_on(const char *data, std::size_t size);
  void look_at_speed();
  bool done() const { return at_ == blob_.size; }
  sdk::Error wrong_size(const std::string &size) const;

  Session &session_;
  const Descriptor &blob_;
  const std::string name_;
  const http::Sink &sink_;
  const CallFor call_for_;
  std::uint64_t at_, skip_ = 0;

  bool ranges_work_ = true;  // as far as is known
  bool resumes_ = true;      // else what is there already comes again, and is left out
  bool ranges_offered_ = false;
  std::uint64_t begun_at_ = 0;
  std::chrono::steady_clock::time_point begun_{};
  std::chrono::steady_clock::duration in_sink_{};
};

}  // namespace pipes::oci
