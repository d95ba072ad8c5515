#pragma once
// The small processes that all step processes are forked from.
#include "core/base/fd.hpp"

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pipes {

/// What a zygote says of a step process: that it ended, or could not be started.
struct ZygoteReport {
  std::uint32_t number = 0;
  int code = 0, signal = 0;
  int start_errno = 0;
};

/// The runner's handle of a zygote. The first is forked before a pipeline is read: so the cost of a step does
/// not grow with the pipeline, and no secret is in the memory that steps inherit. It keeps only the
/// environment variables that tools need (see environment.hpp). It forks, reaps and reports; once the
/// runner is gone, however that came about, it kills every step's process group.
class Zygote {
 public:
  /// Forks. The calling process must have one thread only. Throws pipes::Error.
  static Zygote spawn();
  Zygote(Zygote &&) noexcept = default;
  Zygote &operator=(Zygote &&) = delete;
  /// Returns when its steps are gone.
  ~Zygote();

  /// Before the first step: variables to forget, as they hold a secret, and system libraries to load
  /// (not initialise), so that no step has to. Throws pipes::Error.
  void prepare(const std::vector<std::string> &forget, const std::vector<std::string> &libraries);
  /// Another zygote, forked from this one, that loads a plugin, so that its steps need not. It can be used
  /// once it is ready, and never will be if loading fails, takes long, or does more than load. Throws
  /// pipes::Error if this one is gone.
  Zygote with_plugin(const std::string &path);
  bool ready() const { return ready_; }

  /// Starts a step process, which the caller numbers. It gets its end of the message socket, where its
  /// output goes, and what becomes readable when it should stop; all three are closed here. False: the
  /// zygote is gone.
  bool start(std::uint32_t number, UniqueFd messages, UniqueFd output, UniqueFd cancel);
  /// Sends a signal to a step's process group.
  void signal(std::uint32_t number, int signal);

  /// Readable when `read` has something.
  int descriptor() const { return control_.get(); }
  /// The next report, without waiting. Nothing: there is none now, or it is `gone`.
  std::optional<ZygoteReport> read();
  /// `read` found it gone, and its steps with it.
  bool gone() const { return !control_; }

 private:
  Zygote(UniqueFd control, pid_t pid) : control_(std::move(control)), pid_(pid), ready_(pid >= 0) {}
  UniqueFd control_;
  pid_t pid_;  // -1: a child of another zygote
  bool ready_;
};

/// Says of the first zygote that it is gone.
[[noreturn]] void throw_zygote_gone();

}  // namespace pipes
