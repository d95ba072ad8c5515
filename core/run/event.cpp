#include "core/run/event.hpp"

namespace pipes {

std::string_view state_name(NodeResult::State state) {
  using State = NodeResult::State;
  switch (state) {
    case State::changed:
      return "changed";
    case State::unchanged:
      return "unchanged";
    case State::skipped:
      return "skipped";
    case State::failed:
      return "failed";
    case State::cancelled:
      return "cancelled";
    case State::pending:
    case State::unknown:
      break;
  }
  return "unknown";
}

}  // namespace pipes
