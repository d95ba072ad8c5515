#pragma once
// The side of the plugin contract that the runner plays: the functions that an operation of a plugin calls.
#include "core/run/message.hpp"

namespace pipes {

/// How an operation reaches the runner. All but `remember` may be called from any thread.
class HostLink {
 public:
  virtual ~HostLink() = default;
  virtual void send(const StepReport &) = 0;
  /// Keeps a value on disk before it returns; says what went wrong, or nothing.
  virtual std::string remember(const RememberReport &) = 0;
  /// Readable once the operation should stop.
  virtual int cancel_fd() const = 0;
};

/// Loads the plugin of `order`, unless it is, and runs the operation in this process. The last report that it
/// sends is a DoneReport, with what is returned.
Status run_operation(const StepOrder &order, HostLink &link) noexcept;

}  // namespace pipes
