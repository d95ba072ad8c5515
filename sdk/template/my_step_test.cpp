// Runs the step against a recorded host. Any test framework will do; this needs none.
#include <pipe/testing.hpp>

#include <cstdio>

using pipes::sdk::testing::Result;
using pipes::sdk::testing::StepTest;

int main() {
  StepTest step("my-step");
  const Result result = step.param("text", "ab").param("times", 2).run();
  if (result.status == PIPE_OK && result.outputs.at("result").text() == "abab") return 0;
  std::fprintf(stderr, "failed: %s\n", result.message.c_str());
  return 1;
}
