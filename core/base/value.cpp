#include "core/base/value.hpp"

#include "core/base/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pipes {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxJson = 64U << 20;
constexpr int kMaxDepth = 64;

Json to_nlohmann(const Value &value) {
  switch (value.kind()) {
    case Value::Kind::null:
      return nullptr;
    case Value::Kind::boolean:
      return value.as_bool();
    case Value::Kind::integer:
      return value.as_int();
    case Value::Kind::number:
      return value.as_number();
    case Value::Kind::string:
      return value.as_string();
    case Value::Kind::list: {
      Json list = Json::array();
      for (const Value &item : value.as_list()) list.push_back(to_nlohmann(item));
      return list;
    }
    case Value::Kind::map: {
      Json map = Json::object();
      // emplace_back of the vector beneath: ordered_json's own operator[] looks through all keys each time.
      auto &members = map.get_ref<Json::object_t &>();
      for (const auto &[key, item] : value.as_map()) members.emplace_back(key, to_nlohmann(item));
      return map;
    }
  }
  return nullptr;
}

/// Builds a Value from parser events. A depth too great ends the parse, so that hostile text cannot
/// exhaust the stack.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Value take() { return std::move(root_); }
  std::string problem;

  bool null() override { return put(Value()); }
  bool boolean(bool v) override { return put(Value(v)); }
  bool number_integer(number_integer_t v) override { return put(Value(std::int64_t{v})); }
  bool number_unsigned(number_unsigned_t v) override {
    if (v > static_cast<number_unsigned_t>(INT64_MAX)) return put(Value(static_cast<double>(v)));
    return put(Value(static_cast<std::int64_t>(v)));
  }
  bool number_float(number_float_t v, const string_t &) override { return put(Value(v)); }
  bool string(string_t &v) override { return put(Value(std::move(v))); }
  bool binary(binary_t &) override { return false; }
  bool start_object(std::size_t) override { return open(Value(Value::Map{})); }
  bool key(string_t &v) override {
    keys_.back() = std::move(v);
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Value(Value::List{})); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t position, const std::string &, const nlohmann::detail::exception &) override {
    problem = fmt::format("it is not JSON: wrong at byte {}", position);
    return false;
  }

 private:
  bool open(Value value) {
    if (open_.size() >= kMaxDepth) {
      problem = fmt::format("it is nested deeper than {} levels", kMaxDepth);
      return false;
    }
    open_.push_back(std::move(value));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    Value done = std::move(open_.back());
    open_.pop_back();
    keys_.pop_back();
    return put(std::move(done));
  }
  bool put(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().kind() == Value::Kind::list) {
      open_.back().as_list().push_back(std::move(value));
    } else {
      open_.back().as_map().emplace_back(std::move(keys_.back()), std::move(value));
    }
    return true;
  }

  Value root_;
  std::vector<Value> open_;
  std::vector<std::string> keys_;
};

}  // namespace

const Value *Value::find(std::string_view key) const {
  if (kind() != Kind::map) return nullptr;
  const Map &map = as_map();
  auto found = std::find_if(map.begin(), map.end(), [&](const auto &item) { return item.first == key; });
  return found == map.end() ? nullptr : &found->second;
}

bool is_empty(const Value &value) {
  switch (value.kind()) {
    case Value::Kind::string:
      return value.as_string().empty();
    case Value::Kind::list:
      return value.as_list().empty();
    case Value::Kind::map:
      return value.as_map().empty();
    default:
      return value.is_null();
  }
}

std::string_view kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::null:
      return "null";
    case Value::Kind::boolean:
      return "boolean";
    case Value::Kind::integer:
      return "integer";
    case Value::Kind::number:
      return "number";
    case Value::Kind::string:
      return "string";
    case Value::Kind::list:
      return "list";
    case Value::Kind::map:
      return "map";
  }
  return "null";
}

std::string to_json(const Value &value) {
  return to_nlohmann(value).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Value parse_json(std::string_view text) {
  if (text.size() > kMaxJson) {
    throw Error(Exit::invalid,
                fmt::format("JSON of {} bytes is larger than {} bytes", text.size(), kMaxJson));
  }
  Builder builder;
  if (!Json::sax_parse(text, &builder)) throw Error(Exit::invalid, builder.problem);
  return builder.take();
}

std::string to_text(const Value &value) {
  if (value.kind() == Value::Kind::string) return value.as_string();
  if (value.kind() == Value::Kind::null) return {};
  return to_json(value);
}

}  // namespace pipes
