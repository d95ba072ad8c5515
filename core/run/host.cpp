#include "core/run/host.hpp"

#include "core/run/loaded_plugin.hpp"
#include "core/run/plugin_value.hpp"

#include <fmt/core.h>
#include <pipe/plugin.h>
#include <poll.h>

#include <algorithm>
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

std::string copy(pipe_str s) {
  return std::string(view(s));
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
