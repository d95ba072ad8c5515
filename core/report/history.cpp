#include "core/report/history.hpp"

#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "core/report/json_event.hpp"
#include "core/run/paths.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace pipes {
namespace {

namespace fs = std::filesystem;

constexpr const char *kJournal = "events.jsonl";
constexpr std::size_t kTail = 256U << 10;  // in which the last event is found; outputs may make it long
constexpr std::size_t kShown = 5;          // of the runs that could be meant
constexpr std::size_t kStamp = sizeof("20260101T000000.000Z-") - 1;

/// Whether the folder's run is under way: it holds a lock on its journal for as long as it lives.
bool is_running(const fs::path &folder) {
  const UniqueFd fd(::open((folder / kJournal).c_str(), O_RDONLY | O_CLOEXEC));
  return fd && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

/// The line of an event without its steps, which are by far the most of run_started, and last in it.
std::string without_steps(const std::string &line) {
  const std::size_t at = line.rfind(",\"steps\":[");
  return at == std::string::npos ? line : line.substr(0, at) + "}";
}

/// The first event of the run proper, without its steps; notices may come before it.
std::optional<Event> first_event(std::ifstream &file) {
  std::string line;
  for (int i = 0; i < 100 && std::getline(file, line); ++i) {
    std::optional<Event> event = read_event(without_steps(line));
    if (!event) event = read_event(line);
    if (event && event->type == Event::Type::run_started) return event;
  }
  return std::nullopt;
}

/// The last event that is there as a whole.
std::optional<Event> last_event(std::ifstream &file) {
  file.clear();
  file.seekg(0, std::ios::end);
  const auto size = static_cast<std::size_t>(std::max<std::streamoff>(0, file.tellg()));
  std::string tail(std::min(size, kTail), '\0');
  file.seekg(static_cast<std::streamoff>(size - tail.size()));
  file.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  std::string_view rest = tail;
  while (!rest.empty()) {
    if (rest.ends_with('\n')) rest.remove_suffix(1);
    const std::size_t at = rest.rfind('\n');
    const std::string_view line = at == std::string_view::npos ? rest : rest.substr(at + 1);
    if (auto event = read_event(line)) return event;
    rest = rest.substr(0, at == std::string_view::npos ? 0 : at);
  }
  return std::nullopt;
}

std::chrono::milliseconds between(std::chrono::system_clock::time_point from,
                                  std::chrono::system_clock::time_point to) {
  return std::max(std::chrono::milliseconds(0),
                  std::chrono::duration_cast<std::chrono::milliseconds>(to - from));
}

[[noreturn]] void reject(const std::string &word, const std::vector<fs::path> &all) {
  std::vector<std::string> names;
  for (const fs::path &folder : all) {
    const std::string id = folder.filename().string();
    for (const std::string &name : {id, pipeline_part(id)}) names.push_back(name);
  }
  const std::string close = did_you_mean(word, names);
  throw Error(Exit::usage, fmt::format("there is no run `{}`", word),
              close.empty() ? "`pipe runs` lists them; `last` is the newest" : close);
}

[[noreturn]] void reject_journal(const fs::path &folder) {
  throw Error(Exit::usage, fmt::format("there is no journal of run `{}`", folder.filename().string()),
              fmt::format("{} is missing or cannot be read", (folder / kJournal).string()));
}

}  // namespace

std::string pipeline_part(const std::string &id) {
  return id.size() > kStamp ? id.substr(kStamp) : std::string();
}

std::vector<fs::path> run_folders(const std::string &pipeline) {
  std::vector<fs::path> all;
  std::error_code none;
  const std::string name = file_name(pipeline);
  for (const auto &entry : fs::directory_iterator(state_home() / "runs", none)) {
    const std::string id = entry.path().filename().string();
    if (time_of(id) == std::chrono::system_clock::time_point()) continue;
    if (pipeline.empty() || pipeline_part(id) == name) all.push_back(entry.path());
  }
  std::ranges::sort(all, std::greater());
  return all;
}

RunRecord run_record(const fs::path &folder) {
  RunRecord record;
  record.id = folder.filename().string();
  record.folder = folder;
  record.began = time_of(record.id);
  record.pipeline = pipeline_part(record.id);
  const bool runs = is_running(folder);
  std::ifstream file(folder / kJournal, std::ios::binary);
  if (const auto first = first_event(file)) {
    record.pipeline = first->pipeline;
    record.file = first->file;
    const auto where = std::ranges::find(first->fields, "folder", &Value::Map::value_type::first);
    if (where != first->fields.end()) record.started_in = to_text(where->second);
    record.operation = first->operation;
  }
  const auto last = last_event(file);
  if (last && last->type == Event::Type::run_ended) {
    record.status = last->status;
    record.counts = last->counts;
    record.elapsed = last->elapsed;
  } else {
    record.status = runs ? "running" : "killed";
    const auto end = runs ? std::chrono::system_clock::now() : last ? last->time : record.began;
    record.elapsed = between(record.began, end);
  }
  return record;
}

fs::path find_run(const std::string &word) {
  const std::vector<fs::path> all = run_folders();
  if (all.empty()) throw Error(Exit::usage, "no run is on record", "`pipe run FILE` makes one");
  if (word == "last") return all.front();
  std::vector<fs::path> begin_so;
  const std::string name = file_name(word);
  for (const fs::path &folder : all) {
    const std::string id = folder.filename().string();
    if (id == word || pipeline_part(id) == name) return folder;
    if (!word.empty() && id.starts_with(word)) begin_so.push_back(folder);
  }
  if (begin_so.size() == 1) return begin_so.front();
  if (begin_so.empty()) reject(word, all);
  std::string which;
  for (std::size_t i = 0; i < std::min(kShown, begin_so.size()); ++i) {
    which += "\n    " + begin_so[i].filename().string();
  }
  if (begin_so.size() > kShown) which += fmt::format("\n    and {} more", begin_so.size() - kShown);
  throw Error(Exit::usage, fmt::format("{} runs begin with `{}`", begin_so.size(), word),
              "say which:" + which);
}

Value::List announced_steps(const fs::path &folder) {
  std::ifstream file(folder / kJournal, std::ios::binary);
  if (!file) reject_journal(folder);
  for (std::string line; std::getline(file, line);) {
    const auto event = read_event(line);
    if (event && event->type == Event::Type::run_started) return event->steps;
  }
  return {};
}

void replay(const fs::path &folder, const std::function<void(const Event &, std::string_view)> &to) {
  std::ifstream file(folder / kJournal, std::ios::binary);
  if (!file) reject_journal(folder);
  std::string line;
  while (std::getline(file, line)) {
    if (const auto event = read_event(line)) to(*event, line);
  }
}

void follow(const fs::path &folder, const std::function<void(const Event &, std::string_view)> &to) {
  const fs::path path = folder / kJournal;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) reject_journal(folder);
  const UniqueFd changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (changes) ::inotify_add_watch(changes.get(), path.c_str(), IN_MODIFY | IN_CLOSE_WRITE);
  std::string text;  // lines that have not been handed on
  std::vector<char> piece(64U << 10);
  for (;;) {
    // Asked before the file is read: what a run writes last is not missed.
    const bool runs = is_running(folder);
    for (ssize_t got = 0; (got = ::read(file.get(), piece.data(), piece.size())) > 0;)
      text.append(piece.data(), static_cast<std::size_t>(got));
    std::size_t from = 0;
    for (std::size_t end = 0; (end = text.find('\n', from)) != std::string::npos; from = end + 1) {
      const std::string_view line = std::string_view(text).substr(from, end - from);
      const auto event = read_event(line);
      if (event) to(*event, line);
      if (event && event->type == Event::Type::run_ended) return;
    }
    text.erase(0, from);
    if (!runs) return;
    // Where there is nobody to tell of changes, they are looked for.
    pollfd changed{changes.get(), POLLIN, 0};
    if (::poll(&changed, 1, changes ? 1000 : 200) > 0)
      while (::read(changes.get(), piece.data(), piece.size()) > 0) continue;
  }
}

Past past_run(const fs::path &folder) {
  Past past;
  past.run.id = folder.filename().string();
  replay(folder, [&past](const Event &e, std::string_view) {
    if (e.type == Event::Type::run_started) past.started = e;
    if (e.type != Event::Type::step_ended) return;
    PastRun::Step &step = past.run.steps[e.step];
    if (e.operation == Operation::undo) {
      step.undone = true;
      return;
    }
    step = {e.state, false, e.uses, e.summary, e.params, e.fields};
  });
  // What a step uses is told when the run begins.
  for (const Value &announced : past.started.steps) {
    const Value *id = announced.find("id"), *uses = announced.find("uses");
    if (id == nullptr || uses == nullptr) continue;
    const auto step = past.run.steps.find(to_text(*id));
    if (step != past.run.steps.end()) step->second.uses = to_text(*uses);
  }
  return past;
}

}  // namespace pipes
