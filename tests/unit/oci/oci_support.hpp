#pragma once
// What the tests of this folder share.
#include <pipe/error.hpp>
#include <pipe/oci/store.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "tests/unit/quiet.hpp"

namespace pipes::oci::testing {

using sdk::testing::Quiet;

/// A folder of its own, removed at the end.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "pipe-oci-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TempDir() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TempDir(const TempDir &) = delete;
  TempDir &operator=(const TempDir &) = delete;
  const std::filesystem::path &path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::string read_all(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_all(const std::filesystem::path &path, std::string_view content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

/// The error that `action` ends with; PIPE_OK and no message if it ends without one.
template <class Action>
sdk::Error error_of(Action &&action) {
  try {
    action();
  } catch (const sdk::Error &error) {
    return error;
  }
  return sdk::Error(PIPE_OK, "");
}

/// Runs `action` in a process of its own; returns what it returned, 111 if something was thrown.
template <class Action>
pid_t start_child(Action &&action) {
  const pid_t child = fork();
  if (child != 0) return child;
  int code = 111;
  try {
    code = action();
  } catch (const std::exception &error) {
    const std::string_view message = error.what();
    (void)!write(STDERR_FILENO, message.data(), message.size());
  }
  _exit(code);
}

inline int wait_for(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// A whole image of one layer that holds `content` (no real tar: the store doesn't look inside).
inline Descriptor make_image(Store &store, std::string_view content) {
  const std::string config =
      R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[")" +
      digest_of(content).str() + R"("]}})";
  const Descriptor config_blob = store.put(config, kOciConfig);
  const Descriptor layer = store.put(content, kOciLayer);
  const auto json = [](const Descriptor &blob) {
    return R"({"mediaType":")" + blob.media_type + R"(","digest":")" + blob.digest.str() + R"(","size":)" +
           std::to_string(blob.size) + "}";
  };
  return store.put(R"({"schemaVersion":2,"mediaType":")" + std::string(kOciManifest) + R"(","config":)" +
                       json(config_blob) + R"(,"layers":[)" + json(layer) + "]}",
                   kOciManifest);
}

}  // namespace pipes::oci::testing
