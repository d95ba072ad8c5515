#include "core/cli/record.hpp"

#include "core/cli/print.hpp"
#include "core/report/journal.hpp"

#include <fmt/core.h>

#include <system_error>

namespace pipes::cli {

Record::Record(const SessionOptions &options, const Plan &plan, const Value::Map &settings,
               const Redactor &redactor)
    : options_(options), plan_(plan), settings_(settings) {
  if (options_.operation == Operation::plan || options_.single_step) return;
  attempt([&] {
    const std::filesystem::path state = memory_folder(plan_.name, plan_.file);
    known_.emplace(state);
    memory_ = std::make_unique<SettingsMemory>(state, known_->folder(settings_), redactor);
    if (!options_.dry_run) lock(state);
  });
}

void Record::begin(std::chrono::system_clock::time_point now) {
  if (options_.operation == Operation::plan || !problem_.empty()) return;
  attempt([&] {
    if (known_ && options_.operation == Operation::run) known_->begin(settings_);
    if (options_.dry_run) return;
    folder_ = make_run_folder(state_home(), options_.single_step ? "step-" + plan_.name : plan_.name, now);
  });
}

void Record::end(const RunOutcome &outcome) {
  if (!known_ || options_.dry_run) return;
  const bool nothing_left = known_->left(settings_) == KnownSettings::Left::nothing;
  if (options_.operation == Operation::run) {
    // What was rolled back is gone, too.
    if (nothing_left && outcome.counts.changed <= outcome.counts.undone) known_->made_nothing(settings_);
  } else if (outcome.status == "ok" && (nothing_left || options_.undo_data)) {
    known_->end(settings_);
  }
}

void Record::lock(const std::filesystem::path &state) {
  lock_ = PipelineLock::try_lock(state);
  if (lock_.held()) return;
  print_error(fmt::format("another run of `{}` is under way; waiting for it to end\n", plan_.name));
  lock_.wait();
}

void Record::attempt(const std::function<void()> &body) {
  try {
    body();
  } catch (const std::filesystem::filesystem_error &e) {
    problem_ = fmt::format("cannot create {}: {}", e.path1().string(), e.code().message());
  } catch (const std::system_error &e) {
    problem_ = e.what();
  }
}

}  // namespace pipes::cli
