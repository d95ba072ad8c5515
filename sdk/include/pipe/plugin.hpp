#pragma once
// The C++20 layer over pipe/plugin.h: declare the parameters once, write `plan`, `run` and `undo` as
// functions that may throw. Compiled into each plugin; no part of it crosses the C boundary.
#include <pipe/run.hpp>
#include <pipe/schema.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>

namespace pipes::sdk {

enum class Operation { plan, run, undo };

/// Runs `body` and turns what it throws into a status and a message: nothing gets past it.
template <class Body>
pipe_status guard(const pipe_host_v1 *host, pipe_run *handle, Body body) noexcept {
  const auto fail = [=](pipe_status status, std::string_view message, std::string_view hint = {},
                        std::int64_t retry_after_ms = 0) {
    host->fail(handle, status, to_c(message), to_c(hint), retry_after_ms);
    return status;
  };
  try {
    body();
    return PIPE_OK;
  } catch (const Error &e) {
    return fail(e.status == PIPE_OK ? PIPE_E_INTERNAL : e.status, e.message, e.hint, e.retry_after_ms);
  } catch (const std::bad_alloc &) {
    return fail(PIPE_E_INTERNAL, "out of memory");
  } catch (const std::system_error &e) {
    return fail(PIPE_E_IO, e.what());
  } catch (const std::exception &e) {
    return fail(PIPE_E_INTERNAL, e.what());
  } catch (...) {
    return fail(PIPE_E_INTERNAL, "an exception of unknown type", "throw pipes::sdk::Error instead");
  }
}

/// The parameters whose value depends on a step that has not run yet; `to` gets the others.
template <class S, class Params>
std::string load_params(const Run &run, const S &schema, Params &to) {
  std::string unknown;
  const auto load = [&](const auto &field) {
    if (!run.load(field.name, to.*field.member))
      unknown.append(unknown.empty() ? "" : ", ").append(field.name);
  };
  std::apply([&](const auto &...field) { (load(field), ...); }, schema.params);
  return unknown;
}

/// The functions of one operation as the host calls it: one a step and operation, never throwing.
template <const auto &schema, class Params, auto body, Operation operation>
pipe_status call(const pipe_host_v1 *host, pipe_run *handle) noexcept {
  return guard(host, handle, [=] {
    Run run(host, handle);
    Params params{};
    const std::string unknown = load_params(run, schema, params);
    if (unknown.empty()) return static_cast<void>(body(run, params));
    if (operation == Operation::plan)
      return run.verdict(Verdict::unknown, unknown + ": known once an earlier step has run");
    throw Error(PIPE_E_INVALID, "no value is known for " + unknown, "it comes from a step that has not run");
  });
}

/// One step of a plugin file; `plan` and `undo` are nullptr where there is none.
template <const auto &schema, class Params, auto plan, auto run, auto undo>
struct Step {
  static constexpr bool kHasPlan = !std::is_null_pointer_v<decltype(plan)>;
  static constexpr bool kHasUndo = !std::is_null_pointer_v<decltype(undo)>;

  template <auto body, Operation operation>
  static consteval pipe_operation entry() {
    if constexpr (std::is_null_pointer_v<decltype(body)>)
      return nullptr;
    else
      return &call<schema, Params, body, operation>;
  }
  static constexpr pipe_step_v1 kTable = {sizeof(pipe_step_v1),         0,
                                          schema.name.data(),           entry<plan, Operation::plan>(),
                                          entry<run, Operation::run>(), entry<undo, Operation::undo>()};
  static constexpr void write(render::Out &out) { render::step(out, schema, {kHasPlan, true, kHasUndo}); }
};

/// All of a plugin file.
template <class... Steps>
struct Plugin {
  static constexpr const pipe_step_v1 *kSteps[] = {&Steps::kTable..., nullptr};

  static constexpr void write(render::Out &out) {
    bool first = true;
    if (sizeof...(Steps) > 1) out.raw('[');
    ((first ? void() : out.raw(','), first = false, Steps::write(out)), ...);
    if (sizeof...(Steps) > 1) out.raw(']');
  }
  /// JSON with a final NUL, as of a string literal.
  static consteval auto metadata() {
    constexpr std::size_t kSize = [] {
      render::Out out;
      write(out);
      return out.size;
    }();
    std::array<char, kSize + 1> text{};
    render::Out out{text.data()};
    write(out);
    return text;
  }
};

}  // namespace pipes::sdk

/// A plugin file of several steps: PIPE_PLUGIN_STEPS(Step<kA, A, plan_a, run_a, undo_a>, Step<kB, …>);
/// To be written once in a file, in no namespace.
#define PIPE_PLUGIN_STEPS(...)                                                              \
  using pipe_plugin_ = ::pipes::sdk::Plugin<__VA_ARGS__>;                                   \
  extern "C" PIPE_EXPORT const decltype(pipe_plugin_::metadata()) pipe_plugin_metadata;     \
  __attribute__((section(PIPE_METADATA_SECTION),                                            \
                 used)) constexpr decltype(pipe_plugin_::metadata()) pipe_plugin_metadata = \
      pipe_plugin_::metadata();                                                             \
  extern "C" PIPE_EXPORT const pipe_plugin_v1 pipe_plugin_entry_v1 = {                      \
      sizeof(pipe_plugin_v1), PIPE_ABI_MAJOR, PIPE_ABI_MINOR, pipe_plugin_::kSteps, nullptr}

/// A plugin file of one step. `plan` and `undo` may be nullptr.
#define PIPE_PLUGIN(schema, Params, plan, run, undo) \
  PIPE_PLUGIN_STEPS(::pipes::sdk::Step<schema, Params, plan, run, undo>)
