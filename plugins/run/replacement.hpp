#pragma once
// Puts a container in the place of another so that, whatever ends the run, one of them is there to serve:
// docs/design/replacement.md.
#include "converge.hpp"

namespace run_step {

/// The name that a container has while the one that takes its place is not ready yet.
std::string aside_name(const std::string &name);
/// The name that a container of someone else keeps, stopped, once another has taken its place.
std::string kept_name(engine::Engine &, const std::string &name);
bool is_made_by_pipe(const engine::Container &);

/// Makes the container that is wanted, starts it and waits until it is ready; where it does not get there it
/// is removed. Throws why, with its last log lines.
engine::Container make(Job &);

/// The same with `old` set aside until then, and after that removed, or kept if someone else made it. If the
/// new one does not get there (or the step is told to stop), `old` is put back and started, and the error
/// says so.
engine::Container replace(Job &, const engine::Container &old);

/// Finishes or takes back what a run that was killed left half done; returns the container there is then.
std::optional<engine::Container> settle(Job &);

/// How long a container is given to end.
int stop_seconds(const engine::Container &);

/// Gives a container that was set aside its name back, its restart policy, and starts it: for `undo`, which
/// must not take away what it found. Says how that went.
std::string put_back(engine::Engine &, const engine::Container &aside, const std::string &name);

}  // namespace run_step
