// What a registry's headers say: any bytes are taken, and none leads anywhere but to another URL or an Error.
#include <pipe/error.hpp>
#include <pipe/http/client.hpp>
#include <pipe/oci/auth_challenge.hpp>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  for (const auto &challenge : pipes::oci::parse_challenges(text))
    if (challenge.scheme.empty()) std::abort();
  pipes::http::parse_date(text);
  pipes::http::display_url(text);
  try {
    const std::string url = pipes::http::resolve_url("https://registry.lan:5000/v2/a/tags/list", text);
    const auto origin = pipes::http::Origin::of(url);
    if (origin.scheme != "http" && origin.scheme != "https") std::abort();
    if (pipes::http::Origin::of(origin.str()) != origin) std::abort();
  } catch (const pipes::sdk::Error &) {
  }
  return 0;
}
