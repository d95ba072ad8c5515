// Where the store is and what it has, for those who do not open it: nothing here needs more than JSON.
#include <pipe/error.hpp>
#include <pipe/oci/store.hpp>

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "layout_index.hpp"

namespace pipes::oci {

namespace fs = std::filesystem;

fs::path Store::default_path() {
  if (const char *store = std::getenv("PIPE_STORE"); store != nullptr && *store != '\0') return store;
  // The XDG specification has relative paths ignored.
  if (const char *data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data == '/')
    return fs::path(data) / "pipe" / "store";
  const char *home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    const passwd *user = getpwuid(getuid());
    home = user != nullptr ? user->pw_dir : nullptr;
  }
  if (home == nullptr || *home == '\0')
    throw sdk::Error(PIPE_E_IO, "there is no home folder to keep images in", "set PIPE_STORE to a folder");
  return fs::path(home) / ".local" / "share" / "pipe" / "store";
}

std::vector<std::string> Store::names(const fs::path &root) {
  std::vector<std::string> names;
  std::error_code error;
  if (!fs::exists(root / "index.json", error)) return names;
  const Json index = load_index(root);
  for (const Json &entry : index["manifests"])
    if (std::string name = entry_name(entry); !name.empty()) names.push_back(std::move(name));
  return names;
}

}  // namespace pipes::oci
