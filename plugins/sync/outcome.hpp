#pragma once
// What became of each image, and how that is told.
#include <pipe/error.hpp>
#include <pipe/oci/transfer.hpp>

#include <cstdint>
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

std::string_view state_name(State);

struct Totals {
  std::uint64_t copied = 0, unchanged = 0, failed = 0, deleted = 0;
  pipes::oci::TransferResult result;  // bytes and blobs of all
};
Totals total(const std::vector<Outcome> &);

/// One line a repository, with a heading.
std::string table(const std::vector<Outcome> &);
/// An array of objects: from, to, state, digest, bytes, error.
std::string report_json(const std::vector<Outcome> &);
/// Throws one error that names everything that failed, if anything did. `deletions` is what went wrong
/// with deleting as a whole; empty: nothing.
void throw_failures(const std::vector<Outcome> &, const std::optional<pipes::sdk::Error> &deletions);

}  // namespace mirror
