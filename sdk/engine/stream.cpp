#include "stream.hpp"

#include <algorithm>
#include <cstdint>
#include <pipe/error.hpp>

namespace pipes::engine {

namespace {

constexpr std::size_t kMaxObject = 1u << 20;
constexpr std::size_t kFrameHeader = 8;

bool is_frame(std::string_view at) {
  return at.size() >= kFrameHeader && static_cast<unsigned char>(at[0]) <= 2 && at[1] == 0 && at[2] == 0 &&
         at[3] == 0;
}

std::size_t frame_size(std::string_view header) {
  std::uint32_t size = 0;
  for (int i = 4; i < 8; ++i)
    size = size << 8 | static_cast<unsigned char>(header[static_cast<std::size_t>(i)]);
  return size;
}

}  // namespace

void JsonSplitter::feed(std::string_view piece) {
  for (char c : piece) {
    if (depth_ == 0) {
      if (c == '\r' || c == '\n' || c == ' ' || c == '\t') continue;
      if (c != '{')
        throw sdk::Error(PIPE_E_INVALID, "the engine's answer is not a stream of JSON objects",
                         "is it really an engine that listens there?");
    }
    object_ += c;
    if (object_.size() > kMaxObject)
      throw sdk::Error(PIPE_E_INVALID, "the engine sent a message of more than 1 MiB");
    if (in_string_) {
      if (escaped_)
        escaped_ = false;
      else if (c == '\\')
        escaped_ = true;
      else if (c == '"')
        in_string_ = false;
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if ((c == '}' || c == ']') && --depth_ == 0) {
      each_(object_);
      object_.clear();
    }
  }
}

void JsonSplitter::finish() const {
  if (depth_ != 0) throw sdk::Error(PIPE_E_TRANSIENT, "the engine's answer was cut short");
}

void FrameSplitter::feed(std::string_view piece) {
  while (!piece.empty()) {
    if (left_ == 0) {
      const std::size_t taken = std::min(kFrameHeader - header_.size(), piece.size());
      header_ += piece.substr(0, taken);
      piece.remove_prefix(taken);
      if (header_.size() < kFrameHeader) return;
      left_ = frame_size(header_);
      header_.clear();
      continue;
    }
    const std::string_view text = piece.substr(0, left_);
    each_(text);
    left_ -= text.size();
    piece.remove_prefix(text.size());
  }
}

std::string decode_log(std::string_view body) {
  if (!is_frame(body)) return std::string(body);
  std::string text;
  while (is_frame(body)) {
    const std::size_t size = std::min(frame_size(body), body.size() - kFrameHeader);
    text += body.substr(kFrameHeader, size);
    body.remove_prefix(kFrameHeader + size);
  }
  return text;
}

}  // namespace pipes::engine
