// Does what it is told: notes in a file that it began and ended, waits, fails some number of times.
#include <pipe/plugin.hpp>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace {
using namespace pipes::sdk;

struct Params {
  std::string name;
  std::string notes;
  Duration wait{};
  std::int64_t fail = 0;
  std::string status;
  Duration retry_after{};
  std::vector<std::string> after;
};
struct Outputs {
  std::string name;
};
constexpr Schema kScripted{
    "scripted", "0.1.0", "Do what the test says",
    std::tuple{
        field("name", &Params::name, {.help = "What it calls itself in the notes"}),
        field("notes", &Params::notes, {.help = "The file it notes down what it does in", .format = "path"}),
        field("wait", &Params::wait, {.help = "How long it takes", .fallback = "\"0s\""}),
        field("fail", &Params::fail, {.help = "How many attempts fail", .fallback = "0"}),
        field("status", &Params::status,
              {.help = "How they fail", .fallback = "\"transient\"", .choices = "transient denied"}),
        field("retry_after", &Params::retry_after, {.help = "What it asks for", .fallback = "\"0s\""}),
        field("after", &Params::after, {.help = "Outputs of others, to come after them", .fallback = "[]"})},
    std::tuple{field("name", &Outputs::name, {.help = "Its name"})}};

/// One line, in one write: steps that run at the same time share the file.
void note(const Params &p, const std::string &what) {
  const std::string line = what + " " + p.name + "\n";
  const int fd = open(p.notes.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, line.data(), line.size()) < 0) throw Error(PIPE_E_IO, "cannot note in " + p.notes);
  close(fd);
}

std::int64_t tries_of(const Params &p) {
  const std::string path = p.notes + "." + p.name;
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, ".", 1) != 1) throw Error(PIPE_E_IO, "cannot count in " + path);
  const off_t count = lseek(fd, 0, SEEK_END);
  close(fd);
  return count;
}

void run(Run &run, const Params &p) {
  note(p, "begin");
  run.info("this is " + p.name);
  pollfd cancelled{run.cancel_fd(), POLLIN, 0};
  if (poll(&cancelled, 1, static_cast<int>(p.wait.count())) > 0) {
    note(p, "cancelled");
    run.check_cancelled();
  }
  if (tries_of(p) <= p.fail) {
    note(p, "failed");
    throw Error(p.status == "denied" ? PIPE_E_DENIED : PIPE_E_TRANSIENT, p.name + " did not work",
                "try again", p.retry_after.count());
  }
  run.output("name", p.name);
  run.remember("name", p.name);
  note(p, "end");
  run.verdict(Verdict::change, p.name);
}

void undo(Run &run, const Params &p) {
  if (!run.recall("name")) return run.verdict(Verdict::up_to_date, "nothing was made");
  if (!run.recall("name")) return run.verdict(Verdict::up_to_date, "nothing was made");
  note(p, "undo");
  run.forget("name");
  run.verdict(Verdict::remove, p.name);
}

}  // namespace

PIPE_PLUGIN(kScripted, Params, nullptr, run, undo);
