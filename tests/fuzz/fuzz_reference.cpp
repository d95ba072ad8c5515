// Image names from anywhere: parsed or refused, and what is parsed reads back as itself.
#include <pipe/error.hpp>
#include <pipe/oci/reference.hpp>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  try {
    const auto reference = pipes::oci::Reference::parse(text);
    if (pipes::oci::Reference::parse(reference.str()).str() != reference.str()) std::abort();
    if (pipes::oci::Reference::parse(reference.familiar()).str() != reference.str()) std::abort();
  } catch (const pipes::sdk::Error &) {
  }
  try {
    const auto name = pipes::oci::ImageName::parse(text);
    if (pipes::oci::ImageName::parse(name.str()).str() != name.str()) std::abort();
  } catch (const pipes::sdk::Error &) {
  }
  return 0;
}
