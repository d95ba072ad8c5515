#include "core/cli/audience.hpp"

#include "core/cli/ci.hpp"
#include "core/cli/print.hpp"

#include <fmt/core.h>

#include <utility>

namespace pipes::cli {

Audience::Audience(const SessionOptions &options, const Redactor &redactor,
                   const std::filesystem::path &folder, Reports reports)
    : options_(options),
      reports_(std::move(reports)),
      display_(options),
      outputs_(options.single_step ? Event::Type::step_ended : Event::Type::run_ended),
      explained_(display_.err()) {
  std::vector<EventSink *> sinks = display_.sinks();
  sinks.push_back(&outputs_);
  if (options.output == OutputMode::github && !options.single_step) sinks.push_back(&summary_.emplace());
  for (const std::unique_ptr<Report> &report : reports_) sinks.push_back(report.get());
  if (options.explain) sinks.push_back(&explained_);
  if (!folder.empty()) sinks.push_back(&journal_.emplace(folder));
  reporter_.emplace(redactor, folder, std::move(sinks));
}

void Audience::warn(const Clock &clock, std::string message, std::string hint) {
  Event event;
  event.time = clock.wall();
  event.level = 3;
  event.message = std::move(message);
  event.hint = std::move(hint);
  reporter_->on(event);
}

void Audience::end(const std::string &go_on) {
  if (summary_) write_github_summary(summary_->text());
  for (const std::unique_ptr<Report> &report : reports_) {
    report->finish();
    for (const std::string &remark : report->remarks()) print_error("warning: " + remark + "\n");
  }
  if (!go_on.empty() && journal_ && options_.output != OutputMode::json)
    print_error(fmt::format("go on with: {}\n", go_on));
  if (journal_ && !journal_->problem().empty())
    print_error(fmt::format("warning: the record of this run is incomplete: {}\n", journal_->problem()));
  display_.check();
}

}  // namespace pipes::cli
