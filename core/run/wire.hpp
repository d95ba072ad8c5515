#pragma once
// Bytes of the messages between processes: little-endian integers, strings behind their length.
#include "core/base/value.hpp"

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace pipes {

/// The bytes are no message: truncated, too deep, an unknown kind.
class WireError : public std::exception {
 public:
  const char *what() const noexcept override { return "malformed message"; }
};

class WireWriter {
 public:
  void u8(std::uint8_t v) { bytes_.push_back(static_cast<char>(v)); }
  void i32(std::int32_t v) { fixed(static_cast<std::uint32_t>(v)); }
  void u32(std::uint32_t v) { fixed(v); }
  void u64(std::uint64_t v) { fixed(v); }
  void i64(std::int64_t v) { fixed(static_cast<std::uint64_t>(v)); }
  void text(std::string_view v);
  void value(const Value &);
  void map(const Value::Map &);
  std::size_t size() const { return bytes_.size(); }
  std::string take() { return std::exchange(bytes_, {}); }

 private:
  template <class T>
  void fixed(T v) {
    for (std::size_t i = 0; i < sizeof v; ++i) bytes_.push_back(static_cast<char>(v >> (8 * i) & 0xff));
  }
  std::string bytes_;
};

/// Reads what WireWriter wrote; every member throws WireError rather than read past the end.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}
  std::uint8_t u8() { return static_cast<std::uint8_t>(take(1)[0]); }
  std::int32_t i32() { return static_cast<std::int32_t>(fixed<std::uint32_t>()); }
  std::uint32_t u32() { return fixed<std::uint32_t>(); }
  std::uint64_t u64() { return fixed<std::uint64_t>(); }
  std::int64_t i64() { return static_cast<std::int64_t>(fixed<std::uint64_t>()); }
  std::string text() { return std::string(take(u32())); }
  Value value(int depth = 0);
  Value::Map map(int depth = 0);
  bool empty() const { return bytes_.empty(); }
  /// Throws if something is left over.
  void end() const {
    if (!bytes_.empty()) throw WireError();
  }

 private:
  std::string_view take(std::size_t count);
  template <class T>
  T fixed() {
    const std::string_view raw = take(sizeof(T));
    T v = 0;
    for (std::size_t i = 0; i < sizeof v; ++i) {
      v = static_cast<T>(v | static_cast<T>(static_cast<T>(static_cast<unsigned char>(raw[i])) << (8 * i)));
    }
    return v;
  }
  std::string_view bytes_;
};

}  // namespace pipes
