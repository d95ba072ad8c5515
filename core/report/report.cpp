#include "core/report/report.hpp"

#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace pipes {
namespace {

constexpr std::size_t kPiece = 256U << 10;

struct Kind {
  const char *name, *extension;
  std::unique_ptr<Report> (*make)(std::string file);
};
template <class Made>
std::unique_ptr<Report> make(std::string file) {
  return std::make_unique<Made>(std::move(file));
}
constexpr std::array kKinds{Kind{"html", "html", make<HtmlReport>}, Kind{"junit", "xml", make<JunitReport>},
                            Kind{"markdown", "md", make<MarkdownReport>},
                            Kind{"dotenv", "env", make<DotenvReport>}};

std::string listed_kinds() {
  std::string names;
  for (const Kind &kind : kKinds) names += fmt::format("{}{}", names.empty() ? "" : ", ", kind.name);
  return names;
}

const Kind &find_kind(const std::string &name) {
  for (const Kind &kind : kKinds) {
    if (name == kind.name) return kind;
  }
  const std::string close = did_you_mean(name, report_kinds());
  throw Error(Exit::usage, fmt::format("there is no report of the kind `{}`", name),
              close.empty() ? "there is: " + listed_kinds() : close);
}

}  // namespace

std::vector<std::string> report_kinds() {
  std::vector<std::string> names;
  for (const Kind &kind : kKinds) names.emplace_back(kind.name);
  return names;
}

std::string report_extension(const std::string &kind) {
  return find_kind(kind).extension;
}

ReportOrder parse_report(const std::string &text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw Error(Exit::usage, fmt::format("`--report {}`: expected KIND=FILE", text),
                "kinds: " + listed_kinds());
  }
  return {find_kind(text.substr(0, equals)).name, text.substr(equals + 1)};
}

std::unique_ptr<Report> make_report(const ReportOrder &order) {
  return find_kind(order.kind).make(order.file);
}

ReportFile::ReportFile(std::string path) : path_(std::move(path)) {
  if (path_.empty()) return;
  partial_ = path_ + ".partial";
  own_.reset(::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!own_) {
    throw Error(Exit::usage, fmt::format("cannot write the report {}: {}", path_, std::strerror(errno)),
                "name a file in a folder that can be written to");
  }
  fd_ = own_.get();
}

ReportFile::~ReportFile() {
  if (!partial_.empty() && !is_done_) ::unlink(partial_.c_str());
}

void ReportFile::write(std::string_view text) {
  held_.append(text);
  if (held_.size() >= kPiece) flush();
}

void ReportFile::flush() {
  std::string_view rest = held_;
  while (!rest.empty() && problem_ == 0) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      problem_ = errno;
    }
  }
  held_.clear();
}

void ReportFile::finish() {
  flush();
  if (path_.empty() && problem_ == EPIPE) return;  // whoever read it has seen enough
  if (problem_ == 0 && !path_.empty() && ::rename(partial_.c_str(), path_.c_str()) != 0) problem_ = errno;
  if (problem_ != 0) {
    throw Error(Exit::step_failed,
                fmt::format("cannot write the report {}: {}", path_.empty() ? "to standard output" : path_,
                            std::strerror(problem_)),
                "`pipe report` makes it again from the journal");
  }
  is_done_ = true;
}

}  // namespace pipes
