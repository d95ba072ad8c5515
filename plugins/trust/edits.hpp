#pragma once
// What `trust` changes, as data: every engine says which files it wants, and how; plan shows them, run writes
// them, undo takes them back.
#include <pipe/error.hpp>
#include <pipe/run.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trust {

namespace fs = std::filesystem;
namespace sdk = pipes::sdk;

/// What is asked for, checked.
struct Wanted {
  std::string registry;  // host[:port]; may be empty
  std::string ca;        // PEM; may be empty
  std::string mirror;    // of Docker Hub: http(s)://host[:port]; may be empty
  bool insecure = false;
  std::string mirror_host() const;  // host[:port]
  bool mirror_is_plain() const { return mirror.starts_with("http://"); }
};

/// One file: what it holds, and what it is to hold.
struct Edit {
  fs::path path;
  std::optional<std::string> before{};
  std::string after{};
  std::string what{};      // for people: "the CA of localhost:5000"
  std::string addition{};  // what of `after` is ours, where the rest is somebody else's; empty: all of it
  bool needed() const { return before != after; }
};

/// Where an engine on this machine keeps its files: below a root, or in the user's home.
struct Places {
  fs::path docker, containers, containerd;  // folders: /etc/docker, /etc/containers, /etc/containerd
  fs::path root;                            // "/", unless a test says otherwise
};

/// A file that is ours as a whole: of a name that nobody else has, or one that is not there yet.
Edit whole_file(const fs::path &, std::string content, std::string what);
/// The CA in the folder of a registry. A `ca.crt` of somebody else is left alone: the name is pipe-ca.crt
/// then.
Edit authority_in(sdk::Run &, const fs::path &folder, const Wanted &);
/// `block` put behind what somebody else wrote.
Edit appended(const fs::path &, const std::string &block, std::string what);

/// Writes it, and notes beforehand what undo has to know.
void make(sdk::Run &, const Edit &);
/// Whether an earlier run of this step wrote the file as a whole.
bool made_by_us(const sdk::Run &, const fs::path &);
/// Takes a file back as far as it is still what `make` wrote. True: there was something to take back.
bool take_back(sdk::Run &, const fs::path &);
/// What makes a registry insecure in a file: the file where it is ours as a whole, and the lines in one of
/// somebody else's.
struct Insecure {
  fs::path path;
  std::string whole, lines;
};
/// Whether it says so, and whether this step wrote that: a file that bears its name, or lines that it noted.
enum class Author { nobody, us, others };
Author author_of(const sdk::Run &, const Insecure &);
/// Takes away what is ours.
void take_away(sdk::Run &, const Insecure &);
/// Once all files are taken back: a folder that was made for one of them and stays has something else in it.
void forget_folders(sdk::Run &, const fs::path &);

}  // namespace trust
