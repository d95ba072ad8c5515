#pragma once
// The parts of a pipeline file, each read by a file of its own. For .cpp files of this folder only.
#include "core/pipeline/pipeline.hpp"
#include "core/pipeline/table_reader.hpp"

#include <map>
#include <string>
#include <vector>

namespace pipes {

/// [vars.NAME]
std::vector<Variable> read_variables(Tree &document, TableReader &);
/// [secrets.NAME]
std::vector<SecretDeclaration> read_secrets(Tree &document, TableReader &);
/// [[step]], then [[finally]]; their pools are among `pools`.
std::vector<Step> read_steps(Tree &document, const std::map<std::string, int> &pools, TableReader &);

}  // namespace pipes
