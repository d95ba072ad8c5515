#pragma once
// The one error of the SDK, and the seam through which its libraries are watched and stopped.
#include <pipe/plugin.h>

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace pipes::sdk {

/// Ends an operation. `status` decides what the runner does next; `message` says what failed, on
/// what and why (lower case, no secret in it); `hint` says what to do.
class Error : public std::exception {
 public:
  explicit Error(pipe_status why, std::string text, std::string remedy = {}, std::int64_t wait_ms = 0)
      : status(why), message(std::move(text)), hint(std::move(remedy)), retry_after_ms(wait_ms) {}
  const char *what() const noexcept override { return message.c_str(); }

  pipe_status status;
  std::string message, hint;
  std::int64_t retry_after_ms;  // 0, or how long the other side asked us to wait
};

enum class Level : std::int32_t { trace = 0, debug = 1, info = 2, warning = 3, error = 4 };

/// How far one part of an operation is. `id` 0 is the operation itself.
struct Progress {
  std::uint64_t id = 0, parent = 0;
  std::uint64_t done = 0, total = 0;  // total 0: not known yet
  bool bytes = true;
  std::string_view label{};
};

/// Watches a library call and can stop it. `Run` of plugin.hpp is one; tests have their own.
/// All members may be called from any thread.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void log(Level, std::string_view message) = 0;
  virtual void progress(const Progress &) = 0;
  virtual bool cancelled() const = 0;
  /// Readable once cancelled; -1 where there is none.
  virtual int cancel_fd() const = 0;

  /// Throws Error{PIPE_E_CANCELLED} once cancelled.
  void check_cancelled() const {
    if (cancelled()) throw Error(PIPE_E_CANCELLED, "cancelled");
  }
};

}  // namespace pipes::sdk
