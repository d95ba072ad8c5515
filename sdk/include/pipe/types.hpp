#pragma once
// The types a parameter or an output can have, and how each crosses the C boundary.
#include <pipe/plugin.h>
#include <pipe/error.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pipes::sdk {

/// A parameter that is never shown. Keep it out of messages, argument lists and outputs.
struct Secret {
  std::string value;
};

/// A file or folder. Relative ones stand relative to the folder the step runs in.
struct Path {
  std::string value;
};

/// Written "30s", "2m", "1h30m" in a pipeline.
using Duration = std::chrono::milliseconds;

/// A size, written "512M", "1GiB" in a pipeline.
struct Bytes {
  std::int64_t value = 0;
};

constexpr pipe_str to_c(std::string_view text) {
  return {text.data(), text.size()};
}
/// Borrowed: as long as what the host gave.
constexpr std::string_view from_c(pipe_str text) {
  return {text.data, text.size};
}

/// Describes T in the metadata (`json`, `item`, `secret`, `optional`) and reads it. `read` returns
/// false if the value is of another kind. A type without one cannot be a parameter.
template <class T>
struct TypeOf;

struct ScalarType {
  static constexpr std::string_view item{};
  static constexpr bool secret = false, optional = false;
};

struct IntegerType : ScalarType {
  static constexpr bool matches(const pipe_value &v) { return v.kind == PIPE_INT; }
};

struct TextType : ScalarType {
  static bool read(const pipe_value &v, std::string &to) {
    if (v.kind != PIPE_STRING) return false;
    to.assign(v.as.s.data, v.as.s.size);
    return true;
  }
};

template <>
struct TypeOf<std::string> : TextType {
  static constexpr std::string_view json = "string";
};

template <>
struct TypeOf<Secret> : TextType {
  static constexpr std::string_view json = "string";
  static constexpr bool secret = true;
  static bool read(const pipe_value &v, Secret &to) { return TextType::read(v, to.value); }
};

template <>
struct TypeOf<Path> : TextType {
  static constexpr std::string_view json = "path";
  static bool read(const pipe_value &v, Path &to) { return TextType::read(v, to.value); }
};

template <>
struct TypeOf<std::int64_t> : IntegerType {
  static constexpr std::string_view json = "integer";
  static bool read(const pipe_value &v, std::int64_t &to) { return to = v.as.i, matches(v); }
};

template <>
struct TypeOf<Duration> : IntegerType {
  static constexpr std::string_view json = "duration";
  static bool read(const pipe_value &v, Duration &to) { return to = Duration{v.as.i}, matches(v); }
};

template <>
struct TypeOf<Bytes> : IntegerType {
  static constexpr std::string_view json = "size";
  static bool read(const pipe_value &v, Bytes &to) { return to.value = v.as.i, matches(v); }
};

template <>
struct TypeOf<bool> : ScalarType {
  static constexpr std::string_view json = "boolean";
  static bool read(const pipe_value &v, bool &to) { return to = v.as.i != 0, v.kind == PIPE_BOOL; }
};

template <>
struct TypeOf<double> : ScalarType {
  static constexpr std::string_view json = "number";
  static bool read(const pipe_value &v, double &to) {
    to = v.kind == PIPE_INT ? static_cast<double>(v.as.i) : v.as.f;
    return v.kind == PIPE_INT || v.kind == PIPE_FLOAT;
  }
};

template <class T>
struct TypeOf<std::vector<T>> {
  static constexpr std::string_view json = "list", item = TypeOf<T>::json;
  static constexpr bool secret = TypeOf<T>::secret, optional = false;
  static bool read(const pipe_value &v, std::vector<T> &to) {
    if (v.kind != PIPE_LIST) return false;
    to.clear();
    to.reserve(v.as.list.count);
    for (std::size_t i = 0; i < v.as.list.count; ++i) {
      T element{};
      if (!TypeOf<T>::read(v.as.list.items[i], element)) return false;
      to.push_back(std::move(element));
    }
    return true;
  }
};

template <class T>
struct TypeOf<std::map<std::string, T>> {
  static constexpr std::string_view json = "map", item = TypeOf<T>::json;
  static constexpr bool secret = TypeOf<T>::secret, optional = false;
  static bool read(const pipe_value &v, std::map<std::string, T> &to) {
    if (v.kind != PIPE_MAP || v.as.list.count % 2 != 0) return false;
    to.clear();
    for (std::size_t i = 0; i < v.as.list.count; i += 2) {
      std::string key;
      T element{};
      if (!TextType::read(v.as.list.items[i], key) || !TypeOf<T>::read(v.as.list.items[i + 1], element))
        return false;
      to.insert_or_assign(std::move(key), std::move(element));
    }
    return true;
  }
};

template <class T>
struct TypeOf<std::optional<T>> : TypeOf<T> {
  static constexpr bool optional = true;
  static bool read(const pipe_value &v, std::optional<T> &to) { return TypeOf<T>::read(v, to.emplace()); }
};

/// Makes values for the host. Text is borrowed from the caller; lists and maps live as long as this.
class Packer {
 public:
  static pipe_value pack(std::string_view text) {
    pipe_value v = of(PIPE_STRING);
    v.as.s = to_c(text);
    return v;
  }
  static pipe_value pack(const char *text) { return pack(std::string_view(text)); }
  static pipe_value pack(const std::string &text) { return pack(std::string_view(text)); }
  static pipe_value pack(bool value) {
    pipe_value v = of(PIPE_BOOL);
    v.as.i = value ? 1 : 0;
    return v;
  }
  template <std::integral T>
  static pipe_value pack(T value) {
    pipe_value v = of(PIPE_INT);
    v.as.i = static_cast<std::int64_t>(value);
    return v;
  }
  static pipe_value pack(double value) {
    pipe_value v = of(PIPE_FLOAT);
    v.as.f = value;
    return v;
  }
  static pipe_value pack(Duration value) { return pack(std::int64_t{value.count()}); }
  static pipe_value pack(Bytes value) { return pack(value.value); }
  static pipe_value pack(const Path &value) { return pack(value.value); }

  template <class T>
  pipe_value pack(const std::vector<T> &list) {
    std::vector<pipe_value> items;
    items.reserve(list.size());
    for (const auto &item : list) items.push_back(pack(static_cast<const T &>(item)));
    return keep(PIPE_LIST, std::move(items));
  }
  template <class T>
  pipe_value pack(const std::map<std::string, T> &map) {
    std::vector<pipe_value> items;
    items.reserve(2 * map.size());
    for (const auto &[key, value] : map) {
      items.push_back(pack(key));
      items.push_back(pack(value));
    }
    return keep(PIPE_MAP, std::move(items));
  }

 private:
  static pipe_value of(pipe_kind kind) {
    pipe_value v{};
    v.kind = kind;
    return v;
  }
  pipe_value keep(pipe_kind kind, std::vector<pipe_value> items) {
    const auto &kept = kept_.emplace_back(std::move(items));
    pipe_value v = of(kind);
    v.as.list.items = kept.data();
    v.as.list.count = kept.size();
    return v;
  }

  std::list<std::vector<pipe_value>> kept_;
};

}  // namespace pipes::sdk
