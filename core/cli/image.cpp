// `pipe image`, `pipe debug` and `pipe doctor` are a program of their own, as what they are made of (TLS,
// HTTP) would take `pipe` longer to load than most verbs take to run (docs/design/image-program.md).
#include "core/cli/image.hpp"

#include "core/base/error.hpp"
#include "core/base/prefix.hpp"
#include "core/cli/verbs.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace pipes::cli {

namespace {

// They lie beside `pipe`, in the build tree as in a prefix.
[[noreturn]] void become(const char *program, Words words) {
  std::string path = (install_prefix() / PIPE_LIBEXECDIR / "pipe" / program).string();
  std::vector<char *> argv{path.data()};
  for (std::string &word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(path.c_str(), argv.data());
  throw Error(Exit::step_failed, fmt::format("cannot start {}: {}", path, std::strerror(errno)),
              "`pipe image`, `pipe debug` and `pipe doctor` need it: install pipe as a whole");
}

}  // namespace

void become_image_program(const std::string &verb, Words words) {
  words.insert(words.begin(), verb);
  become("pipe-image", std::move(words));
}

void become_image_names(const std::string &prefix) {
  become("pipe-names", {prefix});
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
