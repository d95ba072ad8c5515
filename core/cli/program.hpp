#pragma once
// What every program with this command line does around its own work.
#include "core/cli/verb.hpp"

namespace pipes::cli {

/// Runs `body` with the words of the command line; what it throws is printed and gives the exit code.
int run_program(int argc, char **argv, int (*body)(Words));

}  // namespace pipes::cli
