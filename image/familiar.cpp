#include "image/familiar.hpp"

#include <pipe/error.hpp>
#include <pipe/oci/reference.hpp>

namespace pipes::image {

std::string familiar(const std::string &store_name) {
  try {
    const oci::Reference reference = oci::Reference::parse(store_name);
    return reference.str() == store_name ? reference.familiar() : store_name;
  } catch (const sdk::Error &) {
    return store_name;  // of another tool
  }
}

}  // namespace pipes::image
