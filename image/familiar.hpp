#pragma once
#include <string>

namespace pipes::image {

/// As people write it: registry:3.
std::string familiar(const std::string &store_name);

}  // namespace pipes::image
