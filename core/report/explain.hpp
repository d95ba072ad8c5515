#pragma once
#include "core/report/text.hpp"

#include <map>
#include <string>
#include <vector>

namespace pipes {

/// At the end of a run, says of each of its steps why it ran or did not: a line a step.
class ExplainPrinter final : public EventSink {
 public:
  explicit ExplainPrinter(TextOut &out) : out_(out) {}
  void on(const Event &) override;
  /// For a run that has no end.
  void finish();

 private:
  struct Step {
    std::string id, group;  // group: the step of the file, where it has several instances
    std::vector<std::string> needs;
    bool is_finally = false;
    bool began = false, ended = false;
    Event end{};
  };
  void announce(const Event &);
  std::string line(const Step &) const;
  /// The step that kept it from running: itself or one before it failed, or never ran.
  const Step *blocker(const Step &) const;

  TextOut &out_;
  std::vector<Step> steps_;
  std::multimap<std::string, std::size_t> by_id_;  // and by group
  std::string status_;
};

}  // namespace pipes
