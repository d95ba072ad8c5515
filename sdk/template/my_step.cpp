#include <pipe/plugin.hpp>

namespace {
using namespace pipes::sdk;

struct Params {
  std::string text;
  std::int64_t times = 1;
};
struct Outputs {
  std::string result;
};
constexpr Schema kMyStep{
    "my-step", "0.1.0", "Repeat a text",
    std::tuple{field("text", &Params::text, {.help = "What is repeated"}),
               field("times", &Params::times, {.help = "How often", .min = 1, .max = 100, .fallback = "1"})},
    std::tuple{field("result", &Outputs::result, {.help = "The text, repeated"})}};

/// Says what `run` would do, and changes nothing.
void plan(Run &run, const Params &p) {
  run.verdict(Verdict::change, "repeats the text " + std::to_string(p.times) + " times");
}

/// Does it. Throw Error to fail: its status decides whether a retry makes sense.
void run(Run &run, const Params &p) {
  std::string result;
  for (std::int64_t i = 0; i < p.times; ++i) {
    run.check_cancelled();
    result += p.text;
  }
  run.info(result);
  run.output("result", result);
  run.verdict(Verdict::change, "repeated the text");
}
}  // namespace

// The last one is `undo`: nothing stays behind here that could be taken back.
PIPE_PLUGIN(kMyStep, Params, plan, run, nullptr);
