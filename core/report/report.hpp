#pragma once
// Reports of a run in a file, made of its events: while it runs, or afterwards from its journal.
#include "core/base/fd.hpp"
#include "core/report/movement.hpp"
#include "core/run/event.hpp"

#include <map>
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
/// "html", "junit", …
std::vector<std::string> report_kinds();
/// What a file of that kind ends with, without the dot. Throws Error{Exit::usage} for another kind.
std::string report_extension(const std::string &kind);

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
  /// What whoever ordered it should know, once it is finished.
  virtual std::vector<std::string> remarks() const { return {}; }
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

/// A run in Markdown, for a page of a CI service: how it ended, a row a step, what failed, the outputs.
class Markdown final : public EventSink {
 public:
  void on(const Event &) override;
  /// Complete once the run has ended. At most kLargest bytes.
  std::string text() const;
  /// GitHub takes a summary of 1 MiB; there may be others in the same file.
  static constexpr std::size_t kLargest = 500U << 10;

 private:
  std::string pipeline_, file_, rows_, failures_;
  std::size_t more_rows_ = 0, more_failures_ = 0;
  std::map<std::string, Movement> moved_;  // of running steps
  Event end_;
};

class MarkdownReport final : public Report {
 public:
  explicit MarkdownReport(std::string path) : file_(std::move(path)) {}
  void on(const Event &e) override { markdown_.on(e); }
  void finish() override;

 private:
  ReportFile file_;
  Markdown markdown_;
};

/// The outputs of the pipeline as variables for later jobs of GitLab: NAME=value, a line each, names in
/// capitals. docs.gitlab.com, artifacts:reports:dotenv. What cannot be told there is left out, and remarked.
class DotenvReport final : public Report {
 public:
  explicit DotenvReport(std::string path) : file_(std::move(path)) {}
  void on(const Event &) override;
  void finish() override;
  std::vector<std::string> remarks() const override { return remarks_; }

 private:
  void leave_out(const std::string &output, std::string_view why);
  ReportFile file_;
  Value::Map outputs_;
  std::vector<std::string> remarks_;
};

}  // namespace pipes
