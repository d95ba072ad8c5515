// Moves blobs that do not exist, evenly over some time: for what is shown of progress.
#include <pipe/plugin.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace pipes::sdk;

struct Params {
  std::vector<std::int64_t> sizes;
  Duration time{};
};
struct Outputs {};

constexpr Schema kBlobs{
    "blobs", "0.1.0", "Report the progress of blobs",
    std::tuple{field("sizes", &Params::sizes, {.help = "Bytes of each; the first ends at half the time"}),
               field("time", &Params::time, {.help = "How long it takes"})},
    std::tuple{}};

void run(Run &run, const Params &p) {
  constexpr std::uint64_t kTicks = 50;
  std::uint64_t total = 0;
  for (const std::int64_t size : p.sizes) total += static_cast<std::uint64_t>(size);
  for (std::uint64_t tick = 0; tick <= kTicks; ++tick) {
    std::uint64_t moved = 0;
    for (std::size_t i = 0; i < p.sizes.size(); ++i) {
      const auto size = static_cast<std::uint64_t>(p.sizes[i]);
      const std::uint64_t done = std::min(size, size * tick * (i == 0 ? 2 : 1) / kTicks);
      const std::string label = "sha256:00000000000" + std::to_string(i + 1);
      run.progress({.id = i + 1, .done = done, .total = size, .label = label});
      moved += done;
    }
    run.progress({.id = 0, .done = moved, .total = total, .label = {}});
    run.check_cancelled();
    std::this_thread::sleep_for(p.time / kTicks);
  }
  run.verdict(Verdict::change, "moved");
}

}  // namespace

PIPE_PLUGIN(kBlobs, Params, nullptr, run, nullptr);
