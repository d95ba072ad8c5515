#include "check.hpp"

#include <pipe/oci/settings_file.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>

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

namespace {

enum class Form { json, junit, text };

std::optional<Form> form_of(const std::string &file) {
  if (file.ends_with(".json")) return Form::json;
  if (file.ends_with(".xml")) return Form::junit;
  if (file.ends_with(".txt")) return Form::text;
  return std::nullopt;
}

/// Text for XML 1.0: what it can't hold becomes a space.
std::string xml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) >= ' ' || c == '\n' || c == '\t' ? c : ' ';
    }
  }
  return out;
}

std::string sentence(const Result &r) {
  std::string text = r.asked.empty() ? "not checked" : fmt::format("asked {}; came {}", r.asked, r.came);
  if (!r.cause.empty()) text += fmt::format(": {}", r.cause);
  return text;
}

/// The JUnit XML that CI systems read.
std::string report_junit(const std::vector<Result> &results, const std::string &what) {
  const auto failures =
      std::ranges::count_if(results, [](const Result &r) { return !r.ok() && !r.asked.empty(); });
  const auto skipped =
      std::ranges::count_if(results, [](const Result &r) { return !r.ok() && r.asked.empty(); });
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
      "  <testsuite name=\"verify {}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" errors=\"0\">\n",
      xml(what), results.size(), failures, skipped);
  for (const Result &r : results) {
    out += fmt::format("    <testcase classname=\"verify\" name=\"{}\">", xml(r.check));
    if (r.ok()) {
      out += fmt::format("<system-out>{}</system-out>", xml(sentence(r)));
    } else if (r.asked.empty()) {
      out += fmt::format("<skipped message=\"{}\"/>", xml(r.cause));
    } else {
      out += fmt::format("<failure message=\"{}\">{}</failure>", xml(sentence(r)), xml(r.remedy));
    }
    out += "</testcase>\n";
  }
  return out + "  </testsuite>\n</testsuites>\n";
}

std::string report_text(const std::vector<Result> &results) {
  std::string out;
  for (const Result &r : results) {
    out += fmt::format("{:<7} {:<10} {}\n", r.ok() ? "ok" : "FAILED", r.check, sentence(r));
    if (!r.remedy.empty()) out += fmt::format("{:<18} {}\n", "", r.remedy);
  }
  return out;
}

}  // namespace

void check_report_name(const std::string &file) {
  if (form_of(file)) return;
  throw sdk::Error(PIPE_E_INVALID, fmt::format("\"{}\" does not say what kind of report it is", file),
                   "end it with .json, .xml (JUnit) or .txt");
}

void write_report(const std::string &file, const std::vector<Result> &results, const std::string &what) {
  const Form form = form_of(file).value_or(Form::text);
  oci::write_settings(file, form == Form::json    ? report_json(results) + "\n"
                            : form == Form::junit ? report_junit(results, what)
                                                  : report_text(results));
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
