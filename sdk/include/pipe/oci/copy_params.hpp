#pragma once
// The parameters of every step that reads images at one side and writes them at another.
#include <pipe/oci/copy.hpp>
#include <pipe/oci/params.hpp>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace pipes::oci {

struct CopyParams {
  std::vector<std::string> platform;
  std::string referrers = "true";
  bool from_insecure = false, to_insecure = false;
  std::optional<sdk::Path> from_ca_file, to_ca_file;
  std::int64_t concurrency = 0;
  sdk::Bytes rate;

  RegistryOptions from_options() const { return options(from_insecure, from_ca_file); }
  RegistryOptions to_options() const { return options(to_insecure, to_ca_file); }
  /// Throws sdk::Error{PIPE_E_INVALID}.
  CopyOptions copy_options() const {
    CopyOptions all;
    all.referrers = referrers == "false"    ? Referrers::none
                    : referrers == "always" ? Referrers::always
                                            : Referrers::with_image;
    for (const std::string &one : platform) {
      if (one == "all" && platform.size() > 1)
        throw sdk::Error(PIPE_E_INVALID, "platform = \"all\" goes with no other",
                         "leave it out, or the others");
      if (one != "all") all.platforms.push_back(Platform::parse(one));
    }
    return all;
  }

 private:
  RegistryOptions options(bool insecure, const std::optional<sdk::Path> &ca_file) const {
    RegistryParams one;
    one.insecure = insecure;
    one.ca_file = ca_file;
    one.concurrency = concurrency;
    one.rate = rate;
    return one.registry_options();
  }
};

inline constexpr std::tuple kCopyFields{
    sdk::field(
        "platform", &CopyParams::platform,
        {.help = "Of an image for several platforms only these: one as the image that it is, several in "
                 "an index of their own; by default (or all) every one",
         .format = "platform",
         .fallback = "[]",
         .examples = "linux/amd64\nlinux/arm64"}),
    sdk::field("referrers", &CopyParams::referrers,
               {.help = "Take along what refers to an image (signatures, SBOMs …): true for one that is "
                        "copied, always also for one that is there already, false never",
                .fallback = "\"true\"",
                .choices = "true always false"}),
    sdk::field("from_insecure", &CopyParams::from_insecure,
               {.help = "At the source: allow plain http, or a certificate that nobody vouches for",
                .fallback = "false"}),
    sdk::field("from_ca_file", &CopyParams::from_ca_file,
               {.help = "At the source: a CA to trust besides the system's (PEM)"}),
    sdk::field("to_insecure", &CopyParams::to_insecure,
               {.help = "At the target: allow plain http, or a certificate that nobody vouches for",
                .fallback = "false"}),
    sdk::field("to_ca_file", &CopyParams::to_ca_file,
               {.help = "At the target: a CA to trust besides the system's (PEM)"}),
    sdk::field("concurrency", &CopyParams::concurrency,
               {.help = kConcurrencyHelp, .min = 0, .max = 64, .fallback = "0"}),
    sdk::field("rate", &CopyParams::rate, {.help = kRateHelp, .fallback = "0", .examples = "20MiB"})};

}  // namespace pipes::oci
