// What a step's process writes to the runner's socket: refused as garbage, or reports that read back as
// themselves.
#include "core/run/message.hpp"
#include "core/run/packets.hpp"
#include "core/run/wire.hpp"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string_view packet(reinterpret_cast<const char *>(data), size);
  try {
    pipes::MessageAssembler assembler;
    const auto message = assembler.add(packet);
    if (!message) return 0;
    for (pipes::WireReader reports(*message); !reports.empty();) {
      const std::string bytes = encode(pipes::decode_report(reports.text()));
      if (encode(pipes::decode_report(bytes)) != bytes) std::abort();
    }
  } catch (const pipes::WireError &) {
  }
  return 0;
}
