#include "core/run/plugin_value.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>

namespace pipes {
namespace {

constexpr int kMaxDepth = 32;

bool take(const pipe_value &from, Value &to, int depth) {
  if (depth > kMaxDepth) return false;
  switch (from.kind) {
    case PIPE_NULL:
      to = Value();
      return true;
    case PIPE_BOOL:
      to = from.as.i != 0;
      return true;
    case PIPE_INT:
      to = std::int64_t{from.as.i};
      return true;
    case PIPE_FLOAT:
      to = from.as.f;
      return true;
    case PIPE_STRING:
      to = view(from.as.s);
      return true;
    case PIPE_LIST: {
      Value::List list(from.as.list.count);
      for (std::size_t i = 0; i < list.size(); ++i) {
        if (!take(from.as.list.items[i], list[i], depth + 1)) return false;
      }
      to = std::move(list);
      return true;
    }
    case PIPE_MAP: {
      if (from.as.list.count % 2 != 0) return false;
      Value::Map map;
      for (std::size_t i = 0; i < from.as.list.count; i += 2) {
        const pipe_value &key = from.as.list.items[i];
        if (key.kind != PIPE_STRING) return false;
        map.emplace_back(view(key.as.s), Value());
        if (!take(from.as.list.items[i + 1], map.back().second, depth + 1)) return false;
      }
      to = std::move(map);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace

pipe_value Lender::lend(const Value &value) {
  pipe_value result{};
  switch (value.kind()) {
    case Value::Kind::null:
      break;
    case Value::Kind::boolean:
      result.kind = PIPE_BOOL;
      result.as.i = value.as_bool() ? 1 : 0;
      break;
    case Value::Kind::integer:
      result.kind = PIPE_INT;
      result.as.i = value.as_int();
      break;
    case Value::Kind::number:
      result.kind = PIPE_FLOAT;
      result.as.f = value.as_number();
      break;
    case Value::Kind::string:
      result.kind = PIPE_STRING;
      result.as.s = borrow(value.as_string());
      break;
    case Value::Kind::list: {
      std::vector<pipe_value> items;
      for (const Value &item : value.as_list()) items.push_back(lend(item));
      keep(result, PIPE_LIST, std::move(items));
      break;
    }
    case Value::Kind::map: {
      std::vector<pipe_value> items;
      for (const auto &[key, item] : value.as_map()) {
        pipe_value name{};
        name.kind = PIPE_STRING;
        name.as.s = borrow(key);
        items.push_back(name);
        items.push_back(lend(item));
      }
      keep(result, PIPE_MAP, std::move(items));
      break;
    }
  }
  return result;
}

void Lender::keep(pipe_value &to, pipe_kind kind, std::vector<pipe_value> items) {
  const std::vector<pipe_value> &kept = arrays_.emplace_back(std::move(items));
  to.kind = kind;
  to.as.list.items = kept.data();
  to.as.list.count = kept.size();
}

bool take(const pipe_value &from, Value &to) {
  return take(from, to, 0);
}

}  // namespace pipes
