// The JSON that a plugin file carries.
#include "core/base/error.hpp"
#include "core/schema/schema.hpp"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  try {
    pipes::parse_metadata({reinterpret_cast<const char *>(data), size});
  } catch (const pipes::Error &) {
  }
  return 0;
}
