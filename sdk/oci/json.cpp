#include "json.hpp"

#include <fmt/core.h>

#include <set>
#include <vector>

namespace pipes::oci {
namespace {

constexpr std::size_t kMaxDepth = 32;
/// Objects keep the order of their keys and so are searched from the start.
constexpr std::size_t kMaxKeys = 1024;

/// Reads a document and keeps nothing of it but what is wrong. (The parser's own callback could do this,
/// but takes quadratic time for long lists.)
class Checker {
 public:
  std::string problem;

  bool null() { return true; }
  bool boolean(bool) { return true; }
  bool number_integer(Json::number_integer_t) { return true; }
  bool number_unsigned(Json::number_unsigned_t) { return true; }
  bool number_float(Json::number_float_t, const std::string &) { return true; }
  bool string(std::string &) { return true; }
  bool binary(Json::binary_t &) { return true; }
  bool start_object(std::size_t) {
    keys_.emplace_back();
    return deeper();
  }
  bool end_object() {
    keys_.pop_back();
    return shallower();
  }
  bool start_array(std::size_t) { return deeper(); }
  bool end_array() { return shallower(); }
  bool key(std::string &key) {
    if (!keys_.back().insert(key).second)
      problem = fmt::format("it has the key \"{}\" twice", key.substr(0, 64));
    if (keys_.back().size() > kMaxKeys) problem = "an object in it has too many keys";
    return problem.empty();
  }
  bool parse_error(std::size_t, const std::string &, const nlohmann::detail::exception &) {
    problem = "it is not JSON";
    return false;
  }

 private:
  bool deeper() {
    if (++depth_ > kMaxDepth) problem = "it is nested too deeply";
    return problem.empty();
  }
  bool shallower() {
    --depth_;
    return true;
  }

  std::size_t depth_ = 0;
  std::vector<std::set<std::string>> keys_;  // of each object that is open
};

}  // namespace

ParsedJson parse_json(std::string_view text) {
  Checker checker;
  if (!Json::sax_parse(text, &checker)) return {{}, std::move(checker.problem)};
  return {Json::parse(text, nullptr, false), {}};
}

std::optional<std::string> text_member(const Json &object, std::string_view key) {
  const auto found = object.find(std::string(key));
  if (found == object.end()) return std::string();
  if (!found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

}  // namespace pipes::oci
