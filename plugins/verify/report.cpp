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

void append_line(std::string &text, std::string_view check, std::string_view line) {
  if (line.empty()) return;
  if (!text.empty()) text += '\n';
  text += check;
  text += ": ";
  text += line;
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

  std::string message =
      results.size() == 1 ? fmt::format("the check of {} failed", what)
                          : fmt::format("{} of {} checks of {} failed", failed.size(), results.size(), what);
  std::string hint;
  for (const Result *r : failed) {
    message += fmt::format("\n{}: asked {}; came {}", r->check, r->asked, r->came);
    append_line(hint, r->check, r->cause);
    append_line(hint, r->check, r->remedy);
  }
  throw sdk::Error(overall(failed), message, hint);
}

}  // namespace verify
