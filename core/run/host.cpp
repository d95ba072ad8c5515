#include "core/run/host.hpp"

#include <fmt/core.h>
#include <pipe/plugin.h>
#include <poll.h>
#include <boost/dll/shared_library.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <mutex>

namespace pipes {
namespace {

using std::chrono::steady_clock;

// What people see moves ten times a second at most; so do the reports of it.
constexpr std::chrono::milliseconds kProgressInterval{100};
constexpr int kMaxDepth = 32;

std::string_view view(pipe_str s) {
  return s.data == nullptr ? std::string_view() : std::string_view(s.data, s.size);
}
std::string copy(pipe_str s) {
  return std::string(view(s));
}
pipe_str borrow(std::string_view s) {
  return {s.data(), s.size()};
}

/// Values as a plugin sees them. What they point to lives as long as the operation.
class Lender {
 public:
  pipe_value lend(const Value &value) {
    pipe_value result{};
    switch (value.kind()) {
      case Value::Kind::null:
        break;
      case Value::Kind::boolean:
        result.kind = PIPE_BOOL;
        result.as.i = value.as_bool() ? 1 : 0;
        break;
      case Value::Kind::integer:
        result.kind = PIPE_INT;
        result.as.i = value.as_int();
        break;
      case Value::Kind::number:
        result.kind = PIPE_FLOAT;
        result.as.f = value.as_number();
        break;
      case Value::Kind::string:
        result.kind = PIPE_STRING;
        result.as.s = borrow(value.as_string());
        break;
      case Value::Kind::list: {
        std::vector<pipe_value> items;
        for (const Value &item : value.as_list()) items.push_back(lend(item));
        keep(result, PIPE_LIST, std::move(items));
        break;
      }
      case Value::Kind::map: {
        std::vector<pipe_value> items;
        for (const auto &[key, item] : value.as_map()) {
          pipe_value name{};
          name.kind = PIPE_STRING;
          name.as.s = borrow(key);
          items.push_back(name);
          items.push_back(lend(item));
        }
        keep(result, PIPE_MAP, std::move(items));
        break;
      }
    }
    return result;
  }

 private:
  void keep(pipe_value &to, pipe_kind kind, std::vector<pipe_value> items) {
    const std::vector<pipe_value> &kept = arrays_.emplace_back(std::move(items));
    to.kind = kind;
    to.as.list.items = kept.data();
    to.as.list.count = kept.size();
  }
  std::list<std::vector<pipe_value>> arrays_;  // a deque takes memory even if it is empty
};

/// A copy of a plugin's value; false for one that is malformed.
bool take(const pipe_value &from, Value &to, int depth = 0) {
  if (depth > kMaxDepth) return false;
  switch (from.kind) {
    case PIPE_NULL:
      to = Value();
      return true;
    case PIPE_BOOL:
      to = from.as.i != 0;
      return true;
    case PIPE_INT:
      to = std::int64_t{from.as.i};
      return true;
    case PIPE_FLOAT:
      to = from.as.f;
      return true;
    case PIPE_STRING:
      to = view(from.as.s);
      return true;
    case PIPE_LIST: {
      Value::List list(from.as.list.count);
      for (std::size_t i = 0; i < list.size(); ++i) {
        if (!take(from.as.list.items[i], list[i], depth + 1)) return false;
      }
      to = std::move(list);
      return true;
    }
    case PIPE_MAP: {
      if (from.as.list.count % 2 != 0) return false;
      Value::Map map;
      for (std::size_t i = 0; i < from.as.list.count; i += 2) {
        const pipe_value &key = from.as.list.items[i];
        if (key.kind != PIPE_STRING) return false;
        map.emplace_back(copy(key.as.s), Value());
        if (!take(from.as.list.items[i + 1], map.back().second, depth + 1)) return false;
      }
      to = std::move(map);
      return true;
    }
    default:
      return false;
  }
}

const Value *member(const Value::Map &map, std::string_view name) {
  const auto at = std::ranges::find(map, name, &std::pair<std::string, Value>::first);
  return at == map.end() ? nullptr : &at->second;
}

}  // namespace
}  // namespace pipes

/// One operation, as the plugin's opaque handle.
struct pipe_run {
  const pipes::StepOrder &order;
  pipes::HostLink &link;
  std::mutex mutex = {};  // guards what threads of the plugin share: lender, progress
  pipes::Lender lender = {};
  pipes::Value::Map remembered = order.remembered;
  std::list<pipes::Value> recalled = {};  // what was lent of it: `remember` may change the original
  bool failure_told = false;
  struct Shown {
    pipes::steady_clock::time_point at;
    std::uint64_t done = 0, total = 0;
  };
  std::map<std::uint64_t, Shown> progress = {};
};

namespace pipes {
namespace {

// A host function must never throw: running out of memory ends the operation's call, not the process.
template <class Body>
pipe_status guarded(Body body) noexcept {
  try {
    return body();
  } catch (...) {
    return PIPE_E_INTERNAL;
  }
}

pipe_status host_param(pipe_run *run, pipe_str name, pipe_value *out) noexcept {
  return guarded([&]() -> pipe_status {
    *out = {};
    if (view(name) == "pipe.undo_data") {
      out->kind = PIPE_BOOL;
      out->as.i = run->order.undo_data ? 1 : 0;
      return PIPE_OK;
    }
    if (std::ranges::find(run->order.unknown, view(name)) != run->order.unknown.end())
      return PIPE_E_NOT_FOUND;
    if (const Value *value = member(run->order.params, view(name))) {
      const std::lock_guard lock(run->mutex);
      *out = run->lender.lend(*value);
    }
    return PIPE_OK;
  });
}

pipe_status host_output(pipe_run *run, pipe_str name, const pipe_value *value) noexcept {
  return guarded([&]() -> pipe_status {
    OutputReport report{copy(name), {}};
    if (value == nullptr || !take(*value, report.value)) return PIPE_E_INVALID;
    run->link.send(std::move(report));
    return PIPE_OK;
  });
}

void host_verdict(pipe_run *run, pipe_verdict verdict, pipe_str summary) noexcept {
  guarded([&]() -> pipe_status {
    const bool known = verdict >= PIPE_UNKNOWN && verdict <= PIPE_REMOVE;
    run->link.send(VerdictReport{known ? static_cast<Verdict>(verdict) : Verdict::unknown, copy(summary)});
    return PIPE_OK;
  });
}

void host_diff(pipe_run *run, pipe_str field, pipe_str before, pipe_str after) noexcept {
  guarded([&]() -> pipe_status {
    run->link.send(DiffReport{{copy(field), copy(before), copy(after)}});
    return PIPE_OK;
  });
}

pipe_status host_remember(pipe_run *run, pipe_str key, const pipe_value *value) noexcept {
  return guarded([&]() -> pipe_status {
    RememberReport report{copy(key), {}};
    if (value == nullptr || !take(*value, report.value)) return PIPE_E_INVALID;
    if (const std::string problem = run->link.remember(report); !problem.empty()) {
      run->link.send(
          LogReport{4, fmt::format("cannot keep '{}' for a later undo: {}", report.key, problem), {}});
      return PIPE_E_IO;
    }
    std::erase_if(run->remembered, [&](const auto &pair) { return pair.first == report.key; });
    if (!report.value.is_null()) run->remembered.emplace_back(report.key, std::move(report.value));
    return PIPE_OK;
  });
}

pipe_status host_recall(pipe_run *run, pipe_str key, pipe_value *out) noexcept {
  return guarded([&]() -> pipe_status {
    *out = {};
    if (const Value *value = member(run->remembered, view(key))) {
      const std::lock_guard lock(run->mutex);
      *out = run->lender.lend(run->recalled.emplace_back(*value));
    }
    return PIPE_OK;
  });
}

void host_log(pipe_run *run, std::int32_t level, pipe_str message, const pipe_value *fields,
              std::size_t count) noexcept {
  guarded([&]() -> pipe_status {
    LogReport report{std::clamp(level, 0, 4), copy(message), {}};
    for (std::size_t i = 0; fields != nullptr && i + 1 < count; i += 2) {
      Value value;
      if (fields[i].kind != PIPE_STRING || !take(fields[i + 1], value)) continue;
      report.fields.emplace_back(copy(fields[i].as.s), std::move(value));
    }
    run->link.send(report);
    return PIPE_OK;
  });
}

void host_progress(pipe_run *run, const pipe_progress *progress) noexcept {
  guarded([&]() -> pipe_status {
    // `label` is the last member of ABI 1.0.
    if (progress == nullptr || progress->size < offsetof(pipe_progress, label) + sizeof(pipe_str))
      return PIPE_OK;
    const std::lock_guard lock(run->mutex);
    const auto now = steady_clock::now();
    const bool complete = progress->total != 0 && progress->done >= progress->total;
    const auto [at, first] = run->progress.try_emplace(progress->id);
    pipe_run::Shown &shown = at->second;
    // Only forwards, and the end of each at once.
    const std::uint64_t done = std::max(shown.done, progress->done);
    const bool news = complete && (shown.done < progress->total || shown.total != progress->total);
    if (!first && !news && now - shown.at < kProgressInterval) return PIPE_OK;
    shown = {now, done, progress->total};
    run->link.send(ProgressReport{progress->id, progress->parent, done, progress->total, progress->unit == 1,
                                  copy(progress->label)});
    return PIPE_OK;
  });
}

int host_cancel_fd(pipe_run *run) noexcept {
  return run->link.cancel_fd();
}

std::int32_t host_cancelled(pipe_run *run) noexcept {
  pollfd poll_fd{run->link.cancel_fd(), POLLIN, 0};
  return ::poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLIN) != 0 ? 1 : 0;
}

void host_fail(pipe_run *run, pipe_status status, pipe_str message, pipe_str hint,
               std::int64_t retry_after_ms) noexcept {
  guarded([&]() -> pipe_status {
    const bool known = status > PIPE_OK && status <= PIPE_E_INTERNAL;
    run->failure_told = true;
    run->link.send(FailReport{known ? static_cast<Status>(status) : Status::internal, copy(message),
                              copy(hint),
                              std::chrono::milliseconds(std::max<std::int64_t>(0, retry_after_ms))});
    return PIPE_OK;
  });
}

const void *host_extension(pipe_run *, const char *) noexcept {
  return nullptr;
}

constexpr std::string_view kVersion = PIPE_VERSION;
constexpr pipe_host_v1 kHost{
    .size = sizeof(pipe_host_v1),
    .abi_major = PIPE_ABI_MAJOR,
    .abi_minor = PIPE_ABI_MINOR,
    .version = {kVersion.data(), kVersion.size()},
    .param = host_param,
    .output = host_output,
    .verdict = host_verdict,
    .diff = host_diff,
    .remember = host_remember,
    .recall = host_recall,
    .log = host_log,
    .progress = host_progress,
    .cancelled = host_cancelled,
    .cancel_fd = host_cancel_fd,
    .fail = host_fail,
    .extension = host_extension,
};

/// Why a plugin cannot do what it is asked.
struct LoadProblem {
  std::string message, hint;
};

struct Loaded {
  std::string path = {};
  boost::dll::shared_library library = {};
  const pipe_plugin_v1 *entry = nullptr;
};

/// Few, and so no map. Leaked on purpose: OpenSSL, thread-local destructors and others break when a library
/// goes away.
std::list<Loaded> &loaded_plugins() {
  static auto &loaded = *new std::list<Loaded>;
  return loaded;
}

const pipe_plugin_v1 &load(const std::string &path) {
  using boost::dll::load_mode::rtld_local;
  using boost::dll::load_mode::rtld_now;
  std::list<Loaded> &all = loaded_plugins();
  const auto known = std::ranges::find(all, path, &Loaded::path);
  Loaded &plugin = known != all.end() ? *known : all.emplace_back(Loaded{.path = path});
  if (plugin.entry != nullptr) return *plugin.entry;
  try {
    plugin.library.load(path, rtld_now | rtld_local);
    plugin.entry = &plugin.library.get<const pipe_plugin_v1>("pipe_plugin_entry_v1");
    return *plugin.entry;
  } catch (const std::exception &e) {
    // Boost.DLL wraps what dlerror said in words of its own.
    std::string why = e.what();
    constexpr std::string_view kMark = "dlerror system message: ";
    if (const auto at = why.find(kMark); at != std::string::npos) {
      why = why.substr(at + kMark.size());
      why = why.substr(0, why.rfind(')'));
    }
    throw LoadProblem{fmt::format("{} cannot be loaded: {}", path, why),
                      "rebuild the plugin, or install the library that it lacks"};
  }
}

bool is_of_this_abi(const pipe_plugin_v1 &plugin) {
  return plugin.size >= sizeof(pipe_plugin_v1) && plugin.abi_major == PIPE_ABI_MAJOR &&
         plugin.abi_minor <= PIPE_ABI_MINOR && plugin.steps != nullptr;
}

pipe_operation find_operation(const StepOrder &order) {
  const pipe_plugin_v1 &plugin = load(order.plugin);
  if (!is_of_this_abi(plugin)) {
    throw LoadProblem{
        fmt::format("plugin '{}' ({}) was built for pipe ABI {}.{}; this pipe provides {}.{}", order.uses,
                    order.plugin, plugin.abi_major, plugin.abi_minor, PIPE_ABI_MAJOR, PIPE_ABI_MINOR),
        "update pipe, or rebuild the plugin with its SDK"};
  }
  for (const pipe_step_v1 *const *at = plugin.steps; *at != nullptr; ++at) {
    const pipe_step_v1 &step = **at;
    if (order.uses != step.name) continue;
    // A table from an older SDK may end before the later operations.
    const auto has = [&step](std::size_t offset) { return step.size >= offset + sizeof(pipe_operation); };
    switch (order.operation) {
      case Operation::plan:
        return has(offsetof(pipe_step_v1, plan)) ? step.plan : nullptr;
      case Operation::run:
        return has(offsetof(pipe_step_v1, run)) ? step.run : nullptr;
      case Operation::undo:
        return has(offsetof(pipe_step_v1, undo)) ? step.undo : nullptr;
    }
  }
  throw LoadProblem{
      fmt::format("{} holds no step '{}', though its metadata says so", order.plugin, order.uses),
      "rebuild the plugin"};
}

Status perform(const StepOrder &order, HostLink &link) {
  const pipe_operation operation = find_operation(order);
  if (operation == nullptr) {
    if (order.operation == Operation::run) {
      throw LoadProblem{fmt::format("{}: step '{}' has no run operation", order.plugin, order.uses),
                        "rebuild the plugin"};
    }
    link.send(VerdictReport{order.operation == Operation::plan ? Verdict::unknown : Verdict::up_to_date, {}});
    return Status::ok;
  }
  pipe_run run{.order = order, .link = link};
  const pipe_status status = operation(&kHost, &run);
  if (status < PIPE_OK || status > PIPE_E_INTERNAL) return Status::internal;
  if (status != PIPE_OK && !run.failure_told) {
    link.send(FailReport{static_cast<Status>(status),
                         fmt::format("plugin '{}' failed ({}) and did not say why", order.uses,
                                     status_name(static_cast<Status>(status))),
                         {},
                         {}});
  }
  return static_cast<Status>(status);
}

}  // namespace

bool load_plugin(const std::string &path) {
  try {
    load(path);
    return true;
  } catch (const LoadProblem &) {
    return false;
  }
}

void touch_plugins() {
  for (const Loaded &plugin : loaded_plugins()) {
    if (plugin.entry == nullptr || !is_of_this_abi(*plugin.entry)) continue;
    for (const pipe_step_v1 *const *at = plugin.entry->steps; *at != nullptr; ++at) {
      [[maybe_unused]] const volatile char name = *(*at)->name;
      if ((*at)->run == nullptr) continue;
      [[maybe_unused]] const volatile char code = *reinterpret_cast<const volatile char *>((*at)->run);
    }
  }
}

Status run_operation(const StepOrder &order, HostLink &link) noexcept {
  Status status = Status::internal;
  try {
    status = perform(order, link);
  } catch (const LoadProblem &problem) {
    link.send(FailReport{Status::internal, problem.message, problem.hint, {}});
  }
  link.send(DoneReport{status});
  return status;
}

}  // namespace pipes
