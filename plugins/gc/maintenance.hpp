#pragma once
// The time in which a registry takes no pushes: a second container, like the first but read-only, serves in
// its place, and the first one stands still.
#include <pipe/engine/engine.hpp>
#include <pipe/error.hpp>

#include <chrono>
#include <optional>
#include <string>

namespace gc {

namespace engine = pipes::engine;
namespace sdk = pipes::sdk;

/// Passes all on, but once `hold` is set nothing is cancelled any more: the way back is gone to its end.
class Steady final : public sdk::Observer {
 public:
  explicit Steady(sdk::Observer &outer) : outer_(outer) {}
  void log(sdk::Level level, std::string_view message) override { outer_.log(level, message); }
  void progress(const sdk::Progress &progress) override { outer_.progress(progress); }
  bool cancelled() const override { return !held_ && outer_.cancelled(); }
  int cancel_fd() const override { return held_ ? -1 : outer_.cancel_fd(); }
  void hold(bool held) { held_ = held; }

 private:
  sdk::Observer &outer_;
  bool held_ = false;
};

/// That the second container exists is the note that there is a way back to go: it is made before the first
/// one is stopped, and removed after the first one answers again. So whatever kills this, the next one sees.
class Maintenance {
 public:
  Maintenance(engine::Engine &engine, Steady &observer, std::string name, std::chrono::milliseconds patience)
      : engine_(engine), observer_(observer), name_(std::move(name)), patience_(patience) {}

  /// Whether an earlier one was killed.
  bool left_over();
  /// The registry's container. Throws PIPE_E_NOT_FOUND where it is not there or does not run.
  engine::Container container();
  /// Stops it, and starts the one that is read-only; its ID. It answers then.
  std::string begin(const engine::Container &);
  /// The registry as it was before, answering. Does nothing where it is so.
  void end();

 private:
  std::string stand_in() const { return name_ + ".gc"; }
  void wait_until_it_answers(const std::string &id);

  engine::Engine &engine_;
  Steady &observer_;
  const std::string name_;
  const std::chrono::milliseconds patience_;
};

}  // namespace gc
