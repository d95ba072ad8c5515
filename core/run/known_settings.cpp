#include "core/run/known_settings.hpp"

#include "core/base/error.hpp"
#include "core/run/paths.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <system_error>

namespace pipes {
namespace {

constexpr const char *kFile = "settings.json";

}  // namespace

/// The note in a folder; nullopt if there is none.
std::optional<KnownSettings::Note> KnownSettings::read(const std::filesystem::path &folder) {
  std::ifstream file(folder / kFile, std::ios::binary);
  if (!file) return std::nullopt;
  try {
    const Value json = parse_json(std::string(std::istreambuf_iterator<char>(file), {}));
    if (json.kind() != Value::Kind::map) return std::nullopt;
    Note note;
    for (const auto &[name, value] : json.as_map()) {
      const bool is_flag = value.kind() == Value::Kind::boolean;
      if (name == "settings" && value.kind() == Value::Kind::map) note.settings = value.as_map();
      if (name == "gone" && is_flag) note.is_gone = value.as_bool();
      if (name == "made_nothing" && is_flag) note.made_nothing = value.as_bool();
    }
    return note;
  } catch (const Error &) {
    return std::nullopt;  // somebody's edit: as good as none
  }
}

std::filesystem::path KnownSettings::folder(const Value::Map &settings) const {
  return memory_ / file_name("settings-" + to_json(Value(settings)));
}

void KnownSettings::write(const Note &note) const {
  write_file(
      folder(note.settings) / kFile,
      to_json(Value(Value::Map{
          {"settings", Value(note.settings)}, {"gone", note.is_gone}, {"made_nothing", note.made_nothing}})),
      false);
}

void KnownSettings::begin(const Value::Map &settings) {
  const bool is_new = std::filesystem::create_directories(folder(settings));
  write({.settings = settings});
  if (is_new) prune();
}

// What steps gave stays, as a run of some of them goes by it.
void KnownSettings::made_nothing(const Value::Map &settings) {
  if (has(settings)) write({.settings = settings, .is_gone = true, .made_nothing = true});
}

void KnownSettings::end(const Value::Map &settings) {
  if (has(settings)) write({.settings = settings, .is_gone = true});
}

bool KnownSettings::has(const Value::Map &settings) const {
  const std::optional<Note> note = read(folder(settings));
  return note && !note->made_nothing;
}

KnownSettings::Left KnownSettings::left_in(const std::filesystem::path &folder) const {
  const std::vector<std::string> keys = keys_not_forgotten(folder, memory_);
  if (keys.empty()) return Left::nothing;
  const bool only_data =
      std::ranges::all_of(keys, [](const auto &key) { return key.starts_with(kDataNote); });
  return only_data ? Left::data : Left::things;
}

std::vector<KnownSettings::Standing> KnownSettings::standing() const {
  std::vector<Standing> all;
  for (Entry &entry : entries()) {
    const Left left = entry.note.is_gone ? Left::nothing : left_in(entry.folder);
    if (left != Left::nothing) all.push_back({std::move(entry.note.settings), left == Left::data});
  }
  return all;
}

std::vector<KnownSettings::Entry> KnownSettings::entries() const {
  std::vector<Entry> all;
  std::error_code none;
  for (const auto &item : std::filesystem::directory_iterator(memory_, none)) {
    if (auto note = read(item.path())) {
      all.push_back({item.path(), std::move(*note), std::filesystem::last_write_time(item.path() / kFile)});
    }
  }
  std::ranges::sort(all, std::ranges::greater(), &Entry::used);
  return all;
}

void KnownSettings::prune() const {
  // Only what may be too many is read.
  if (std::distance(std::filesystem::directory_iterator(memory_), {}) <= static_cast<long>(kKept)) return;
  std::vector<Entry> all = entries();
  if (all.size() <= kKept) return;
  std::ranges::stable_sort(all, {}, [](const Entry &entry) { return entry.note.is_gone; });
  for (std::size_t i = kKept; i < all.size(); ++i) std::filesystem::remove_all(all[i].folder);
}

Value::Map SettingsMemory::made(const std::string &step) const {
  return not_forgotten(outputs_.remembered(step), notes_.remembered(step));
}

std::string SettingsMemory::remember(const std::string &step, const std::string &key, const Value &value) {
  std::string problem = notes_.remember(step, key, value);
  if (problem.empty()) outputs_.remember(step, key, value);  // only for `down --dry-run`
  return problem;
}

}  // namespace pipes
