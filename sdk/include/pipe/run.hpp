#pragma once
// What an operation of a step is given to talk to `pipe` with.
#include <pipe/types.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pipes::sdk {

/// What `plan` found would happen; what `run` and `undo` say they did.
enum class Verdict : pipe_verdict {
  unknown = PIPE_UNKNOWN,
  up_to_date = PIPE_UP_TO_DATE,
  create = PIPE_CREATE,
  change = PIPE_CHANGE,
  replace = PIPE_REPLACE,
  remove = PIPE_REMOVE
};

/// One operation of one step. It is an Observer, so that the SDK's libraries report through it.
/// Members of Observer may be called from any thread, the others from the operation's own.
class Run final : public Observer {
 public:
  Run(const pipe_host_v1 *host, pipe_run *handle) : host_(host), handle_(handle) {}
  Run(const Run &) = delete;
  Run &operator=(const Run &) = delete;

  void log(Level level, std::string_view message) override {
    host_->log(handle_, static_cast<std::int32_t>(level), to_c(message), nullptr, 0);
  }
  void debug(std::string_view message) { log(Level::debug, message); }
  void info(std::string_view message) { log(Level::info, message); }
  void warn(std::string_view message) { log(Level::warning, message); }

  void progress(const Progress &p) override {
    const pipe_progress to{sizeof(pipe_progress), p.bytes ? 1U : 0U, p.id, p.parent, p.done, p.total,
                           to_c(p.label)};
    host_->progress(handle_, &to);
  }
  bool cancelled() const override { return host_->cancelled(handle_) != 0; }
  int cancel_fd() const override { return host_->cancel_fd(handle_); }

  /// The verdict, with one line for people. The last one holds.
  void verdict(Verdict verdict, std::string_view summary) {
    host_->verdict(handle_, static_cast<pipe_verdict>(verdict), to_c(summary));
  }
  /// One field that differs: what it is now, what it becomes.
  void diff(std::string_view field, std::string_view before, std::string_view after) {
    host_->diff(handle_, to_c(field), to_c(before), to_c(after));
  }

  /// Publishes an output that the schema declares; in `plan`, one that is known already.
  template <class T>
  void output(std::string_view name, const T &value) {
    Packer packer;
    const pipe_value packed = packer.pack(value);
    require(host_->output(handle_, to_c(name), &packed), "output", name);
  }

  /// Keeps a value on disk, at once, for a later `undo` of this step. Call it before making the thing.
  void remember(std::string_view key, std::string_view value) {
    const pipe_value packed = Packer::pack(value);
    require(host_->remember(handle_, to_c(key), &packed), "note", key);
  }
  void forget(std::string_view key) {
    const pipe_value nothing{};
    require(host_->remember(handle_, to_c(key), &nothing), "note", key);
  }
  /// What an earlier operation of this step remembered.
  std::optional<std::string> recall(std::string_view key) const {
    pipe_value value{};
    require(host_->recall(handle_, to_c(key), &value), "note", key);
    std::string text;
    if (!TypeOf<std::string>::read(value, text)) return std::nullopt;
    return text;
  }

  /// In `undo`: whether data may go too.
  bool undo_data() const {
    bool data = false;
    load("pipe.undo_data", data);
    return data;
  }

  /// Reads a parameter into `to`; one that was not given leaves it as it is. False: the value depends
  /// on a step that has not run yet.
  template <class T>
  bool load(std::string_view name, T &to) const {
    pipe_value value{};
    const pipe_status status = host_->param(handle_, to_c(name), &value);
    if (status == PIPE_E_NOT_FOUND) return false;
    require(status, "parameter", name);
    if (value.kind != PIPE_NULL && !TypeOf<T>::read(value, to)) require(PIPE_E_INVALID, "parameter", name);
    return true;
  }

 private:
  static void require(pipe_status status, std::string_view what, std::string_view name) {
    if (status == PIPE_OK) return;
    throw Error(status, std::string(what) + " '" + std::string(name) + "' was refused by the runner",
                "the plugin's metadata and its code disagree, or the plugin is older than this pipe");
  }

  const pipe_host_v1 *host_;
  pipe_run *handle_;
};

}  // namespace pipes::sdk
