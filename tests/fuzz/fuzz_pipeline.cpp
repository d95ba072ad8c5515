// A pipeline file from anywhere, read, checked and rendered: diagnostics with places, never a crash.
#include "core/base/error.hpp"
#include "core/plan/plan.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const int file = memfd_create("pipeline", MFD_CLOEXEC);
  if (write(file, data, size) != static_cast<ssize_t>(size)) return 0;
  try {
    pipes::PluginRegistry plugins({});
    const auto outcome = pipes::make_plan("/proc/self/fd/" + std::to_string(file), {}, plugins,
                                          pipes::SecretNeed::placeholder);
    pipes::render_human(outcome.diagnostics, true);
    pipes::render_json(outcome.diagnostics);
  } catch (const pipes::Error &) {
  }
  close(file);
  return 0;
}
