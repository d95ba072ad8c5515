#pragma once
// For tests of what is watched: who hears nothing, and can tell it to stop.
#include <pipe/error.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <string_view>

namespace pipes::sdk::testing {

class Quiet : public Observer {
 public:
  Quiet() : fd_(::eventfd(0, EFD_CLOEXEC)) {}
  ~Quiet() override { ::close(fd_); }
  Quiet(const Quiet &) = delete;
  Quiet &operator=(const Quiet &) = delete;

  void log(Level, std::string_view) override {}
  void progress(const Progress &) override {}
  bool cancelled() const override { return stopped_; }
  int cancel_fd() const override { return fd_; }
  void stop() {
    stopped_ = true;
    ::eventfd_write(fd_, 1);
  }

 private:
  int fd_;
  std::atomic<bool> stopped_ = false;
};

}  // namespace pipes::sdk::testing
