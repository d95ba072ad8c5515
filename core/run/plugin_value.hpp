#pragma once
// Values on their way over the plugin contract: lent to a plugin, and taken from it.
#include "core/base/value.hpp"

#include <pipe/plugin.h>

#include <list>
#include <string_view>
#include <vector>

namespace pipes {

inline std::string_view view(pipe_str s) {
  return s.data == nullptr ? std::string_view() : std::string_view(s.data, s.size);
}
inline pipe_str borrow(std::string_view s) {
  return {s.data(), s.size()};
}

/// Values as a plugin sees them. They point into the value and into the lender, and live as long as both.
class Lender {
 public:
  pipe_value lend(const Value &value);

 private:
  void keep(pipe_value &to, pipe_kind kind, std::vector<pipe_value> items);
  std::list<std::vector<pipe_value>> arrays_;  // a deque takes memory even if it is empty
};

/// A copy of a plugin's value; false for one that is malformed or nested too deep.
bool take(const pipe_value &from, Value &to);

}  // namespace pipes
