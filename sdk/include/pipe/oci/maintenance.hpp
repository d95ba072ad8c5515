#pragma once
// Looking after a store: what lies in it that nothing leads to, what is missing, what is damaged.
#include <pipe/error.hpp>
#include <pipe/oci/store.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace pipes::oci {

/// What a store holds for nobody: blobs that no entry of its index leads to, and what is attached to images
/// that are gone (referrers, signatures), which are names as well.
struct Garbage {
  std::vector<Digest> blobs;
  std::vector<std::string> names;          // sha256-…
  std::uint64_t bytes = 0;                 // of them, on disk
  std::uint64_t kept = 0, kept_bytes = 0;  // blobs that stay
};

/// Changes nothing. Throws PIPE_E_MISMATCH where a manifest is missing or damaged: nobody knows then what
/// it led to.
Garbage find_garbage(const Store &);

/// Removes them, once nobody else uses the store: a blob that another process has fetched for an image
/// which it has not named yet stays. Waits for that, `wait` at most (PIPE_E_TIMEOUT). What it says was
/// found is gone.
Garbage collect_garbage(Store &, std::chrono::milliseconds wait, sdk::Observer &);

/// Something of a store that is not as it should be.
struct StoreFlaw {
  enum class Kind {
    missing,  // an image needs it
    damaged,  // its content is another than its digest says
    invalid   // its content is what its digest says, and makes no sense
  };
  Kind kind = Kind::missing;
  Digest digest = digest_of("");
  std::string part;                 // "manifest", "config", "layer"; "blob" where no image needs it
  std::string why;                  // for people
  std::vector<StoredImage> images;  // that need it
  bool moved = false;               // out of the way, into .damaged
};

struct StoreCheck {
  std::uint64_t images = 0, blobs = 0, bytes = 0;  // that were looked at
  std::vector<StoreFlaw> flaws;
  std::uint64_t unnamed = 0, unnamed_bytes = 0;  // blobs that no name leads to; no flaw

  /// No image lacks anything, and no blob that is damaged is left.
  bool clean() const;
};

/// Hashes every blob again, several at a time, and follows every name. Throws PIPE_E_INVALID where the
/// index itself is broken, PIPE_E_CANCELLED. Progress is in bytes.
StoreCheck check_store(const Store &, sdk::Observer &);
/// Moves the damaged blobs that a check has found into the folder .damaged of the store, so that they are
/// fetched again. Needs the store for itself, as collect_garbage does.
void move_damaged(Store &, StoreCheck &, std::chrono::milliseconds wait, sdk::Observer &);

/// What is wrong with the index.json of a folder that is a store; nullopt: nothing is, or it is no store yet.
std::optional<std::string> index_problem(const std::filesystem::path &folder);
/// Begins a new one, so that the folder can be filled again. What is damaged is moved into .damaged first;
/// all other blobs need not be fetched. The index that can't be read stays, as index.json.broken. `wait` as
/// for collect_garbage.
void begin_index(const std::filesystem::path &folder, std::chrono::milliseconds wait, sdk::Observer &);

}  // namespace pipes::oci
