// What the inner loops cost by themselves.
#include "core/plan/plan.hpp"
#include "sdk/oci/codec.hpp"

#include <benchmark/benchmark.h>
#include <fmt/core.h>
#include <pipe/oci/digest.hpp>

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

namespace {

std::string random_bytes(std::size_t size) {
  std::mt19937_64 random(1);
  std::string bytes(size, '\0');
  for (char &c : bytes) c = static_cast<char>(random());
  return bytes;
}

/// As compressible as programs and text are, more or less: 16 different bytes.
std::string layer_like_bytes(std::size_t size) {
  std::string bytes = random_bytes(size);
  for (char &c : bytes) c = static_cast<char>('a' + (c & 15));
  return bytes;
}

void set_throughput(benchmark::State &state, std::size_t size) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
}

void digest(benchmark::State &state) {
  const std::string bytes = random_bytes(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(pipes::oci::digest_of(bytes));
  set_throughput(state, bytes.size());
}
BENCHMARK(digest)->Arg(512)->Arg(256 << 10)->Arg(8 << 20);

std::string compressed(const std::string &bytes) {
  std::string to;
  pipes::oci::GzipWriter gzip([&](const char *data, std::size_t size) { to.append(data, size); });
  gzip.write(bytes.data(), bytes.size());
  gzip.finish();
  return to;
}

void gzip_write(benchmark::State &state) {
  const std::string bytes = layer_like_bytes(8 << 20);
  for (auto _ : state) benchmark::DoNotOptimize(compressed(bytes));
  set_throughput(state, bytes.size());
}
BENCHMARK(gzip_write)->Unit(benchmark::kMillisecond);

void gzip_read(benchmark::State &state) {
  const std::string bytes = layer_like_bytes(8 << 20), packed = compressed(bytes);
  for (auto _ : state) {
    std::size_t size = 0;
    const auto decoder = pipes::oci::make_decoder(
        pipes::oci::Compression::gzip, [&](const char *, std::size_t n) { size += n; }, "bench");
    decoder->write(packed.data(), packed.size());
    decoder->finish();
    benchmark::DoNotOptimize(size);
  }
  set_throughput(state, bytes.size());
}
BENCHMARK(gzip_read)->Unit(benchmark::kMillisecond);

/// TOML to plan. Needs the plugin `noop` in PIPE_PLUGIN_PATH.
void plan_of_steps(benchmark::State &state) {
  const auto count = static_cast<int>(state.range(0));
  const std::string file =
      std::filesystem::temp_directory_path() / fmt::format("pipe-micro-{}.toml", ::getpid());
  {
    std::ofstream out(file);
    out << "schema = 1\n[pipeline]\nname = \"micro\"\n";
    for (int i = 0; i < count; ++i)
      out << fmt::format("[[step]]\nuses = \"noop\"\nid = \"s{}\"\nneeds = []\n", i);
  }
  pipes::PluginRegistry plugins(pipes::PluginRegistry::default_folders({}));
  for (auto _ : state) {
    const auto outcome = pipes::make_plan(file, {}, plugins, pipes::SecretNeed::placeholder);
    if (!outcome.plan) state.SkipWithError("no plan: is the plugin noop in PIPE_PLUGIN_PATH?");
  }
  std::filesystem::remove(file);
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(plan_of_steps)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
