#include "core/run/loaded_plugin.hpp"

#include <fmt/core.h>
#include <boost/dll/shared_library.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <list>

namespace pipes {
namespace {

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
      if (why.starts_with(path + ": ")) why.erase(0, path.size() + 2);
    }
    throw LoadProblem{fmt::format("{} cannot be loaded: {}", path, why),
                      "rebuild the plugin, or install the library that it lacks"};
  }
}

bool is_of_this_abi(const pipe_plugin_v1 &plugin) {
  return plugin.size >= sizeof(pipe_plugin_v1) && plugin.abi_major == PIPE_ABI_MAJOR &&
         plugin.abi_minor <= PIPE_ABI_MINOR && plugin.steps != nullptr;
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

}  // namespace pipes
