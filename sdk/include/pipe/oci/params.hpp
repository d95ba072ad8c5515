#pragma once
// The parameters that every step which talks to registries has, declared once:
//
//   struct Params : oci::RegistryParams { std::string image; };
//   constexpr Schema kScan{"scan", "1.0.0", "Scan an image",
//       std::tuple_cat(std::tuple{field("image", &Params::image, {…})}, oci::kRegistryFields),
//       std::tuple{…}};
//   … oci::Registry registry(host, params.registry_options(), run);
#include <pipe/oci/registry.hpp>
#include <pipe/schema.hpp>

#include <optional>
#include <string>
#include <tuple>

namespace pipes::oci {

/// How a step talks to registries, as its user says it.
struct RegistryParams {
  bool insecure = false;
  std::optional<sdk::Path> ca_file, client_cert, client_key;
  std::int64_t concurrency = 0;
  sdk::Bytes rate;

  RegistryOptions registry_options() const {
    const auto text = [](const std::optional<sdk::Path> &path) { return path ? path->value : std::string(); };
    RegistryOptions options;
    options.insecure = insecure;
    options.ca_file = text(ca_file);
    options.client_cert = text(client_cert);
    options.client_key = text(client_key);
    options.concurrency = static_cast<std::size_t>(concurrency);
    options.rate = static_cast<std::uint64_t>(rate.value);
    return options;
  }
};

inline constexpr const char *kConcurrencyHelp =
    "At most so many things at once of each registry; 0: begins with 8, and more or less as it bears";
inline constexpr const char *kRateHelp = "Bytes a second and registry at most; 0: any";

inline constexpr std::tuple kRegistryFields{
    sdk::field("insecure", &RegistryParams::insecure,
               {.help = "Allow plain http, or a certificate that nobody vouches for", .fallback = "false"}),
    sdk::field("ca_file", &RegistryParams::ca_file, {.help = "A CA to trust besides the system's (PEM)"}),
    sdk::field("client_cert", &RegistryParams::client_cert,
               {.help = "Client certificate (PEM), in place of the one in Docker's or Podman's certs.d"}),
    sdk::field("client_key", &RegistryParams::client_key,
               {.help = "Its key (PEM, without a passphrase); by default in the same file"}),
    sdk::field("concurrency", &RegistryParams::concurrency,
               {.help = kConcurrencyHelp, .min = 0, .max = 64, .fallback = "0"}),
    sdk::field("rate", &RegistryParams::rate, {.help = kRateHelp, .fallback = "0", .examples = "20MiB"})};

}  // namespace pipes::oci
