#pragma once
#include <string_view>

namespace pipes {

/// A file of core/report/html/, built in (cmake/embed.cmake). Empty: there is none of that name.
std::string_view html_file(std::string_view name);

}  // namespace pipes
