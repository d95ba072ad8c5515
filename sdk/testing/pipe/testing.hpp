#pragma once
// Runs the operations of a step in a test: compile the plugin's sources into the test program, name the
// step, give parameters, look at what it told the host. Standard library only; any test framework.
#include <pipe/plugin.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace pipes::sdk::testing {

/// A parameter, an output or a note, as the host keeps it.
class Value {
 public:
  using List = std::vector<Value>;
  using Map = std::map<std::string, Value>;

  Value() = default;
  // NOLINTBEGIN(google-explicit-constructor): values read like literals
  Value(bool v) : data_(v) {}
  Value(std::integral auto v) : data_(std::int64_t{v}) {}
  Value(double v) : data_(v) {}
  Value(std::string v) : data_(std::move(v)) {}
  Value(const char *v) : data_(std::string(v)) {}
  Value(List v) : data_(std::move(v)) {}
  Value(Map v) : data_(std::move(v)) {}
  template <class T>
  Value(const std::vector<T> &v) : data_(List(v.begin(), v.end())) {}
  template <class T>
  Value(const std::map<std::string, T> &v) : data_(Map(v.begin(), v.end())) {}
  // NOLINTEND(google-explicit-constructor)
  explicit Value(const pipe_value &v) : data_(copy(v)) {}

  bool is_null() const { return data_.index() == 0; }
  const std::string &text() const { return std::get<std::string>(data_); }
  std::int64_t integer() const { return std::get<std::int64_t>(data_); }
  bool boolean() const { return std::get<bool>(data_); }
  double number() const { return std::get<double>(data_); }
  const List &list() const { return std::get<List>(data_); }
  const Map &map() const { return std::get<Map>(data_); }
  bool operator==(const Value &) const = default;

  /// Borrows from this value and from `kept`.
  pipe_value borrow(std::list<std::vector<pipe_value>> &kept) const {
    pipe_value v{};
    v.kind = static_cast<pipe_kind>(data_.index());  // in the order of PIPE_NULL, PIPE_BOOL …
    if (const auto *b = std::get_if<bool>(&data_)) v.as.i = *b ? 1 : 0;
    if (const auto *i = std::get_if<std::int64_t>(&data_)) v.as.i = *i;
    if (const auto *f = std::get_if<double>(&data_)) v.as.f = *f;
    if (const auto *s = std::get_if<std::string>(&data_)) v.as.s = {s->data(), s->size()};
    std::vector<pipe_value> items;
    if (const auto *list = std::get_if<List>(&data_))
      for (const Value &item : *list) items.push_back(item.borrow(kept));
    if (const auto *map = std::get_if<Map>(&data_))
      for (const auto &[key, item] : *map) {
        pipe_value name{};
        name.kind = PIPE_STRING;
        name.as.s = {key.data(), key.size()};
        items.push_back(name);
        items.push_back(item.borrow(kept));
      }
    if (v.kind == PIPE_LIST || v.kind == PIPE_MAP) {
      const auto &held = kept.emplace_back(std::move(items));
      v.as.list.items = held.data();
      v.as.list.count = held.size();
    }
    return v;
  }

 private:
  using Data = std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Map>;

  static Data copy(const pipe_value &v) {
    switch (v.kind) {
      case PIPE_NULL:
        return {};
      case PIPE_BOOL:
        return v.as.i != 0;
      case PIPE_INT:
        return v.as.i;
      case PIPE_FLOAT:
        return v.as.f;
      case PIPE_STRING:
        return std::string(v.as.s.data, v.as.s.size);
      case PIPE_LIST: {
        List list;
        for (std::size_t i = 0; i < v.as.list.count; ++i) list.emplace_back(v.as.list.items[i]);
        return list;
      }
      case PIPE_MAP: {
        Map map;
        for (std::size_t i = 0; i + 1 < v.as.list.count; i += 2)
          map.emplace(Value(v.as.list.items[i]).text(), Value(v.as.list.items[i + 1]));
        return map;
      }
      default:
        throw std::invalid_argument("a value of an unknown kind");
    }
  }

  Data data_;
};

struct Log {
  std::int32_t level = 0;  // 0 trace, 1 debug, 2 info, 3 warning, 4 error
  std::string message;
};

struct Diff {
  std::string field, before, after;
  bool operator==(const Diff &) const = default;
};

/// All that one operation told the host.
struct Result {
  pipe_status status = PIPE_OK;
  std::string message, hint;  // of a failure
  std::int64_t retry_after_ms = 0;
  pipe_verdict verdict = PIPE_UNKNOWN;
  std::string summary;
  std::map<std::string, Value> outputs;
  std::vector<Diff> diffs;
  std::vector<Log> logs;
  std::size_t progress_events = 0;

  bool logged(std::string_view text) const {
    return std::any_of(logs.begin(), logs.end(),
                       [&](const Log &log) { return log.message.find(text) != std::string::npos; });
  }
};

/// A step and the host it is run against. Parameters and what the step remembers last from one operation
/// to the next. Defaults are those of the Params struct: the metadata is not read.
class StepTest {
 public:
  /// The step of that name in `plugin`: by default of the sources compiled into the test.
  explicit StepTest(std::string_view name, const pipe_plugin_v1 &plugin = pipe_plugin_entry_v1)
      : cancel_fd_(eventfd(0, EFD_CLOEXEC)) {
    for (const auto *const *step = plugin.steps; *step != nullptr; ++step)
      if ((*step)->name == name) step_ = *step;
    if (step_ == nullptr) throw std::invalid_argument("the plugin has no step " + std::string(name));
  }
  StepTest(const StepTest &) = delete;
  StepTest &operator=(const StepTest &) = delete;
  ~StepTest() { close(cancel_fd_); }

  StepTest &param(std::string name, Value value) {
    unknown_.erase(name);
    params_.insert_or_assign(std::move(name), std::move(value));
    return *this;
  }
  /// A parameter whose value depends on a step that has not run yet.
  StepTest &unknown(std::string name) {
    unknown_.insert(std::move(name));
    return *this;
  }
  /// Cancels this and later operations; may be called from another thread while one runs.
  void cancel() {
    const std::uint64_t one = 1;
    const std::lock_guard lock(mutex_);
    cancelled_ = write(cancel_fd_, &one, sizeof one) == sizeof one;
  }
  const std::map<std::string, Value> &remembered() const { return notes_; }

  Result plan() { return call(step_->plan); }
  Result run() { return call(step_->run); }
  Result undo() { return call(step_->undo); }
  /// `undo` as `pipe down --data` asks for it.
  Result undo_with_data() {
    param("pipe.undo_data", true);
    Result result = call(step_->undo);
    params_.erase("pipe.undo_data");
    return result;
  }

 private:
  static std::string text(pipe_str s) { return {s.data, s.size}; }
  static StepTest &self(pipe_run *run) { return *reinterpret_cast<StepTest *>(run); }
  static const Value *find(const std::map<std::string, Value> &in, pipe_str name) {
    const auto found = in.find(text(name));
    return found == in.end() ? nullptr : &found->second;
  }

  Result call(pipe_operation operation) {
    if (operation == nullptr) throw std::logic_error("the step has no such operation");
    kept_.clear();
    result_ = {};
    result_.status = operation(&kHost, reinterpret_cast<pipe_run *>(this));
    return result_;
  }

  static pipe_status on_param(pipe_run *run, pipe_str name, pipe_value *out) noexcept {
    const std::lock_guard lock(self(run).mutex_);
    *out = {};
    if (self(run).unknown_.contains(text(name))) return PIPE_E_NOT_FOUND;
    if (const Value *value = find(self(run).params_, name)) *out = value->borrow(self(run).kept_);
    return PIPE_OK;
  }
  static pipe_status on_output(pipe_run *run, pipe_str name, const pipe_value *value) noexcept {
    self(run).result_.outputs.insert_or_assign(text(name), Value(*value));
    return PIPE_OK;
  }
  static void on_verdict(pipe_run *run, pipe_verdict verdict, pipe_str summary) noexcept {
    self(run).result_.verdict = verdict;
    self(run).result_.summary = text(summary);
  }
  static void on_diff(pipe_run *run, pipe_str field, pipe_str before, pipe_str after) noexcept {
    self(run).result_.diffs.push_back({text(field), text(before), text(after)});
  }
  static pipe_status on_remember(pipe_run *run, pipe_str key, const pipe_value *value) noexcept {
    if (value->kind == PIPE_NULL)
      self(run).notes_.erase(text(key));
    else
      self(run).notes_.insert_or_assign(text(key), Value(*value));
    return PIPE_OK;
  }
  static pipe_status on_recall(pipe_run *run, pipe_str key, pipe_value *out) noexcept {
    *out = {};
    if (const Value *value = find(self(run).notes_, key)) *out = value->borrow(self(run).kept_);
    return PIPE_OK;
  }
  static void on_log(pipe_run *run, std::int32_t level, pipe_str message, const pipe_value *,
                     std::size_t) noexcept {
    const std::lock_guard lock(self(run).mutex_);
    self(run).result_.logs.push_back({level, text(message)});
  }
  static void on_progress(pipe_run *run, const pipe_progress *) noexcept {
    const std::lock_guard lock(self(run).mutex_);
    ++self(run).result_.progress_events;
  }
  static std::int32_t on_cancelled(pipe_run *run) noexcept {
    const std::lock_guard lock(self(run).mutex_);
    return self(run).cancelled_ ? 1 : 0;
  }
  static std::int32_t on_cancel_fd(pipe_run *run) noexcept { return self(run).cancel_fd_; }
  static void on_fail(pipe_run *run, pipe_status, pipe_str message, pipe_str hint,
                      std::int64_t retry_after_ms) noexcept {
    self(run).result_.message = text(message);
    self(run).result_.hint = text(hint);
    self(run).result_.retry_after_ms = retry_after_ms;
  }
  static const void *on_extension(pipe_run *, const char *) noexcept { return nullptr; }

  static constexpr pipe_host_v1 kHost = {
      sizeof(pipe_host_v1), PIPE_ABI_MAJOR, PIPE_ABI_MINOR, {"test", 4}, on_param, on_output,
      on_verdict,           on_diff,        on_remember,    on_recall,   on_log,   on_progress,
      on_cancelled,         on_cancel_fd,   on_fail,        on_extension};

  const pipe_step_v1 *step_ = nullptr;
  std::map<std::string, Value> params_, notes_;
  std::set<std::string> unknown_;
  int cancel_fd_;
  bool cancelled_ = false;
  std::mutex mutex_;
  std::list<std::vector<pipe_value>> kept_;
  Result result_;
};

}  // namespace pipes::sdk::testing
