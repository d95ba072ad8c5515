// shell: runs a command.
#include "command.hpp"

#include <pipe/plugin.hpp>

#include <unistd.h>

#include <algorithm>

namespace {
using namespace pipes::sdk;

struct Params {
  std::string run;
  std::optional<Path> dir;
  std::map<std::string, Secret> env;
  std::optional<Path> creates;
  std::vector<std::int64_t> accept = {0};
};
struct Outputs {
  std::string stdout_text;
  std::int64_t exit_code;
};
constexpr Schema kShell{
    "shell", "0.1.0", "Run a command",
    std::tuple{
        field("run", &Params::run,
              {.help = "The command, for /bin/sh -c",
               .pattern = R"([\s\S]*\S[\s\S]*)",  // an empty one would succeed
               .examples = "make -C app image"}),
        field("dir", &Params::dir, {.help = "The folder to run it in"}),
        field("env", &Params::env,
              {.help = "Environment variables on top of the inherited ones; secrets may go here",
               .fallback = "{}"}),
        field("creates", &Params::creates,
              {.help = "A file or folder that the command makes: where it exists, the command is not run"}),
        field("accept", &Params::accept,
              {.help = "Exit codes that are no failure", .min = 0, .max = 255, .fallback = "[0]"})},
    std::tuple{
        field("stdout", &Outputs::stdout_text, {.help = "What it printed, without the last line end"}),
        field("exit_code", &Outputs::exit_code, {.help = "Its exit code; 128 + n if signal n ended it"})}};

constexpr std::size_t kMaxOutput = 1 << 20;  // of the output `stdout`, which other steps are given
constexpr std::size_t kMaxLine = 8192;       // of a log; a longer line is logged in pieces

/// Logs a stream line by line.
class Lines {
 public:
  explicit Lines(Run &run) : run_(run) {}

  void add(std::string_view text) {
    for (char c : text) {
      if (c != '\n') line_ += c;
      if (c == '\n' || line_.size() == kMaxLine) emit();
    }
  }
  void finish() {
    if (!line_.empty()) emit();
  }

 private:
  void emit() {
    if (line_.ends_with('\r')) line_.pop_back();
    run_.info(line_);
    line_.clear();
  }

  Run &run_;
  std::string line_;
};

/// The command as it can stand in one line.
std::string title(const Params &p) {
  constexpr std::size_t kLength = 60;
  std::string line = p.run.substr(0, p.run.find('\n'));
  if (line.size() == p.run.size() && line.size() <= kLength) return line;
  line = line.substr(0, kLength);
  while (!line.empty() && (line.back() & 0x80) != 0) line.pop_back();  // not the half of a character
  return line + " …";
}

std::string made_path(const Params &p) {
  if (!p.dir || p.creates->value.starts_with('/')) return p.creates->value;
  return p.dir->value + "/" + p.creates->value;
}

bool exists(const std::string &path) {
  return access(path.c_str(), F_OK) == 0;
}

void plan(Run &run, const Params &p) {
  if (p.creates && exists(made_path(p))) return run.verdict(Verdict::up_to_date, made_path(p) + " exists");
  run.verdict(Verdict::unknown, "runs a command: " + title(p));
}

void run(Run &run, const Params &p) {
  if (p.creates && exists(made_path(p))) {
    run.output("stdout", "");
    run.output("exit_code", 0);
    return run.verdict(Verdict::up_to_date, made_path(p) + " exists");
  }
  shell::Command command{p.run, p.dir ? p.dir->value : "", {}};
  for (const auto &[name, secret] : p.env) command.env.emplace(name, secret.value);

  std::string out;
  bool too_much = false;
  Lines out_lines(run), err_lines(run);
  const int code = shell::run_command(command, run, [&](shell::Stream stream, std::string_view text) {
    if (stream == shell::Stream::err) return err_lines.add(text);
    out_lines.add(text);
    too_much = too_much || out.size() + text.size() > kMaxOutput;
    if (!too_much) out += text;
  });
  out_lines.finish();
  err_lines.finish();
  if (out.ends_with('\n')) out.pop_back();
  run.output("exit_code", code);

  if (std::find(p.accept.begin(), p.accept.end(), code) == p.accept.end()) {
    // What it printed last is in the log, which every error of a step ends with.
    // Only the author of the pipeline knows whether another try helps: `retry` says so.
    throw Error(PIPE_E_TRANSIENT, "exit code " + std::to_string(code) + " from: " + title(p),
                code == 127 ? "a command was not found: is it installed, and in PATH?" : "");
  }
  if (too_much)
    throw Error(PIPE_E_INVALID, "the command printed more than 1 MiB: " + title(p),
                "the command itself succeeded; send what it prints to a file: run = \"… > build.log\"");
  if (p.creates && !exists(made_path(p)))
    throw Error(PIPE_E_MISMATCH, "the command succeeded but did not make " + made_path(p),
                "correct `creates`, or the command");
  run.output("stdout", out);
  run.verdict(Verdict::change, "ran: " + title(p));
}
}  // namespace

PIPE_PLUGIN(kShell, Params, plan, run, nullptr);
