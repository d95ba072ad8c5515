#include "core/run/wire.hpp"

#include <bit>

namespace pipes {
namespace {

constexpr int kMaxDepth = 64;

}  // namespace

void WireWriter::text(std::string_view v) {
  u32(static_cast<std::uint32_t>(v.size()));
  bytes_.append(v);
}

void WireWriter::map(const Value::Map &map) {
  u32(static_cast<std::uint32_t>(map.size()));
  for (const auto &[key, item] : map) {
    text(key);
    value(item);
  }
}

void WireWriter::value(const Value &v) {
  u8(static_cast<std::uint8_t>(v.kind()));
  switch (v.kind()) {
    case Value::Kind::null:
      return;
    case Value::Kind::boolean:
      return u8(v.as_bool() ? 1 : 0);
    case Value::Kind::integer:
      return i64(v.as_int());
    case Value::Kind::number:
      return u64(std::bit_cast<std::uint64_t>(v.as_number()));
    case Value::Kind::string:
      return text(v.as_string());
    case Value::Kind::list:
      u32(static_cast<std::uint32_t>(v.as_list().size()));
      for (const Value &item : v.as_list()) value(item);
      return;
    case Value::Kind::map:
      return map(v.as_map());
  }
}

std::string_view WireReader::take(std::size_t count) {
  if (count > bytes_.size()) throw WireError();
  const std::string_view head = bytes_.substr(0, count);
  bytes_.remove_prefix(count);
  return head;
}

// A count is never trusted with an allocation: each item takes a byte at least, so the bytes end first.
Value::Map WireReader::map(int depth) {
  Value::Map result;
  for (std::uint32_t left = u32(); left > 0; --left) {
    std::string key = text();
    result.emplace_back(std::move(key), value(depth + 1));
  }
  return result;
}

Value WireReader::value(int depth) {
  if (depth > kMaxDepth) throw WireError();
  switch (static_cast<Value::Kind>(u8())) {
    case Value::Kind::null:
      return {};
    case Value::Kind::boolean:
      return u8() != 0;
    case Value::Kind::integer:
      return i64();
    case Value::Kind::number:
      return std::bit_cast<double>(u64());
    case Value::Kind::string:
      return text();
    case Value::Kind::list: {
      Value::List list;
      for (std::uint32_t left = u32(); left > 0; --left) list.push_back(value(depth + 1));
      return list;
    }
    case Value::Kind::map:
      return map(depth);
  }
  throw WireError();
}

}  // namespace pipes
