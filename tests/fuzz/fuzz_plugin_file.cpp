// A file that claims to be a plugin: every offset in it may lie.
#include "core/base/error.hpp"
#include "core/plugin/registry.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const int file = memfd_create("plugin", MFD_CLOEXEC);
  if (write(file, data, size) != static_cast<ssize_t>(size)) return 0;
  try {
    pipes::read_metadata_section("/proc/self/fd/" + std::to_string(file));
  } catch (const pipes::Error &) {
  }
  close(file);
  return 0;
}
