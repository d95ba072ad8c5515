#pragma once
// What a registry's (or a proxy's) unhappy answer means to people. For .cpp files of this folder only.
#include <pipe/http/client.hpp>

#include <string>
#include <string_view>

namespace pipes::oci {

/// What the body of an error says, ready to be appended: ": MANIFEST_UNKNOWN: manifest unknown". The
/// body may be the registries' JSON (distribution-spec, "Error Codes"), other JSON, a web page, or text.
std::string explain(const http::Response &);

/// True if one of the error codes in the body is `code`.
bool has_error_code(const http::Response &, std::string_view code);

/// 408, 429 and those of 5xx that may pass.
bool is_transient(int status);

/// Retry-After in milliseconds, as seconds or a date; 0 if there is none. At most a day.
std::int64_t retry_after(const http::Headers &);

/// Throws the error for a status that was not hoped for; `what` says what was tried ("can't read x").
[[noreturn]] void throw_status(const http::Response &, const std::string &what);

}  // namespace pipes::oci
