// pipe-names PREFIX: the names of the store that begin so, one a line. `pipe-image` knows them, too, but
// loads longer than a shell that completes a word should wait (docs/design/image-program.md).
#include "image/familiar.hpp"

#include <pipe/error.hpp>
#include <pipe/oci/store.hpp>

#include <cstdio>

int main(int argc, char **argv) {
  const std::string prefix = argc > 1 ? argv[1] : "";
  try {
    for (const std::string &stored : pipes::oci::Store::names(pipes::oci::Store::default_path())) {
      const std::string name = pipes::image::familiar(stored);
      if (name.starts_with(prefix)) std::puts(name.c_str());
    }
  } catch (const pipes::sdk::Error &error) {
    std::fprintf(stderr, "error: %s\n", error.message.c_str());
    return 1;
  }
  return 0;
}
