#include "core/run/memory.hpp"

#include "core/base/error.hpp"
#include "core/run/paths.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <system_error>

namespace pipes {
namespace {

constexpr const char *kRemembered = "remembered";
constexpr const char *kOutputs = "outputs";

Value::Map read(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return {};
  try {
    Value value = parse_json(std::string(std::istreambuf_iterator<char>(file), {}));
    if (value.kind() == Value::Kind::map) return std::move(value.as_map());
  } catch (const Error &) {
    // Files are replaced whole, so this is somebody's edit. It is as good as no memory.
  }
  return {};
}

}  // namespace

Value::Map not_forgotten(Value::Map notes, const Value::Map &all) {
  std::erase_if(notes, [&](const auto &note) {
    return std::ranges::none_of(all, [&](const auto &other) { return other.first == note.first; });
  });
  return notes;
}

std::vector<std::string> keys_not_forgotten(const std::filesystem::path &here,
                                            const std::filesystem::path &all) {
  std::vector<std::string> keys;
  std::error_code none;
  for (const auto &item : std::filesystem::directory_iterator(here, none)) {
    const std::filesystem::path name = item.path().filename();
    if (name.stem().extension() != std::string(".") + kRemembered) continue;
    for (const auto &[key, value] : not_forgotten(read(item.path()), read(all / name))) keys.push_back(key);
  }
  return keys;
}

std::filesystem::path DiskMemory::file(const std::string &step, const char *kind) const {
  return folder_ / (file_name(step) + "." + kind + ".json");
}

Value::Map DiskMemory::remembered(const std::string &step) const {
  return read(file(step, kRemembered));
}

std::string DiskMemory::remember(const std::string &step, const std::string &key, const Value &value) {
  if (redactor_.value(value) != value) return "it holds a secret";
  Value::Map map = remembered(step);
  std::erase_if(map, [&](const auto &pair) { return pair.first == key; });
  if (!value.is_null()) map.emplace_back(key, value);
  try {
    if (map.empty()) {
      std::filesystem::remove(file(step, kRemembered));
      return {};
    }
    std::filesystem::create_directories(folder_);
    write_file(file(step, kRemembered), to_json(Value(std::move(map))), true);
    return {};
  } catch (const std::system_error &e) {
    return e.what();
  }
}

Value::Map DiskMemory::outputs(const std::string &step) const {
  return read(file(step, kOutputs));
}

void DiskMemory::keep_outputs(const std::string &step, const Value::Map &outputs) {
  Value::Map masked = redactor_.map(outputs);
  if (masked == this->outputs(step)) return;
  try {
    std::filesystem::create_directories(folder_);
    write_file(file(step, kOutputs), to_json(Value(std::move(masked))), false);
  } catch (const std::system_error &) {
    // Best effort, as the interface says.
  }
}

}  // namespace pipes
