// Writes a greeting into a file: the smallest step that can say what it would change.
#include <pipe/plugin.hpp>

#include <cstdio>
#include <fstream>
#include <iterator>

namespace {
using namespace pipes::sdk;

struct Params {
  std::string name = "world";
  Path file;
};
struct Outputs {
  std::string greeting;
};
constexpr Schema kHello{
    "hello", "0.1.0", "Write a greeting into a file",
    std::tuple{field("name", &Params::name, {.help = "Who is greeted", .fallback = "\"world\""}),
               field("file", &Params::file, {.help = "Where the greeting goes", .examples = "hello.txt"})},
    std::tuple{field("greeting", &Outputs::greeting, {.help = "What was written"})}};

std::string greeting(const Params &p) {
  return "Hello, " + p.name + "!\n";
}

std::string content(const Path &file) {
  std::ifstream in(file.value);
  return {std::istreambuf_iterator<char>(in), {}};
}

void plan(Run &run, const Params &p) {
  const std::string now = content(p.file);
  if (now == greeting(p)) return run.verdict(Verdict::up_to_date, p.file.value + " greets " + p.name);
  run.verdict(now.empty() ? Verdict::create : Verdict::change, "greet " + p.name + " in " + p.file.value);
  run.diff("content", now, greeting(p));
}

void run(Run &run, const Params &p) {
  plan(run, p);
  run.output("greeting", greeting(p));
  if (content(p.file) == greeting(p)) return;
  run.remember("file", p.file.value);
  std::ofstream out(p.file.value);
  if (!(out << greeting(p) << std::flush))
    throw Error(PIPE_E_IO, "cannot write " + p.file.value, "check that its folder exists and is yours");
}

void undo(Run &run, const Params &) {
  const auto made = run.recall("file");
  if (!made) return run.verdict(Verdict::up_to_date, "there is nothing to take back");
  std::remove(made->c_str());
  run.verdict(Verdict::remove, "removed " + *made);
}
}  // namespace

PIPE_PLUGIN(kHello, Params, plan, run, undo);
