// Images of an engine.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <thread>
#include <utility>

#include "engine_state.hpp"
#include "messages.hpp"
#include "stream.hpp"
#include "unique_fd.hpp"

namespace pipes::engine {
namespace {

constexpr std::size_t kPiece = 256u << 10;

/// An image's name stays readable in a path: engines route on it as it is.
std::string encode_name(std::string_view name) {
  std::string encoded;
  for (char c : name) {
    if (std::strchr("/:@", c) != nullptr && c != '\0')
      encoded += c;
    else
      encoded += http::encode_component(std::string_view(&c, 1));
  }
  return encoded;
}

/// "host:5000/app:1" -> the name and the tag.
std::pair<std::string, std::string> split_tag(const std::string &name) {
  const auto colon = name.rfind(':');
  return {name.substr(0, colon), name.substr(colon + 1)};
}

}  // namespace

std::optional<Image> Engine::image(const std::string &name_or_id) {
  const auto answer =
      state_->send(state_->request("GET", fmt::format("/images/{}/json", encode_name(name_or_id))),
                   fmt::format("looking for the image {}", name_or_id), true);
  if (answer.status == 404) return std::nullopt;
  return parse_image(answer.body);
}

std::vector<std::string> Engine::load(std::optional<std::uint64_t> size,
                                      const std::function<std::string_view()> &next) {
  std::vector<std::string> names;
  std::optional<std::string> failure;
  JsonSplitter messages([&](std::string_view object) {
    const StreamMessage message = parse_stream_message(object);
    if (message.error && !failure) failure = message.error;
    for (std::string_view prefix : {"Loaded image: ", "Loaded image ID: "}) {
      if (!message.stream.starts_with(prefix)) continue;
      std::string name = message.stream.substr(prefix.size());
      name.erase(name.find_last_not_of(" \r\n") + 1);
      names.push_back(std::move(name));
    }
  });

  std::string_view piece;
  http::Request request = state_->request("POST", "/images/load?quiet=1");
  request.headers = {{"Content-Type", "application/x-tar"}};
  request.body_size = size;
  request.no_progress = kLoadLimit;
  request.source = [&](char *data, std::size_t room) {
    if (piece.empty()) piece = next();
    const std::size_t taken = std::min(room, piece.size());
    std::memcpy(data, piece.data(), taken);
    piece.remove_prefix(taken);
    return taken;
  };
  request.sink = [&](const char *data, std::size_t count) { messages.feed({data, count}); };
  state_->send(request, "loading the image");
  if (failure) throw answer_error(500, "loading the image", *failure);
  messages.finish();
  if (names.empty()) throw sdk::Error(PIPE_E_INVALID, "the engine took the image and loaded nothing of it");
  return names;
}

std::vector<std::string> Engine::load(std::optional<std::uint64_t> size,
                                      const std::function<void(const PieceSink &)> &write) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
    throw sdk::Error(PIPE_E_IO, fmt::format("can't make a socket pair: {}", std::strerror(errno)));
  UniqueFd reader(ends[0]), writer(ends[1]);
  std::exception_ptr failure;
  std::thread producer([&] {
    try {
      write([&](const char *data, std::size_t count) {
        while (count > 0) {
          const ssize_t sent = ::send(writer.get(), data, count, MSG_NOSIGNAL);
          if (sent < 0 && errno == EINTR) continue;
          if (sent < 0) return false;  // the engine's side is gone, and says why
          data += sent;
          count -= static_cast<std::size_t>(sent);
        }
        return true;
      });
    } catch (...) {
      failure = std::current_exception();
    }
    writer.reset();
  });
  struct Join {
    UniqueFd &reader;
    std::thread &producer;
    ~Join() {
      reader.reset();  // wakes a producer that waits for room
      if (producer.joinable()) producer.join();
    }
  } join{reader, producer};

  std::string buffer(kPiece, '\0');
  return load(size, [&]() -> std::string_view {
    for (;;) {
      const ssize_t count = ::read(reader.get(), buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count > 0) return {buffer.data(), static_cast<std::size_t>(count)};
      if (producer.joinable()) producer.join();
      if (failure) std::rethrow_exception(failure);
      return {};
    }
  });
}

void Engine::save(const std::string &name, const std::function<void(const char *, std::size_t)> &sink) {
  http::Request request = state_->request("GET", fmt::format("/images/{}/get", encode_name(name)));
  request.sink = sink;
  request.no_progress = kLoadLimit;
  state_->send(request, fmt::format("reading the image {} from the engine", name));
}

void Engine::tag_image(const std::string &image, const std::string &name) {
  const auto colon = name.rfind(':');
  state_->send(state_->post(fmt::format("/images/{}/tag?repo={}&tag={}", encode_name(image),
                                        http::encode_component(name.substr(0, colon)),
                                        http::encode_component(name.substr(colon + 1)))),
               fmt::format("naming the image {}", name));
}

void Engine::remove_image(const std::string &name) {
  state_->send(state_->request("DELETE", "/images/" + encode_name(name)),
               fmt::format("removing the image {}", name), true);
}

void Engine::push_image(const std::string &name, const std::string &login, bool verify_tls) {
  const auto [image, tag] = split_tag(name);
  state_->follow(state_->post(fmt::format("/images/{}/push?tag={}{}", encode_name(image),
                                          http::encode_component(tag), verify_tls ? "" : "&tlsVerify=false")),
                 login, fmt::format("pushing {}", name));
}

void Engine::pull_image(const std::string &name, const std::string &login, bool verify_tls) {
  const auto [image, tag] = split_tag(name);
  std::string path = fmt::format("/images/create?fromImage={}&tag={}", http::encode_component(image),
                                 http::encode_component(tag));
  // Podman's own pull knows of it; its Docker-like one passes over it (4.3).
  if (!verify_tls && version().name == "podman")
    path = fmt::format("/libpod/images/pull?reference={}&tlsVerify=false", http::encode_component(name));
  state_->follow(state_->post(path), login, fmt::format("pulling {}", name));
}

}  // namespace pipes::engine
