#include "check.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace verify {
namespace {

/// The status that all failures share; they differ: the assertion as a whole did not hold.
pipe_status overall(const std::vector<const Result *> &failed) {
  const pipe_status first = failed.front()->status;
  const bool same = std::ranges::all_of(failed, [&](const Result *r) { return r->status == first; });
  return same ? first : PIPE_E_MISMATCH;
}

/// Failures that say the same, with the names of their checks.
struct Group {
  std::string checks;
  const Result *result;
};

std::vector<Group> grouped(const std::vector<const Result *> &failed) {
  std::vector<Group> groups;
  for (const Result *r : failed) {
    const auto same = std::ranges::find_if(
        groups, [&](const Group &g) { return g.result->came == r->came && g.result->cause == r->cause; });
    if (same == groups.end()) {
      groups.push_back({r->check, r});
    } else {
      same->checks += ", " + r->check;
    }
  }
  return groups;
}

}  // namespace

std::string report_json(const std::vector<Result> &results) {
  auto report = nlohmann::ordered_json::array();
  for (const Result &r : results) {
    report.push_back({{"check", r.check},
                      {"ok", r.ok()},
                      {"asked", r.asked},
                      {"came", r.came},
                      {"cause", r.cause},
                      {"remedy", r.remedy}});
  }
  // A foreign server's bytes may be in it: what is no UTF-8 is replaced.
  return report.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void throw_failures(const std::vector<Result> &results, const std::string &what) {
  std::vector<const Result *> failed;
  for (const Result &r : results) {
    if (!r.ok()) failed.push_back(&r);
  }
  if (failed.empty()) return;

  std::string message = fmt::format("{} of {} checks of {} failed", failed.size(), results.size(), what);
  if (results.size() == 1) message = fmt::format("the check of {} failed", what);
  const std::vector<Group> groups = grouped(failed);
  std::string hint;
  for (const auto &[checks, result] : groups) {
    if (result->asked.empty()) {
      message += fmt::format("\n{}: not checked, as {}", checks, result->cause);
    } else {
      message += fmt::format("\n{}: asked {}; came {}", checks, result->asked, result->came);
      if (!result->cause.empty()) message += fmt::format(": {}", result->cause);
    }
    if (result->remedy.empty()) continue;
    if (!hint.empty()) hint += '\n';
    hint += groups.size() == 1 ? result->remedy : fmt::format("{}: {}", checks, result->remedy);
  }
  throw sdk::Error(overall(failed), message, hint);
}

}  // namespace verify
