#pragma once
// What became of each image, and how that is told.
#include <pipe/error.hpp>
#include <pipe/oci/registry.hpp>
#include <pipe/oci/transfer.hpp>
#include <pipe/run.hpp>

#include <optional>
#include <string>
#include <vector>

namespace mirror {

enum class State { copied, unchanged, failed, deleted };

/// One image, or one repository that could not be looked at (then `from` and `to` have no tag).
struct Outcome {
  State state = State::unchanged;
  std::string from, to;    // of a deleted one there is no `from`
  std::string repository;  // at the target
  std::string before;      // the digest that `to` had; empty: none
  pipes::oci::TransferResult result;
  std::optional<pipes::sdk::Error> error;
};

/// Outputs and verdict; of a plan the differences, of a run the table.
void tell(pipes::sdk::Run &, const std::vector<Outcome> &, const pipes::oci::Traffic &, bool planning);
/// Throws one error that names everything that failed, if anything did. `deletions` is what went wrong
/// with deleting as a whole; empty: nothing.
void throw_failures(const std::vector<Outcome> &, const std::optional<pipes::sdk::Error> &deletions);

}  // namespace mirror
