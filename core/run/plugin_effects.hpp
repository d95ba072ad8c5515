#pragma once
#include "core/base/fd.hpp"

#include <cstddef>

namespace pipes {

/// Tells whether a plugin that is loaded once for many steps did more than load: processes that are forked
/// from this one would share with each other what it opened or mapped, would lack its threads, and its
/// output would be missing from their logs. While it lives, stdout and stderr are its own.
class PluginEffects {
 public:
  /// Looks at this process before the plugin is loaded.
  PluginEffects();
  /// Looks again. True as well if that cannot be told.
  bool reach_other_steps() const;

 private:
  UniqueFd output_;
  std::size_t descriptors_, shared_memory_;
};

}  // namespace pipes
