#include <pipe/oci/auth_challenge.hpp>

#include <algorithm>
#include <cctype>

namespace pipes::oci {
namespace {

/// Walks over a header. Each member takes what it names and says whether it was there.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool done() const { return at_ >= text_.size(); }
  void skip(std::string_view characters) {
    at_ = std::min(text_.find_first_not_of(characters, at_), text_.size());
  }
  bool take(char c) {
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string token() {
    const std::size_t end = std::min(text_.find_first_of(" \t,=\"", at_), text_.size());
    std::string token(text_.substr(at_, end - at_));
    at_ = end;
    std::ranges::transform(token, token.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return token;
  }
  std::string value() {
    if (take('"')) return quoted();
    const std::size_t end = std::min(text_.find_first_of(" \t,", at_), text_.size());
    std::string value(text_.substr(at_, end - at_));
    at_ = end;
    return value;
  }
  std::size_t position() const { return at_; }
  void move_to(std::size_t position) { at_ = position; }

 private:
  std::string quoted() {
    std::string value;
    while (!done() && text_[at_] != '"') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      value += text_[at_++];
    }
    take('"');
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

/// `name = value`, or nothing taken at all: then it was the scheme of the next challenge.
bool take_param(Scanner &scanner, Challenge &challenge) {
  const std::size_t start = scanner.position();
  const std::string name = scanner.token();
  scanner.skip(" \t");
  if (name.empty() || !scanner.take('=')) {
    scanner.move_to(start);
    return false;
  }
  scanner.skip(" \t");
  challenge.params.emplace(name, scanner.value());  // the first one counts
  return true;
}

}  // namespace

std::string Challenge::get(const std::string &name) const {
  const auto found = params.find(name);
  return found == params.end() ? std::string() : found->second;
}

std::vector<Challenge> parse_challenges(std::string_view header) {
  std::vector<Challenge> challenges;
  Scanner scanner(header);
  for (scanner.skip(" \t,"); !scanner.done(); scanner.skip(" \t,")) {
    const std::size_t start = scanner.position();
    Challenge challenge{.scheme = scanner.token(), .params = {}};
    for (scanner.skip(" \t,"); !scanner.done() && take_param(scanner, challenge);) scanner.skip(" \t,");
    if (!challenge.scheme.empty()) challenges.push_back(std::move(challenge));
    if (scanner.position() == start) scanner.move_to(start + 1);
  }
  return challenges;
}

}  // namespace pipes::oci
