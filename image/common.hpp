#pragma once
// What the verbs have in common: their options, the store, how they say things.
#include "core/base/error.hpp"
#include "core/base/value.hpp"
#include "image/familiar.hpp"
#include "image/verbs.hpp"

#include <pipe/error.hpp>
#include <pipe/oci/manifest.hpp>
#include <pipe/oci/reference.hpp>
#include <pipe/oci/registry.hpp>
#include <pipe/oci/store.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pipes::image {

/// --output text|json.
Option output_option();
/// Whether JSON is wanted.
bool wants_json(const Arguments &);

/// --ca-file and --insecure.
std::vector<Option> registry_options();
oci::RegistryOptions registry_options(const Arguments &);

/// --wait, for who needs the store alone.
Option wait_option();
std::chrono::milliseconds wait_time(const Arguments &);

/// Calls `parse` on what a person wrote: what is wrong with it is wrong with the command line.
template <class Parse>
auto usage(Parse &&parse) {
  try {
    return parse();
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_INVALID) throw;
    throw Error(Exit::usage, error.message, error.hint);
  }
}

/// The store that is there. Throws Error: none is made by looking for it.
oci::Store open_store();
/// The image of the store that a person means. Throws Error that says what may have been meant.
oci::StoredImage find_image(const oci::Store &, const std::string &name);

/// Says warnings on stderr, and on a terminal how far a long work is.
class Watch final : public sdk::Observer {
 public:
  Watch();
  ~Watch() override;
  Watch(const Watch &) = delete;
  Watch &operator=(const Watch &) = delete;
  void log(sdk::Level, std::string_view message) override;
  void progress(const sdk::Progress &) override;
  bool cancelled() const override { return false; }  // a signal ends the process; the store stands that
  int cancel_fd() const override { return -1; }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "1 blob", "3 blobs".
std::string counted(std::uint64_t count, std::string_view what);
/// "linux/amd64, linux/arm64".
std::string joined(const std::vector<oci::Platform> &);
Value json_of(const std::vector<oci::Platform> &);
Value json_of(const std::vector<std::string> &);
Value json_of(std::uint64_t bytes);
/// Prints one JSON document.
void print_json(Value::Map);

}  // namespace pipes::image
