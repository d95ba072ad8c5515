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
  std::string from_ca_file, to_ca_file;  // empty: none
  std::optional<std::string> from_username, to_username;
  std::optional<sdk::Secret> from_password, to_password;
  std::int64_t concurrency = 0;
  sdk::Bytes rate;

  /// Throws sdk::Error{PIPE_E_INVALID} where half a login is given.
  RegistryOptions from_options() const {
    return options("from_", from_insecure, from_ca_file, from_username, from_password);
  }
  RegistryOptions to_options() const {
    return options("to_", to_insecure, to_ca_file, to_username, to_password);
  }
  /// For `undo`, which has to do without passwords that are gone.
  void drop_half_logins() {
    if (!from_password) from_username.reset();
    if (!to_password) to_username.reset();
  }
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
  RegistryOptions options(const std::string &side, bool insecure, const std::string &ca_file,
                          const std::optional<std::string> &username,
                          const std::optional<sdk::Secret> &password) const {
    RegistryParams one;
    one.insecure = insecure;
    one.ca_file = ca_file;
    one.username = username;
    one.password = password;
    one.concurrency = concurrency;
    one.rate = rate;
    return one.registry_options(side);
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
               {.help = "At the source: a CA to trust besides the system's (PEM)",
                .format = "path",
                .fallback = "\"\""}),
    sdk::field("from_username", &CopyParams::from_username,
               {.help = "At the source: log in as this user; by default with what `docker login` or "
                        "`podman login` keeps"}),
    sdk::field("from_password", &CopyParams::from_password, {.help = "Password of `from_username`"}),
    sdk::field("to_insecure", &CopyParams::to_insecure,
               {.help = "At the target: allow plain http, or a certificate that nobody vouches for",
                .fallback = "false"}),
    sdk::field("to_ca_file", &CopyParams::to_ca_file,
               {.help = "At the target: a CA to trust besides the system's (PEM)",
                .format = "path",
                .fallback = "\"\""}),
    sdk::field("to_username", &CopyParams::to_username,
               {.help = "At the target: log in as this user; by default with what `docker login` or "
                        "`podman login` keeps"}),
    sdk::field("to_password", &CopyParams::to_password, {.help = "Password of `to_username`"}),
    sdk::field("concurrency", &CopyParams::concurrency,
               {.help = kConcurrencyHelp, .min = 0, .max = 64, .fallback = "0"}),
    sdk::field("rate", &CopyParams::rate, {.help = kRateHelp, .fallback = "0", .examples = "20MiB"})};

}  // namespace pipes::oci
