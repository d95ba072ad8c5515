#include "core/base/words.hpp"

namespace pipes {

std::string joined(const std::vector<std::string> &words, std::string_view separator) {
  std::string result;
  for (const std::string &word : words) {
    if (!result.empty()) result.append(separator);
    result.append(word);
  }
  return result;
}

}  // namespace pipes
