#include "edits.hpp"

#include <pipe/oci/settings_file.hpp>

#include <fmt/core.h>

#include <system_error>

namespace trust {
namespace {

namespace oci = pipes::oci;

std::string file_key(const fs::path &path) {
  return "file " + path.string();
}
std::string block_key(const fs::path &path) {
  return "block " + path.string();
}

std::string folder_key(const fs::path &path) {
  return "folder " + path.string();
}

/// Notes the folders that writing this file will make.
void note_folders(sdk::Run &run, const fs::path &path) {
  std::error_code error;
  for (fs::path folder = path.parent_path(); !folder.empty() && !fs::exists(folder, error);
       folder = folder.parent_path())
    run.remember(folder_key(folder), "made");
}

/// With the folders that were made for it, as far as nothing else is in them.
void remove_file(sdk::Run &run, const fs::path &path) {
  std::error_code error;
  fs::remove(path, error);
  if (error) throw sdk::Error(PIPE_E_IO, fmt::format("can't remove {}: {}", path.string(), error.message()));
  for (fs::path folder = path.parent_path(); run.recall(folder_key(folder)); folder = folder.parent_path()) {
    if (!fs::remove(folder, error)) break;
    run.forget(folder_key(folder));
  }
}

}  // namespace

std::string Wanted::mirror_host() const {
  const std::size_t scheme = mirror.find("://");
  return scheme == std::string::npos ? std::string() : mirror.substr(scheme + 3);
}

Edit whole_file(const fs::path &path, std::string content, std::string what) {
  return {
      .path = path, .before = oci::read_settings(path), .after = std::move(content), .what = std::move(what)};
}

Edit authority_in(sdk::Run &run, const fs::path &folder, const Wanted &wanted) {
  const std::string what = "the CA of " + wanted.registry;
  Edit edit = whole_file(folder / "ca.crt", wanted.ca, what);
  if (!edit.needed() || !edit.before || made_by_us(run, edit.path)) return edit;
  return whole_file(folder / "pipe-ca.crt", wanted.ca, what);
}

Edit appended(const fs::path &path, const std::string &block, std::string what) {
  Edit edit{.path = path, .before = oci::read_settings(path), .what = std::move(what)};
  edit.after = edit.before.value_or(std::string());
  if (edit.after.find(block) != std::string::npos) return edit;
  if (!edit.after.empty() && !edit.after.ends_with('\n')) edit.after += '\n';
  edit.addition = block;
  edit.after += block;
  return edit;
}

void make(sdk::Run &run, const Edit &edit) {
  if (edit.addition.empty() || !edit.before) {
    run.remember(file_key(edit.path), edit.after);
  } else {
    std::string before = run.recall(block_key(edit.path)).value_or(std::string());  // with other settings
    if (!edit.before->ends_with(before)) before.clear();
    run.remember(block_key(edit.path), before + edit.addition);
  }
  note_folders(run, edit.path);
  oci::write_settings(edit.path, edit.after);
}

bool made_by_us(const sdk::Run &run, const fs::path &path) {
  return run.recall(file_key(path)) && run.recall(file_key(path)) == oci::read_settings(path);
}

bool take_back(sdk::Run &run, const fs::path &path) {
  const auto whole = run.recall(file_key(path));
  const auto block = run.recall(block_key(path));
  if (!whole && !block) return false;
  auto now = oci::read_settings(path);
  bool done = false;
  if (now && block && now->find(*block) != std::string::npos) {
    now->erase(now->find(*block), block->size());
    oci::write_settings(path, *now);
    done = true;
  }
  if (now && whole == now) {
    remove_file(run, path);
    done = true;
  } else if (now && (whole || !done)) {
    run.warn(fmt::format("{} was changed by someone else since, and stays", path.string()));
  }
  run.forget(file_key(path));
  run.forget(block_key(path));
  return done;
}

Author author_of(const sdk::Run &run, const Insecure &insecure) {
  const auto now = oci::read_settings(insecure.path);
  if (!now || now->find(insecure.lines) == std::string::npos) return Author::nobody;
  const bool ours = now == insecure.whole || run.recall(block_key(insecure.path)) == insecure.lines;
  return ours ? Author::us : Author::others;
}

void take_away(sdk::Run &run, const Insecure &insecure) {
  std::string now = oci::read_settings(insecure.path).value_or(std::string());
  if (now == insecure.whole) {
    remove_file(run, insecure.path);
    return run.forget(file_key(insecure.path));
  }
  now.erase(now.find(insecure.lines), insecure.lines.size());
  oci::write_settings(insecure.path, now);
  run.forget(block_key(insecure.path));
}

void forget_folders(sdk::Run &run, const fs::path &path) {
  for (fs::path folder = path.parent_path(); run.recall(folder_key(folder)); folder = folder.parent_path())
    run.forget(folder_key(folder));
}

}  // namespace trust
