#pragma once
// Copies that begin or end in a container engine, which only takes and gives whole images.
#include <pipe/oci/transfer.hpp>
#include <pipe/run.hpp>

#include <optional>
#include <string>

namespace copy {

struct ByEngine {
  pipes::oci::ImageName from, to;
  pipes::oci::RegistryOptions from_options, to_options;
  pipes::oci::PlatformChoice platform;
  std::string engine;  // which one; empty: the one that is found
};

/// Where the image of an engine lies in the user's store, if it was taken out of the engine before.
std::optional<pipes::oci::ImageName> remembered(const ByEngine &, pipes::sdk::Run &);

/// By way of the user's store, which remembers layers that were compressed; into an engine by way of one that
/// is gone afterwards. `before_change` is called as by oci::send; where the image goes
/// into an engine it is not.
pipes::oci::TransferResult by_engine(const ByEngine &, pipes::sdk::Run &,
                                     const pipes::oci::BeforeChange &before_change);

}  // namespace copy
