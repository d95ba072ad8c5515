#include "sole_use.hpp"

#include <fmt/core.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "file.hpp"

namespace pipes::oci {
namespace {
constexpr std::chrono::milliseconds kPause{20};
}

SoleUse::SoleUse(Store &store, std::chrono::milliseconds wait, sdk::Observer &observer)
    : lock_(*store.in_use_) {
  if (faccessat(AT_FDCWD, store.path().c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    throw_io("write to the store", store.path(), errno);
  const auto end = std::chrono::steady_clock::now() + wait;
  for (bool told = false; !lock_.try_upgrade(); told = true) {
    if (std::chrono::steady_clock::now() >= end)
      throw sdk::Error(
          PIPE_E_TIMEOUT,
          fmt::format("the store {} is in use: images are being moved into or out of it",
                      store.path().string()),
          "blobs are only taken away while nobody else uses the store: try again when that is done");
    if (!told) observer.log(sdk::Level::info, "the store is in use; waiting for that to end");
    observer.check_cancelled();
    std::this_thread::sleep_for(kPause);
  }
}

SoleUse::~SoleUse() {
  try {
    lock_.share();
  } catch (const sdk::Error &) {  // NOLINT(bugprone-empty-catch): then it is given back with the descriptor
  }
}

}  // namespace pipes::oci
