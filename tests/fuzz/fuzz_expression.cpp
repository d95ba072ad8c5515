// `if` and ${…}: read, or refused with a place inside the text.
#include "core/pipeline/expression.hpp"

#include <cstdint>
#include <cstdlib>

namespace {

void check_place(const pipes::SyntaxError &error, std::string_view text) {
  if (error.message.empty() || error.begin > error.end || error.end > text.size() + 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  try {
    pipes::parse_expression(text);
  } catch (const pipes::SyntaxError &error) {
    check_place(error, text);
  }
  std::vector<pipes::SyntaxError> errors;
  pipes::parse_template(text, errors);
  for (const pipes::SyntaxError &error : errors) check_place(error, text);
  return 0;
}
