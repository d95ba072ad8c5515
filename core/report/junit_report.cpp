#include "core/report/graph.hpp"
#include "core/report/json_event.hpp"
#include "core/report/report.hpp"
#include "core/report/text.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes {
namespace {

double seconds(std::chrono::milliseconds ms) {
  return static_cast<double>(ms.count()) / 1000;
}

std::string joined(const std::vector<std::string> &lines) {
  std::string out;
  for (const std::string &line : lines) out += printable(line) + "\n";
  return out;
}

}  // namespace

void JunitReport::on(const Event &e) {
  using State = NodeResult::State;
  if (e.type == Event::Type::run_started) {
    pipeline_ = e.pipeline;
    began_ = e.time;
    for (const Value &step : e.steps) {
      if (const Value *id = step.find("id")) left_.push_back(to_text(*id));
    }
  }
  if (e.type == Event::Type::run_ended) elapsed_ = e.elapsed;
  if (e.type != Event::Type::step_ended) return;
  if (std::erase(left_, e.step) == 0 && e.state != State::failed) return;  // it was rolled back
  ++count_;
  cases_ += fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", xml_text(pipeline_),
                        xml_text(e.step), seconds(e.elapsed));
  const std::string said = printable(e.failure ? e.failure->message : e.summary);
  if (e.state == State::failed && e.failure) {
    ++failed_;
    cases_ += fmt::format(">\n      <failure type=\"{}\" message=\"{}\">{}</failure>\n    </testcase>\n",
                          status_name(e.failure->status), xml_text(said),
                          xml_text((e.failure->hint.empty() ? "" : printable(e.failure->hint) + "\n") +
                                   joined(e.failure->tail)));
  } else if (e.state == State::skipped || e.state == State::cancelled) {
    ++skipped_;
    cases_ += fmt::format("><skipped message=\"{}\"/></testcase>\n", xml_text(said));
  } else {
    cases_ += fmt::format("><system-out>{}{}</system-out></testcase>\n", xml_text(state_word(e)),
                          xml_text(said.empty() ? "" : ": " + said));
  }
}

void JunitReport::finish() {
  for (const std::string &step : left_) {
    ++count_;
    ++skipped_;
    cases_ += fmt::format(
        "    <testcase classname=\"{}\" name=\"{}\"><skipped message=\"it did not run\"/></testcase>\n",
        xml_text(pipeline_), xml_text(step));
  }
  const std::string figures =
      fmt::format("tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{:.3f}\"", count_, failed_,
                  skipped_, seconds(elapsed_));
  file_.write(
      fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {0}>\n  <testsuite name=\"{1}\" "
                  "{0} timestamp=\"{2}\">\n",
                  figures, xml_text(pipeline_), timestamp(began_)));
  file_.write(cases_);
  file_.write("  </testsuite>\n</testsuites>\n");
  file_.finish();
}

}  // namespace pipes
