#pragma once
// Reports of a run in a file, made of its events: while it runs, or afterwards from its journal.
#include "core/base/fd.hpp"
#include "core/run/event.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pipes {

/// What kind of report is to be written where.
struct ReportOrder {
  std::string kind, file;
};
/// From `KIND=FILE`. Throws Error{Exit::usage} for another kind than there is.
ReportOrder parse_report(const std::string &text);
/// "html, junit"
std::string report_kinds();

/// A file that is there as a whole or not at all. What goes wrong on the way is told by `finish`.
class ReportFile {
 public:
  /// Throws Error{Exit::usage} if it cannot be made. Empty: standard output's descriptor is written to.
  explicit ReportFile(std::string path);
  ReportFile(const ReportFile &) = delete;
  ReportFile &operator=(const ReportFile &) = delete;
  ~ReportFile();
  void write(std::string_view);
  /// Gives the file its name. Throws Error{Exit::step_failed}.
  void finish();

 private:
  void flush();
  std::string path_, partial_, held_;
  UniqueFd own_;
  int fd_ = 1, problem_ = 0;
  bool is_done_ = false;
};

/// Reads the events of one run.
class Report : public EventSink {
 public:
  /// Writes what is left to write. Throws Error{Exit::step_failed} if the file could not be written.
  virtual void finish() = 0;
};
/// An empty file name means standard output. Throws Error{Exit::usage}.
std::unique_ptr<Report> make_report(const ReportOrder &);

/// One page that needs no other file and no network: the events in a script element, and what draws them.
class HtmlReport final : public Report {
 public:
  explicit HtmlReport(std::string path);
  void on(const Event &) override;
  void finish() override;

 private:
  ReportFile file_;
  bool is_first_ = true;
  std::string pipeline_;
  Value::List steps_;
};

/// JUnit's XML, as GitLab, Jenkins and others read it: a test case a step.
class JunitReport final : public Report {
 public:
  explicit JunitReport(std::string path) : file_(std::move(path)) {}
  void on(const Event &) override;
  void finish() override;

 private:
  ReportFile file_;
  std::string pipeline_, cases_;
  std::vector<std::string> left_;  // steps that have not ended
  std::chrono::system_clock::time_point began_;
  std::chrono::milliseconds elapsed_{0};
  int count_ = 0, failed_ = 0, skipped_ = 0;
};

}  // namespace pipes
