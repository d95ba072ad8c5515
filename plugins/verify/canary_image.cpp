#include "canary_image.hpp"

#include <fmt/core.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>

namespace verify {
namespace {

namespace oci = pipes::oci;

constexpr std::size_t kBlock = 512;

/// A regular file of a tar archive (POSIX ustar), of nobody and no time.
std::string tar_entry(std::string_view name, std::string_view data) {
  std::array<char, kBlock> header{};
  const auto put = [&](std::size_t at, std::string_view text) {
    std::memcpy(header.data() + at, text.data(), text.size());
  };
  put(0, name.substr(0, 100));
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", data.size()));
  put(136, "00000000000");
  put(148, "        ");
  header[156] = '0';
  put(257, "ustar");
  put(263, "00");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  header[154] = '\0';
  std::string entry(header.data(), header.size());
  entry += data;
  entry.append((kBlock - data.size() % kBlock) % kBlock, '\0');
  return entry;
}

std::string tar_end() {
  return std::string(2 * kBlock, '\0');
}

/// Bytes that do not compress, the same for the same seed.
std::string noise(std::string_view seed, std::size_t size) {
  std::seed_seq sequence(seed.begin(), seed.end());
  std::mt19937_64 random(sequence);
  std::string bytes(size, '\0');
  for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + at, &word, std::min(sizeof word, size - at));
  }
  return bytes;
}

oci::Descriptor describe(std::string_view media_type, const std::string &bytes) {
  return {.media_type = std::string(media_type), .digest = oci::digest_of(bytes), .size = bytes.size()};
}

std::string descriptor_json(const oci::Descriptor &d) {
  return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}}})", d.media_type, d.digest.str(), d.size);
}

}  // namespace

std::string random_nonce() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

CanaryImage make_canary(std::string_view nonce, std::string_view seed, std::size_t size) {
  CanaryImage canary;
  canary.layer = tar_entry("canary", noise(seed, size)) + tar_end();
  canary.layer_descriptor = describe(oci::kOciLayer, canary.layer);
  const oci::Platform platform = oci::Platform::host();
  canary.config =
      fmt::format(R"({{"architecture":"{}","os":"{}","config":{{"Labels":{{"pipe.canary":"{}"}}}},)"
                  R"("rootfs":{{"type":"layers","diff_ids":["{}"]}}}})",
                  platform.architecture, platform.os, nonce, canary.layer_descriptor.digest.str());
  canary.config_descriptor = describe(oci::kOciConfig, canary.config);
  canary.manifest = oci::parse_manifest(
      fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}})", oci::kOciManifest,
                  descriptor_json(canary.config_descriptor), descriptor_json(canary.layer_descriptor)),
      oci::kOciManifest);
  return canary;
}

std::string canary_archive(const CanaryImage &canary, std::string_view name) {
  const std::string list =
      fmt::format(R"([{{"Config":"config.json","RepoTags":["{}"],"Layers":["layer.tar"]}}])", name);
  return tar_entry("config.json", canary.config) + tar_entry("layer.tar", canary.layer) +
         tar_entry("manifest.json", list) + tar_end();
}

}  // namespace verify
