#include "core/base/pattern.hpp"

#include "core/base/error.hpp"

#include <fmt/core.h>

#include <boost/regex.hpp>
#include <stdexcept>

namespace pipes {

struct Pattern::Impl {
  boost::regex regex;
};

Pattern::Pattern(std::string_view text) {
  try {
    impl_ = std::make_unique<const Impl>(Impl{boost::regex(text.begin(), text.end())});
  } catch (const boost::regex_error &e) {
    std::string why = e.what();  // "Unmatched [ … The error occurred while parsing the …"
    why = why.substr(0, why.find("  The error occurred"));
    throw Error(Exit::invalid, fmt::format("`{}` is not a regular expression: {}", text, why));
  }
}

Pattern::~Pattern() = default;

bool Pattern::matches_whole(std::string_view text) const {
  try {
    return boost::regex_match(text.begin(), text.end(), impl_->regex);
  } catch (const std::runtime_error &) {  // too complex for this text
    return false;
  }
}

bool Pattern::occurs_in(std::string_view text) const {
  try {
    return boost::regex_search(text.begin(), text.end(), impl_->regex);
  } catch (const std::runtime_error &) {
    return false;
  }
}

}  // namespace pipes
