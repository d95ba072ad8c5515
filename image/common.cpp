#include "image/common.hpp"

#include "core/base/diagnostic.hpp"
#include "core/base/error.hpp"
#include "core/base/quantity.hpp"
#include "core/cli/print.hpp"
#include "core/report/text.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <mutex>

namespace pipes::image {

Option output_option() {
  return {"output", "FORM", "text or json", false, {"text", "json"}};
}

bool wants_json(const Arguments &arguments) {
  return arguments.value("output") == "json";
}

std::vector<Option> registry_options() {
  return {{"ca-file", "FILE", "Certificates (PEM) to trust the registry by, instead of the system's"},
          {"insecure", "", "Allow plain HTTP or a certificate that can't be verified"}};
}

oci::RegistryOptions registry_options(const Arguments &arguments) {
  oci::RegistryOptions options;
  options.insecure = arguments.has("insecure");
  options.ca_file = arguments.value("ca-file").value_or("");
  return options;
}

Option wait_option() {
  return {"wait", "TIME", "How long to wait for those who use the store (default: 1m)"};
}

std::chrono::milliseconds wait_time(const Arguments &arguments) {
  const std::string text = arguments.value("wait").value_or("1m");
  const std::optional<std::int64_t> wait = text == "0" ? 0 : parse_duration(text);
  if (!wait) throw Error(Exit::usage, fmt::format("`--wait {}`: expected a time such as 30s or 5m", text));
  return std::chrono::milliseconds(*wait);
}

oci::Store open_store() {
  const std::filesystem::path path = oci::Store::default_path();
  if (!oci::Store::exists(path))
    throw Error(Exit::step_failed, fmt::format("there is no store at {}", path.string()),
                "`pipe step pull` makes it; PIPE_STORE names another place");
  return oci::Store(path);
}

oci::StoredImage find_image(const oci::Store &store, const std::string &name) {
  if (std::optional<oci::StoredImage> found = store.find(name)) return *std::move(found);
  std::vector<std::string> names;
  for (const oci::StoredImage &image : store.list()) names.push_back(familiar(image.name));
  const std::string close = did_you_mean(name, names);
  throw Error(Exit::step_failed,
              fmt::format("there is no image {} in the store {}", name, store.path().string()),
              close.empty() ? "`pipe image ls` lists them" : close);
}

struct Watch::State {
  std::mutex mutex;  // its members come from any thread
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  bool shown = false;
  std::chrono::steady_clock::time_point last;

  void clear() {
    if (shown) cli::print_error("\r\x1b[K");
    shown = false;
  }
};

Watch::Watch() : state_(std::make_unique<State>()) {}
Watch::~Watch() {
  state_->clear();
}

void Watch::log(sdk::Level level, std::string_view message) {
  if (level < sdk::Level::info) return;
  const std::lock_guard lock(state_->mutex);
  state_->clear();
  const std::string_view kind = level >= sdk::Level::warning ? "warning: " : "";
  cli::print_error(fmt::format("{}{}\n", kind, printable(message)));
}

void Watch::progress(const sdk::Progress &progress) {
  constexpr std::chrono::milliseconds kPause{100};
  if (!state_->terminal || progress.id != 0) return;
  const std::lock_guard lock(state_->mutex);
  const auto now = std::chrono::steady_clock::now();
  if (now - state_->last < kPause) return;
  state_->last = now;
  state_->shown = true;
  cli::print_error(fmt::format("\r\x1b[K{}", progress_text(progress.done, progress.total, progress.bytes)));
}

std::string counted(std::uint64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string joined(const std::vector<oci::Platform> &platforms) {
  std::string text;
  for (const oci::Platform &platform : platforms) text += (text.empty() ? "" : ", ") + platform.str();
  return text;
}

Value json_of(const std::vector<oci::Platform> &platforms) {
  Value::List list;
  for (const oci::Platform &platform : platforms) list.emplace_back(platform.str());
  return list;
}

Value json_of(const std::vector<std::string> &texts) {
  return Value::List(texts.begin(), texts.end());
}

Value json_of(std::uint64_t bytes) {
  return static_cast<std::int64_t>(bytes);
}

void print_json(Value::Map map) {
  cli::print(to_json(Value(std::move(map))) + "\n");
}

}  // namespace pipes::image
