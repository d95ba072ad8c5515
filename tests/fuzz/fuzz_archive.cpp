// Archives from anywhere: read into a store or refused; never a byte outside the store.
#include <pipe/error.hpp>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/engine_archive.hpp>

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "tests/unit/quiet.hpp"

namespace fs = std::filesystem;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  static const fs::path folder = fs::temp_directory_path() / ("pipe-fuzz-" + std::to_string(getpid()));
  fs::create_directories(folder);
  const fs::path file = folder / "image.tar";
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char *>(data), static_cast<std::streamsize>(size));
  try {
    pipes::oci::Store store(folder / "store");
    pipes::oci::import_archive(file, "", store);
  } catch (const pipes::sdk::Error &) {
  }
  try {
    pipes::oci::Store store(folder / "store");
    pipes::sdk::testing::Quiet quiet;
    pipes::oci::EngineArchive archive({.name = "x", .id = "sha256:", .layers = {}}, store, quiet);
    if (archive.write(reinterpret_cast<const char *>(data), size)) archive.finish();
  } catch (const pipes::sdk::Error &) {
  }
  for (const auto &entry : fs::directory_iterator(folder))
    if (entry.path().filename() != "image.tar" && entry.path().filename() != "store") std::abort();
  fs::remove_all(folder / "store");
  return 0;
}
