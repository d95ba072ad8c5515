// Gives back what it gets, in every type; keeps it in a file, so that there is something to plan and undo.
#include <pipe/plugin.hpp>

#include <unistd.h>

#include <fstream>
#include <iterator>

namespace {
using namespace pipes::sdk;

struct Params {
  std::string text;
  std::int64_t number = 0;
  bool flag = false;
  std::vector<std::string> list;
  std::map<std::string, std::string> map;
  Duration duration{};
  Bytes size{};
  Secret secret;
  std::string color;
  std::optional<std::string> file;
  bool tell = false;
};
struct Outputs {
  std::string text;
  std::int64_t number;
  bool flag;
  std::vector<std::string> list;
  std::map<std::string, std::string> map;
};
constexpr Schema kEcho{
    "echo", "0.1.0", "Give back what it gets",
    std::tuple{
        field("text", &Params::text, {.help = "Any text", .examples = "hello"}),
        field("number", &Params::number, {.help = "A number", .min = 0, .max = 100, .fallback = "7"}),
        field("flag", &Params::flag, {.help = "A switch", .fallback = "false"}),
        field("list", &Params::list, {.help = "Some texts", .fallback = "[]"}),
        field("map", &Params::map, {.help = "Texts by name", .fallback = "{}"}),
        field("duration", &Params::duration, {.help = "A time", .fallback = "\"1m\""}),
        field("size", &Params::size, {.help = "A size", .fallback = "\"1MB\""}),
        field("secret", &Params::secret, {.help = "A secret", .fallback = "\"\""}),
        field("color", &Params::color,
              {.help = "A choice", .fallback = "\"red\"", .choices = "red green blue"}),
        field("file", &Params::file, {.help = "The file to keep the text in", .format = "path"}),
        field("tell", &Params::tell, {.help = "Print everything, the secret too", .fallback = "false"})},
    std::tuple{field("text", &Outputs::text, {.help = "The text"}),
               field("number", &Outputs::number, {.help = "The number"}),
               field("flag", &Outputs::flag, {.help = "The switch"}),
               field("list", &Outputs::list, {.help = "The texts"}),
               field("map", &Outputs::map, {.help = "The texts by name"})}};

std::string kept(const std::string &path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void give(Run &run, const Params &p) {
  run.output("text", p.text);
  run.output("number", p.number);
  run.output("flag", p.flag);
  run.output("list", p.list);
  run.output("map", p.map);
}

void plan(Run &run, const Params &p) {
  give(run, p);
  if (!p.file) return run.verdict(Verdict::up_to_date, p.text);
  const std::string before = kept(*p.file);
  if (before == p.text) return run.verdict(Verdict::up_to_date, p.text);
  if (before.empty()) return run.verdict(Verdict::create, *p.file);
  run.diff("text", before, p.text);
  run.verdict(Verdict::change, *p.file);
}

void run(Run &run, const Params &p) {
  give(run, p);
  if (p.tell) {
    run.warn("the secret is " + p.secret.value);
    dprintf(STDOUT_FILENO, "stdout: %s", p.secret.value.substr(0, p.secret.value.size() / 2).c_str());
    usleep(20'000);
    dprintf(STDOUT_FILENO, "%s\n", p.secret.value.substr(p.secret.value.size() / 2).c_str());
    run.output("text", "was " + p.secret.value);
  }
  if (!p.file) return run.verdict(Verdict::up_to_date, p.text);
  if (kept(*p.file) == p.text) return run.verdict(Verdict::up_to_date, p.text);
  if (kept(*p.file).empty()) run.remember(*p.file, "made");
  std::ofstream(*p.file) << p.text;
  run.verdict(Verdict::change, "wrote " + *p.file);
}

void undo(Run &run, const Params &p) {
  if (!p.file || !run.recall(*p.file)) return run.verdict(Verdict::up_to_date, "nothing was made");
  unlink(p.file->c_str());
  run.forget(*p.file);
  run.verdict(Verdict::remove, "removed " + *p.file + (run.undo_data() ? " and data" : ""));
}

}  // namespace

PIPE_PLUGIN(kEcho, Params, plan, run, undo);
