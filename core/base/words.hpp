#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace pipes {

/// "a, b, c"
std::string joined(const std::vector<std::string> &words, std::string_view separator = ", ");

}  // namespace pipes
