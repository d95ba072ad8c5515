#pragma once
// Base64 (RFC 4648, section 4).
#include <optional>
#include <string>
#include <string_view>

namespace pipes::oci {

std::string encode_base64(std::string_view bytes);
/// With or without padding; nullopt if it is no base64.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace pipes::oci
