#pragma once
#include "core/base/error.hpp"

#include <string_view>

namespace pipes::cli {

/// To stdout: what was asked for. Throws if it cannot be written, but not if its reader is gone.
void print(std::string_view);
/// To stderr: all else.
void print_error(std::string_view);
/// `error: …` and its hint.
void print_error(const Error &);
/// Whether colours are wanted on the descriptor: a terminal, and NO_COLOR not set.
bool colored(int fd);

}  // namespace pipes::cli
