#pragma once
// How steps that move images tell what moved: the same outputs and words for each.
#include <pipe/oci/transfer.hpp>
#include <pipe/run.hpp>
#include <pipe/schema.hpp>
#include <pipe/text.hpp>

#include <cstdint>
#include <string>
#include <tuple>

namespace pipes::oci {

/// `struct Outputs : oci::TransferOutputs { … };`, with kTransferOutputs among the fields.
struct TransferOutputs {
  std::int64_t bytes, moved, mounted, skipped, requests, retries;
};

inline constexpr std::tuple kTransferOutputs{
    sdk::field("bytes", &TransferOutputs::bytes, {.help = "Bytes that moved"}),
    sdk::field("moved", &TransferOutputs::moved, {.help = "Blobs that moved"}),
    sdk::field("mounted", &TransferOutputs::mounted,
               {.help = "Blobs taken over from another repository there"}),
    sdk::field("skipped", &TransferOutputs::skipped, {.help = "Blobs that were there already"}),
    sdk::field("requests", &TransferOutputs::requests, {.help = "Requests to registries"}),
    sdk::field("retries", &TransferOutputs::retries, {.help = "Requests that had to be made again"})};

inline void report(sdk::Run &run, const TransferResult &result) {
  const auto number = [&](const char *name, std::uint64_t value) {
    run.output(name, static_cast<std::int64_t>(value));
  };
  number("bytes", result.bytes);
  number("moved", result.moved);
  number("mounted", result.mounted);
  number("skipped", result.skipped);
  number("requests", result.requests);
  number("retries", result.retries);
}

/// "29 requests", "29 requests, 2 retries".
inline std::string requests_text(const TransferResult &result) {
  std::string text = sdk::count_text(result.requests, "request");
  if (result.retries == 1) text += ", 1 retry";
  if (result.retries > 1) text += ", " + std::to_string(result.retries) + " retries";
  return text;
}

}  // namespace pipes::oci
