#include <pipe/oci/temporary_store.hpp>

#include <fmt/core.h>
#include <stdlib.h>
#include <pipe/error.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

fs::path folder_for_large_files() {
  if (const char *chosen = std::getenv("TMPDIR"); chosen != nullptr && *chosen != '\0') return chosen;
  std::error_code none;
  if (fs::is_directory("/var/tmp", none)) return "/var/tmp";
  return fs::temp_directory_path();
}

fs::path make_folder(const fs::path &parent) {
  std::error_code ignored;
  fs::create_directories(parent, ignored);
  std::string name = (parent / ".pipe-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw sdk::Error(PIPE_E_IO, fmt::format("can't make a folder {}: {}", name, std::strerror(errno)),
                     "the image needs room there for one more copy");
  return name;
}

}  // namespace

TemporaryStore::TemporaryStore() : TemporaryStore(folder_for_large_files()) {}

TemporaryStore::TemporaryStore(const fs::path &parent) : folder_(make_folder(parent)) {
  try {
    store_.emplace(folder_ / "store");
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
    throw;
  }
}

TemporaryStore::~TemporaryStore() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

}  // namespace pipes::oci
