#include <pipe/error.hpp>
#include <pipe/oci/manifest.hpp>

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/core.h>

namespace pipes::oci {
namespace {

struct MachineName {
  std::string_view machine, architecture, variant;
};
/// What uname(2) calls what Go, and so every image, calls otherwise.
constexpr std::array kMachines{
    MachineName{"x86_64", "amd64", ""},    MachineName{"aarch64", "arm64", ""},
    MachineName{"armv8l", "arm", "v7"},    MachineName{"armv7l", "arm", "v7"},
    MachineName{"armv6l", "arm", "v6"},    MachineName{"armv5tel", "arm", "v5"},
    MachineName{"i686", "386", ""},        MachineName{"i586", "386", ""},
    MachineName{"i386", "386", ""},        MachineName{"loongarch64", "loong64", ""},
    MachineName{"mips64", "mips64le", ""},
};

Platform normalised(std::string os, std::string architecture, std::string variant) {
  for (const MachineName &name : kMachines)
    if (name.machine == architecture) {
      architecture = name.architecture;
      if (variant.empty()) variant = name.variant;
    }
  // Every 64-bit ARM is v8, and v7 is what "arm" alone has come to mean.
  if (architecture == "arm64" && (variant == "v8" || variant == "8")) variant.clear();
  if (architecture == "arm" && variant.size() == 1) variant.insert(0, "v");
  return {std::move(os), std::move(architecture), std::move(variant)};
}

bool is_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  });
}

}  // namespace

Platform Platform::parse(std::string_view text) {
  std::array<std::string_view, 3> parts{};
  std::size_t count = 0;
  bool fine = true;
  for (std::size_t start = 0; start <= text.size() && fine;) {
    const std::size_t slash = std::min(text.find('/', start), text.size());
    const std::string_view part = text.substr(start, slash - start);
    fine = count < parts.size() && is_word(part);
    if (fine) parts[count++] = part;
    start = slash + 1;
  }
  if (!fine || count < 2)
    throw sdk::Error(PIPE_E_INVALID, fmt::format("bad platform \"{}\"", text.substr(0, 100)),
                     "a platform is os/architecture[/variant], such as linux/amd64 or linux/arm/v7");
  return normalised(std::string(parts[0]), std::string(parts[1]), std::string(parts[2]));
}

Platform Platform::host() {
  utsname name{};
  uname(&name);
  return normalised("linux", name.machine, "");
}

std::string Platform::str() const {
  return fmt::format("{}/{}{}{}", os, architecture, variant.empty() ? "" : "/", variant);
}

bool Platform::matches(const Platform &other) const {
  const Platform wanted = normalised(os, architecture, variant);
  const Platform offered = normalised(other.os, other.architecture, other.variant);
  if (wanted.os != offered.os || wanted.architecture != offered.architecture) return false;
  // A processor runs what was made for its elders: v7 runs v6, and what says nothing.
  return wanted.variant.empty() || offered.variant.empty() || offered.variant <= wanted.variant;
}

std::string Platform::misfit(std::string_view image, const std::optional<Platform> &offered) const {
  if (!offered || matches(*offered)) return {};
  return fmt::format("{} is made for {} only, not for {}", image, offered->str(), str());
}

}  // namespace pipes::oci
