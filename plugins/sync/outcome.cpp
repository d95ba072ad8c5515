#include "outcome.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <pipe/oci/transfer_report.hpp>
#include <pipe/text.hpp>

#include <algorithm>
#include <cstdint>
#include <map>

namespace mirror {
namespace {

using pipes::sdk::bytes_text;
using pipes::sdk::count_text;
using pipes::sdk::Error;
using pipes::sdk::Run;
using pipes::sdk::Verdict;

bool may_pass(pipe_status status) {
  return status == PIPE_E_TRANSIENT || status == PIPE_E_TIMEOUT;
}

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

struct Totals {
  std::uint64_t copied = 0, unchanged = 0, failed = 0, deleted = 0;
  pipes::oci::TransferResult result;  // bytes and blobs of all
};

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

/// One line a repository, with a heading.
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

/// An array of objects: from, to, state, digest, bytes, error.
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

std::string summary(const Totals &sums, bool planning) {
  std::string text = fmt::format("{}{} copied ({} in {}, {} mounted, {} there already), {} unchanged",
                                 planning ? "would be: " : "", count_text(sums.copied, "image"),
                                 bytes_text(sums.result.bytes), count_text(sums.result.moved, "blob"),
                                 sums.result.mounted, sums.result.skipped, sums.unchanged);
  if (sums.copied == 0) text = count_text(sums.unchanged, "image") + " unchanged";
  if (sums.deleted > 0)
    text += fmt::format(", {} {}deleted", count_text(sums.deleted, "tag"), planning ? "to be " : "");
  if (sums.failed > 0) text += fmt::format(", {} failed", sums.failed);
  return text + "; " + pipes::oci::requests_text(sums.result);
}

void tell_differences(Run &run, const std::vector<Outcome> &outcomes) {
  for (const Outcome &outcome : outcomes) {
    if (outcome.state == State::copied)
      run.diff(outcome.to, outcome.before, outcome.result.image.digest.str());
    else if (outcome.state == State::deleted)
      run.diff(outcome.to, "there", "");
  }
}

}  // namespace

void tell(Run &run, const std::vector<Outcome> &outcomes, const pipes::oci::Traffic &traffic, bool planning) {
  Totals sums = total(outcomes);
  sums.result.requests = traffic.requests;
  sums.result.retries = traffic.retries;
  const auto number = [&](const char *name, std::uint64_t value) {
    run.output(name, static_cast<std::int64_t>(value));
  };
  number("copied", sums.copied);
  number("unchanged", sums.unchanged);
  number("failed", sums.failed);
  number("deleted", sums.deleted);
  pipes::oci::report(run, sums.result);
  run.output("report", report_json(outcomes));
  if (planning) tell_differences(run, outcomes);
  const bool changes = sums.copied + sums.deleted > 0;
  if (!planning && (changes || sums.failed > 0)) run.info(table(outcomes));
  run.verdict(changes ? Verdict::change : Verdict::up_to_date, summary(sums, planning));
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
    const std::string images = count_text(outcomes.size(), "image");
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
