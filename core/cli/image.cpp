// `pipe image`, `pipe debug` and `pipe doctor` are a program of their own, as what they are made of (TLS,
// HTTP) would take `pipe` longer to load than most verbs take to run (docs/design/image-program.md).
#include "core/cli/image.hpp"

#include "core/base/error.hpp"
#include "core/cli/verbs.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace pipes::cli {
namespace fs = std::filesystem;

// It lies beside `pipe`, in the build tree as in a prefix.
void become_image_program(const std::string &verb, const Words &words) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const fs::path program = self.parent_path().parent_path() / PIPE_LIBEXECDIR / "pipe/pipe-image";
  std::string name = program.string(), first = verb;
  Words rest = words;
  std::vector<char *> argv{name.data(), first.data()};
  for (std::string &word : rest) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(name.c_str(), argv.data());
  throw Error(Exit::step_failed, fmt::format("cannot start {}: {}", name, std::strerror(errno)),
              "`pipe image`, `pipe debug` and `pipe doctor` need it: install pipe as a whole");
}

const Verb kImage{"image",
                  "VERB …",
                  "Look at images, and look after the store",
                  "",
                  [] { return std::vector<Option>(); },
                  [](const Words &words) -> int { become_image_program("image", words); }};

const Verb kDebug{"debug",
                  "VERB …",
                  "Show how names, logins and manifests are understood, as JSON",
                  "",
                  [] { return std::vector<Option>(); },
                  [](const Words &words) -> int { become_image_program("debug", words); }};

const Verb kDoctor{"doctor",
                   "[REGISTRY…]",
                   "Say what is wrong with this machine, and what mends it",
                   "",
                   [] { return std::vector<Option>(); },
                   [](const Words &words) -> int { become_image_program("doctor", words); }};

}  // namespace pipes::cli
