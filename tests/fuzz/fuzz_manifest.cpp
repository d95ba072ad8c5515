// Manifests from a hostile registry: refused with an Error, or sound.
#include <pipe/error.hpp>
#include <pipe/oci/manifest.hpp>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char *>(data), size);
  for (std::string_view type : {std::string_view{}, pipes::oci::kOciManifest, pipes::oci::kDockerList}) {
    try {
      const auto manifest = pipes::oci::parse_manifest(bytes, type);
      if (manifest.bytes != bytes || manifest.digest != pipes::oci::digest_of(bytes)) std::abort();
      if (manifest.is_index())
        pipes::oci::select_platform(manifest, pipes::oci::Platform::parse("linux/amd64"));
    } catch (const pipes::sdk::Error &) {
    }
  }
  return 0;
}
