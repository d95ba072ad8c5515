#include "outcome.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <pipe/text.hpp>

#include <algorithm>
#include <map>

namespace mirror {
namespace {

using pipes::sdk::bytes_text;
using pipes::sdk::Error;

bool may_pass(pipe_status status) {
  return status == PIPE_E_TRANSIENT || status == PIPE_E_TIMEOUT;
}

}  // namespace

std::string_view state_name(State state) {
  switch (state) {
    case State::copied:
      return "copied";
    case State::unchanged:
      return "unchanged";
    case State::failed:
      return "failed";
    case State::deleted:
      return "deleted";
  }
  return {};
}

Totals total(const std::vector<Outcome> &outcomes) {
  Totals totals;
  for (const Outcome &outcome : outcomes) {
    totals.copied += outcome.state == State::copied ? 1 : 0;
    totals.unchanged += outcome.state == State::unchanged ? 1 : 0;
    totals.failed += outcome.state == State::failed ? 1 : 0;
    totals.deleted += outcome.state == State::deleted ? 1 : 0;
    totals.result.bytes += outcome.result.bytes;
    totals.result.moved += outcome.result.moved;
    totals.result.mounted += outcome.result.mounted;
    totals.result.skipped += outcome.result.skipped;
  }
  return totals;
}

std::string table(const std::vector<Outcome> &outcomes) {
  std::map<std::string, std::vector<Outcome>> by_repository;
  std::size_t widest = std::string_view("repository").size();
  for (const Outcome &outcome : outcomes) {
    by_repository[outcome.repository].push_back(outcome);
    widest = std::max(widest, outcome.repository.size());
  }
  std::string text = fmt::format("{:<{}}  {:>6}  {:>9}  {:>6}  {:>7}  {:>9}", "repository", widest, "copied",
                                 "unchanged", "failed", "deleted", "moved");
  for (const auto &[name, ones] : by_repository) {
    const Totals sums = total(ones);
    text += fmt::format("\n{:<{}}  {:>6}  {:>9}  {:>6}  {:>7}  {:>9}", name, widest, sums.copied,
                        sums.unchanged, sums.failed, sums.deleted, bytes_text(sums.result.bytes));
  }
  return text;
}

std::string report_json(const std::vector<Outcome> &outcomes) {
  auto report = nlohmann::ordered_json::array();
  for (const Outcome &outcome : outcomes) {
    nlohmann::ordered_json entry{
        {"from", outcome.from}, {"to", outcome.to}, {"state", state_name(outcome.state)}};
    if (outcome.error)
      entry["error"] = outcome.error->message;
    else
      entry["digest"] = outcome.result.image.digest.str();
    entry["bytes"] = outcome.result.bytes;
    report.push_back(std::move(entry));
  }
  // A foreign server's bytes may be in it: what is no UTF-8 is replaced.
  return report.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void throw_failures(const std::vector<Outcome> &outcomes, const std::optional<Error> &deletions) {
  std::vector<const Outcome *> failed;
  for (const Outcome &outcome : outcomes)
    if (outcome.error) failed.push_back(&outcome);
  if (failed.empty() && !deletions) return;

  std::string message, hint;
  const auto advise = [&hint](const std::string &remedy) {
    if (remedy.empty() || ("\n" + hint + "\n").find("\n" + remedy + "\n") != std::string::npos) return;
    hint += (hint.empty() ? "" : "\n") + remedy;
  };
  // Trying again helps where nothing but the network is to blame.
  std::optional<pipe_status> lasting;
  std::int64_t wait = 0;
  if (!failed.empty()) {
    const std::string images = pipes::sdk::count_text(outcomes.size(), "image");
    const bool all = failed.size() == outcomes.size();
    message =
        all ? images + " failed" : fmt::format("{} of {} failed; the others are done", failed.size(), images);
  }
  for (const Outcome *outcome : failed) {
    const Error &error = *outcome->error;
    message += fmt::format("\n{}: {}", outcome->to, error.message);
    advise(error.hint);
    if (!may_pass(error.status) && !lasting) lasting = error.status;
    wait = std::max(wait, error.retry_after_ms);
  }
  if (deletions) {
    message += (message.empty() ? "" : "\n") + deletions->message;
    advise(deletions->hint);
    if (!lasting && !may_pass(deletions->status)) lasting = deletions->status;
  }
  throw Error(lasting.value_or(PIPE_E_TRANSIENT), message, hint, wait);
}

}  // namespace mirror
