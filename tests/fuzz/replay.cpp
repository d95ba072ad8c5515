// FOLDER…: gives a fuzz target each file of the folders once, in place of libFuzzer. A folder that is not
// there has none.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);

int main(int argc, char **argv) {
  int inputs = 0;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) continue;
    for (const auto &entry : std::filesystem::directory_iterator(argv[i])) {
      std::cerr << entry.path().string() << std::endl;  // the last one is it if the target dies
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string text(std::istreambuf_iterator<char>(file), {});
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t *>(text.data()), text.size());
      ++inputs;
    }
  }
  return inputs > 0 ? 0 : 1;
}
