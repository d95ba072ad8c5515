#include "core/report/reporter.hpp"

#include "core/run/paths.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace pipes {
namespace {

constexpr std::size_t kTailLines = 20;
constexpr std::size_t kLongestLine = 8192;  // a longer one is shown in pieces

std::string_view level_prefix(int level) {
  switch (level) {
    case 0:
      return "trace: ";
    case 1:
      return "debug: ";
    case 3:
      return "warning: ";
    case 4:
      return "error: ";
    default:
      return "";
  }
}

void mask(const Redactor &redactor, Failure &failure) {
  failure.message = redactor.text(failure.message);
  failure.hint = redactor.text(failure.hint);
  failure.given = redactor.map(failure.given);
}

/// The event with every string masked that someone else wrote.
Event masked(const Redactor &redactor, const Event &from) {
  Event e = from;
  if (!e.message.empty()) e.message = redactor.text(e.message);
  if (!e.hint.empty()) e.hint = redactor.text(e.hint);
  if (!e.summary.empty()) e.summary = redactor.text(e.summary);
  if (!e.progress.label.empty()) e.progress.label = redactor.text(e.progress.label);
  if (!e.why.empty()) e.why = redactor.text(e.why);
  if (!e.fields.empty()) e.fields = redactor.map(e.fields);
  if (!e.params.empty()) e.params = redactor.map(e.params);
  for (Diff &diff : e.diffs) {
    diff = {redactor.text(diff.field), redactor.text(diff.before), redactor.text(diff.after)};
  }
  if (e.failure) mask(redactor, *e.failure);
  return e;
}

}  // namespace

void Reporter::on(const Event &event) {
  switch (event.type) {
    case Event::Type::output:
      return output(event);
    case Event::Type::log:
      return log(masked(redactor_, event));
    case Event::Type::step_ended:
      return end_step(masked(redactor_, event));
    default:
      return emit(masked(redactor_, event));
  }
}

std::optional<std::chrono::steady_clock::time_point> Reporter::next_tick() const {
  std::optional<std::chrono::steady_clock::time_point> next;
  for (const EventSink *sink : sinks_) {
    if (const auto at = sink->next_tick(); at && (!next || *at < *next)) next = at;
  }
  return next;
}

void Reporter::tick() {
  for (EventSink *sink : sinks_) sink->tick();
}

Reporter::Capture &Reporter::capture_of(const Event &event) {
  const auto at = captures_.find(event.step);
  if (at != captures_.end()) return at->second;
  LogFile file;
  if (!folder_.empty()) file = LogFile(folder_ / (file_name(event.step) + ".log"), kLogLimit);
  return captures_.try_emplace(event.step, redactor_, std::move(file)).first->second;
}

void Reporter::output(const Event &event) {
  Capture &capture = capture_of(event);
  lines(event, capture, capture.stream.add(event.message), false);
}

void Reporter::lines(const Event &event, Capture &capture, std::string_view bytes, bool last) {
  capture.log.write(bytes);
  capture.partial.append(bytes);
  std::string_view rest = capture.partial;
  std::size_t end = rest.rfind('\n');
  if (end == std::string_view::npos && (last || rest.size() > kLongestLine)) end = rest.size();
  if (end == std::string_view::npos || rest.empty()) return;
  const std::string_view whole = last ? rest : rest.substr(0, end);

  Event shown = event;
  shown.type = Event::Type::output;
  shown.message = hide_userinfo(whole.ends_with('\n') ? whole.substr(0, whole.size() - 1) : whole);
  // Of a flood only the last lines can matter.
  const std::string_view text = shown.message;
  for (std::size_t from = text.size() > kTailLines * kLongestLine ? text.size() - kTailLines * kLongestLine
                                                                  : 0;
       from <= text.size();) {
    const std::size_t stop = std::min(text.find('\n', from), text.size());
    remember_line(capture, text.substr(from, stop - from), true);
    from = stop + 1;
  }
  capture.partial.erase(0, last ? capture.partial.size() : std::min(end + 1, capture.partial.size()));
  show(shown, capture, shown.message.size());
}

void Reporter::remember_line(Capture &capture, std::string_view line, bool told) {
  capture.tail.push_back({std::string(line.substr(0, kLongestLine)), told});
  if (capture.tail.size() > kTailLines) capture.tail.pop_front();
}

void Reporter::show(const Event &event, Capture &capture, std::size_t cost) {
  if (capture.cut) return;
  capture.shown += cost;
  if (capture.shown <= kShown) return emit(event);
  capture.cut = true;
  Event cut = event;
  cut.type = Event::Type::log;
  cut.level = 3;
  cut.fields.clear();
  cut.message = capture.log.path().empty() ? "it says too much: the rest is not shown"
                                           : "it says too much: the rest is only in " + capture.log.path();
  emit(cut);
}

void Reporter::log(const Event &event) {
  Capture &capture = capture_of(event);
  std::string line = fmt::format("{}{}", level_prefix(event.level), event.message);
  for (const auto &[name, value] : event.fields) line += fmt::format(" {}={}", name, to_text(value));
  remember_line(capture, line, event.level >= 2);
  line.push_back('\n');
  capture.log.write(line);
  show(event, capture, line.size());
}

void Reporter::end_step(Event event) {
  const auto at = captures_.find(event.step);
  if (at == captures_.end()) return emit(event);
  Capture &capture = at->second;
  lines(event, capture, capture.stream.finish(), true);
  if (event.failure) {
    capture.log.write(fmt::format("failed: {}\n", event.failure->message));
    event.failure->tail.clear();
    event.failure->untold.clear();
    for (const Capture::Line &line : capture.tail) {
      event.failure->tail.push_back(line.text);
      if (!line.told || capture.cut) event.failure->untold.push_back(line.text);
    }
  }
  capture.log.flush();
  if (event.failure) event.failure->log = capture.log.path();
  captures_.erase(at);
  emit(event);
}

void Reporter::emit(const Event &event) {
  for (EventSink *sink : sinks_) sink->on(event);
}

}  // namespace pipes
