#pragma once
// The two kinds of body that an engine sends piece by piece.
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace pipes::engine {

/// Cuts a body into its top-level JSON objects: one network piece may hold a part of an object or many.
class JsonSplitter {
 public:
  explicit JsonSplitter(std::function<void(std::string_view object)> each) : each_(std::move(each)) {}
  /// Throws sdk::Error{PIPE_E_INVALID}: text between objects, an object of more than 1 MiB.
  void feed(std::string_view piece);
  /// Throws PIPE_E_TRANSIENT when the body ended within an object.
  void finish() const;

 private:
  std::function<void(std::string_view)> each_;
  std::string object_;
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false;
};

/// Takes stdout and stderr out of the frames of a program's output, as they come.
class FrameSplitter {
 public:
  explicit FrameSplitter(std::function<void(std::string_view text)> each) : each_(std::move(each)) {}
  void feed(std::string_view piece);

 private:
  std::function<void(std::string_view)> each_;
  std::string header_;    // as much of it as has come
  std::size_t left_ = 0;  // of the frame
};

/// Takes stdout and stderr out of the frames of a log without TTY: type, three zeros, size (big endian). A
/// body that does not begin with such a frame is a TTY's and is returned as it is; an incomplete last frame
/// gives what there is of it.
std::string decode_log(std::string_view body);

}  // namespace pipes::engine
