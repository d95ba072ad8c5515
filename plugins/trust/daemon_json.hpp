#pragma once
// daemon.json, as text: two of its keys may be added to, and nothing else in it changes.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trust {

/// An entry of a list in daemon.json.
struct Setting {
  std::string_view key;  // "insecure-registries", "registry-mirrors"
  std::string entry;
};

/// The text with the entries that it lacks; the order of keys and the indentation stay. The same text where
/// it has them all. `file` is its name for people. Throws PIPE_E_INVALID where it is no JSON object, or one
/// of the lists is none.
std::string with_settings(const std::optional<std::string> &text, const std::string &file,
                          const std::vector<Setting> &);
/// Without these entries, and without their lists where nothing else is in them.
enum class EmptyLists { stay, go };
std::string without_settings(const std::string &text, const std::string &file, const std::vector<Setting> &,
                             EmptyLists);
bool has_setting(const std::optional<std::string> &text, const std::string &file, const Setting &);
/// Whether nothing is left in it.
bool says_nothing(const std::string &text);

}  // namespace trust
