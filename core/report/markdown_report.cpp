#include "core/report/graph.hpp"
#include "core/report/report.hpp"
#include "core/report/text.hpp"

#include <fmt/core.h>

#include <string_view>

namespace pipes {
namespace {

constexpr std::size_t kRows = Markdown::kLargest * 3 / 5, kFailures = Markdown::kLargest / 5;
constexpr std::size_t kCell = 300, kTail = 4000;  // columns, bytes

/// Text as such: nothing in it is markup, a mention or an image.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '\n') {
      out += "<br>";
    } else if (c == '<' || c == '>' || c == '&') {
      out += xml_text(std::string_view(&c, 1));
    } else if (std::string_view("\\`*_[]#|~@").find(c) != std::string_view::npos) {
      out += fmt::format("&#{};", static_cast<int>(c));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string code(std::string_view text) {
  return "<code>" + plain(text) + "</code>";
}

std::string block(std::string_view text) {
  // A line that is empty would end the element: Markdown begins again behind it.
  std::string out = "<pre>";
  for (const char c : xml_text(printable(text))) out += c == '\n' ? std::string("&#10;") : std::string(1, c);
  return out + "</pre>\n";
}

std::string_view verdict_of(const Event &e) {
  return e.state == NodeResult::State::unknown ? verdict_name(e.verdict) : state_word(e);
}

std::string counts_text(const Event &e) {
  if (e.operation == Operation::plan) return plain(first_line(plan_recap(e.counts)));
  const std::string all = recap(e);
  return plain(all.substr(all.find(": ") + 2));
}

}  // namespace

void Markdown::on(const Event &e) {
  if (e.type == Event::Type::run_started) {
    pipeline_ = e.pipeline;
    file_ = e.file;
  } else if (e.type == Event::Type::progress) {
    moved_[e.step].on(e.progress,
                      std::chrono::duration_cast<std::chrono::milliseconds>(e.time.time_since_epoch()));
  } else if (e.type == Event::Type::run_ended) {
    end_ = e;
  }
  if (e.type != Event::Type::step_ended) return;
  std::string moved;
  if (const auto at = moved_.find(e.step); at != moved_.end()) {
    if (at->second.whole().bytes) moved = bytes_text(at->second.whole().done);
    moved_.erase(at);
  }
  std::string said(e.failure ? first_line(e.failure->message) : std::string_view(e.summary));
  said = plain(fit(printable(said), kCell));
  for (const Diff &diff : e.diffs) {
    said += fmt::format("{}{}: {} → {}", said.empty() ? "" : "<br>", plain(diff.field),
                        code(fit(diff.before, kCell)), code(fit(diff.after, kCell)));
  }
  if (rows_.size() < kRows) {
    rows_ += fmt::format("| {} | {} | {} | {} | {} |\n", verdict_of(e), code(e.step), elapsed_text(e.elapsed),
                         moved, said);
  } else {
    ++more_rows_;
  }
  if (!e.failure || e.state != NodeResult::State::failed) return;
  if (failures_.size() >= kFailures) {
    ++more_failures_;
    return;
  }
  failures_ += fmt::format("\n**{} failed**: {}\n", plain(e.step), plain(e.failure->message));
  if (!e.failure->hint.empty()) failures_ += fmt::format("\n{}\n", plain(e.failure->hint));
  std::string tail;
  for (const std::string &line : e.failure->tail) tail += line + "\n";
  if (tail.size() > kTail) tail.erase(0, tail.find('\n', tail.size() - kTail) + 1);
  if (!tail.empty())
    failures_ += fmt::format("\n<details><summary>Its last lines</summary>{}</details>\n", block(tail));
}

std::string Markdown::text() const {
  std::string out = fmt::format(
      "### {}: {}\n\n{}\n\n", plain(pipeline_),
      end_.operation == Operation::plan && end_.status == "ok" ? "plan" : end_.status, counts_text(end_));
  if (!rows_.empty()) out += "| state | step | time | moved | |\n|---|---|--:|--:|---|\n" + rows_;
  if (more_rows_ > 0) out += fmt::format("\nand {} steps more\n", more_rows_);
  out += failures_;
  if (more_failures_ > 0) out += fmt::format("\nand {} more failed\n", more_failures_);
  if (end_.operation != Operation::run || end_.fields.empty()) return out + "\n";
  std::string outputs;
  for (const auto &[name, value] : end_.fields) {
    if (outputs.size() > Markdown::kLargest / 10) break;
    outputs += fmt::format("| {} | {} |\n", plain(name), code(fit(to_text(value), 10 * kCell)));
  }
  return out + "\n| output | |\n|---|---|\n" + outputs + "\n";
}

void MarkdownReport::finish() {
  file_.write(markdown_.text());
  file_.finish();
}

}  // namespace pipes
