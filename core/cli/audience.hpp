#pragma once
// Everyone who is told of a run while it goes on.
#include "core/cli/display.hpp"
#include "core/cli/session_options.hpp"
#include "core/report/explain.hpp"
#include "core/report/journal.hpp"
#include "core/report/reporter.hpp"
#include "core/run/clock.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pipes::cli {

using Reports = std::vector<std::unique_ptr<Report>>;

/// Keeps the outputs of the run, or of its one step (masked, as everything behind the Reporter), to print
/// them at the end.
class OutputsKeeper final : public EventSink {
 public:
  explicit OutputsKeeper(Event::Type from) : from_(from) {}
  void on(const Event &event) override {
    if (event.type == from_) outputs = event.fields;
  }
  Value::Map outputs;

 private:
  Event::Type from_;
};

/// The terminal, the journal in the folder of the run (if it has one), the reports that were asked for, and
/// the page of a GitHub job. What is given must outlive this.
class Audience {
 public:
  Audience(const SessionOptions &, const Redactor &, const std::filesystem::path &folder, Reports);

  EventSink &reporter() { return *reporter_; }
  void warn(const Clock &, std::string message, std::string hint);
  /// Finishes what is written of the run, and says the command that goes on with it, if there is one. Throws
  /// Error if stdout could not be written.
  void end(const std::string &go_on);
  const Value::Map &outputs() const { return outputs_.outputs; }

 private:
  const SessionOptions &options_;
  Reports reports_;
  Display display_;
  OutputsKeeper outputs_;
  ExplainPrinter explained_;
  std::optional<Markdown> summary_;
  std::optional<Journal> journal_;
  std::optional<Reporter> reporter_;
};

}  // namespace pipes::cli
