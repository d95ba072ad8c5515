#include "core/base/prefix.hpp"

#include "core/base/error.hpp"

#include <sys/auxv.h>

namespace pipes {

namespace fs = std::filesystem;

fs::path install_prefix() {
  std::error_code error;
  fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) {
    // Without /proc, by the name that it was started by.
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel gives pointers as numbers
    const auto *name = reinterpret_cast<const char *>(::getauxval(AT_EXECFN));
    program = fs::canonical(name == nullptr ? "" : name, error);
  }
  if (error)
    throw Error(Exit::plugin, "cannot find out where pipe lies, and so not what is installed with it",
                "mount /proc, or start pipe by its whole path");
  return program.parent_path().parent_path();
}

}  // namespace pipes
