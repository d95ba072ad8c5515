#include "core/run/known_settings.hpp"

#include "core/base/error.hpp"
#include "core/run/paths.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

namespace pipes {
namespace {

constexpr const char *kFile = "settings.json";

/// The value of a note {"settings": …, "gone": …}; nullopt if it is none.
std::optional<std::pair<Value::Map, bool>> read(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  try {
    const Value note = parse_json(std::string(std::istreambuf_iterator<char>(file), {}));
    if (note.kind() != Value::Kind::map) return std::nullopt;
    std::pair<Value::Map, bool> result;
    for (const auto &[name, value] : note.as_map()) {
      if (name == "settings" && value.kind() == Value::Kind::map) result.first = value.as_map();
      if (name == "gone" && value.kind() == Value::Kind::boolean) result.second = value.as_bool();
    }
    return result;
  } catch (const Error &) {
    return std::nullopt;  // somebody's edit: as good as none
  }
}

}  // namespace

std::filesystem::path KnownSettings::folder(const Value::Map &settings) const {
  return memory_ / file_name("settings-" + to_json(Value(settings)));
}

void KnownSettings::write(const Value::Map &settings, bool is_gone) const {
  write_file(folder(settings) / kFile,
             to_json(Value(Value::Map{{"settings", Value(settings)}, {"gone", is_gone}})), false);
}

void KnownSettings::begin(const Value::Map &settings) {
  const bool is_new = std::filesystem::create_directories(folder(settings));
  write(settings, false);
  if (is_new) prune();
}

void KnownSettings::end(const Value::Map &settings) {
  if (has(settings)) write(settings, true);
}

bool KnownSettings::has(const Value::Map &settings) const {
  std::error_code none;
  return std::filesystem::exists(folder(settings) / kFile, none);
}

std::vector<Value::Map> KnownSettings::standing() const {
  std::vector<Value::Map> all;
  for (Entry &entry : entries()) {
    if (!entry.is_gone) all.push_back(std::move(entry.settings));
  }
  return all;
}

std::vector<KnownSettings::Entry> KnownSettings::entries() const {
  std::vector<Entry> all;
  std::error_code none;
  for (const auto &item : std::filesystem::directory_iterator(memory_, none)) {
    if (auto note = read(item.path() / kFile)) {
      all.push_back({item.path(), std::move(note->first), note->second,
                     std::filesystem::last_write_time(item.path() / kFile)});
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
  std::ranges::stable_sort(all, {}, &Entry::is_gone);
  for (std::size_t i = kKept; i < all.size(); ++i) std::filesystem::remove_all(all[i].folder);
}

Value::Map SettingsMemory::made(const std::string &step) const {
  Value::Map here = outputs_.remembered(step);
  const Value::Map all = notes_.remembered(step);
  std::erase_if(here, [&](const auto &note) {
    return std::ranges::none_of(all, [&](const auto &other) { return other.first == note.first; });
  });
  return here;
}

std::string SettingsMemory::remember(const std::string &step, const std::string &key, const Value &value) {
  std::string problem = notes_.remember(step, key, value);
  if (problem.empty()) outputs_.remember(step, key, value);  // only for `down --dry-run`
  return problem;
}

}  // namespace pipes
