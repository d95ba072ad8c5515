#pragma once
// From what a registry (or whatever answers in its place) said to the likely cause.
#include "check.hpp"

#include <optional>

namespace verify {

struct Diagnosis {
  std::string cause, remedy;
};

enum class Doing { reading, writing };

/// Of an operation that failed at `host`. Falls back to the error's own words.
Diagnosis diagnose(const sdk::Error &, const std::string &host, Doing = Doing::reading);

/// Of the answer to GET /v2/; nullopt where it is a registry's.
std::optional<Diagnosis> diagnose(const oci::Registry::Ping &, const std::string &host);

/// The failed result of `check`; throws on when the error is a cancellation.
Result failure(std::string check, std::string asked, const sdk::Error &, const std::string &host,
               Doing = Doing::reading);

/// Whether a registry wants a login and none is stored for it (as opposed to one that it refuses).
bool wants_login(const sdk::Error &);

/// Status of an answer in the terms of the runner.
pipe_status status_of(int http_status);

/// Whether a body looks like a web page.
bool is_html(std::string_view body);

}  // namespace verify
