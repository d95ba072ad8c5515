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
  std::string ca_file, client_cert, client_key;  // empty: none
  std::optional<std::string> username;
  std::optional<sdk::Secret> password;
  std::int64_t concurrency = 0;
  sdk::Bytes rate;

  /// Throws PIPE_E_INVALID where half a login is given; `side` is what stands before the parameters' names.
  /// An empty user name is no login, whatever the password: so a pipeline passes on a login that is optional.
  RegistryOptions registry_options(const std::string &side = {}) const {
    RegistryOptions options;
    options.insecure = insecure;
    options.ca_file = ca_file;
    options.client_cert = client_cert;
    options.client_key = client_key;
    options.username = username.value_or("");
    if (password && username != "") options.password = password->value;
    if (options.username.empty() != options.password.empty()) {
      const std::string user = "`" + side + "username`", secret = "`" + side + "password`";
      throw sdk::Error(PIPE_E_INVALID,
                       options.username.empty() ? secret + " is given without " + user
                                                : user + " is given without " + secret,
                       "give both, or neither: then what `docker login` or `podman login` keeps is used");
    }
    options.concurrency = static_cast<std::size_t>(concurrency);
    options.rate = static_cast<std::uint64_t>(rate.value);
    return options;
  }
  /// For `undo`, which has to do without a password that is gone.
  void drop_half_login() {
    if (!password) username.reset();
  }
};

inline constexpr const char *kConcurrencyHelp =
    "At most so many things at once of each registry; 0: begins with 8, and more or less as it bears";
inline constexpr const char *kRateHelp = "Bytes a second and registry at most; 0: any";

inline constexpr std::tuple kRegistryFields{
    sdk::field("insecure", &RegistryParams::insecure,
               {.help = "Allow plain http, or a certificate that nobody vouches for", .fallback = "false"}),
    sdk::field("ca_file", &RegistryParams::ca_file,
               {.help = "A CA to trust besides the system's (PEM)", .format = "path", .fallback = "\"\""}),
    sdk::field("client_cert", &RegistryParams::client_cert,
               {.help = "Client certificate (PEM), in place of the one in Docker's or Podman's certs.d",
                .format = "path",
                .fallback = "\"\""}),
    sdk::field("client_key", &RegistryParams::client_key,
               {.help = "Its key (PEM, without a passphrase); by default in the same file",
                .format = "path",
                .fallback = "\"\""}),
    sdk::field("username", &RegistryParams::username,
               {.help = "Log in as this user; by default with what `docker login` or `podman login` keeps"}),
    sdk::field("password", &RegistryParams::password, {.help = "Password of `username`"}),
    sdk::field("concurrency", &RegistryParams::concurrency,
               {.help = kConcurrencyHelp, .min = 0, .max = 64, .fallback = "0"}),
    sdk::field("rate", &RegistryParams::rate, {.help = kRateHelp, .fallback = "0", .examples = "20MiB"})};

}  // namespace pipes::oci
