#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <pipe/engine/host.hpp>

#include <thread>

#include "sdk/engine/host_net.hpp"
#include "sdk/engine/unique_fd.hpp"
#include "tests/unit/quiet.hpp"

namespace pipes::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Listens on 127.0.0.1 and does one thing with each connection.
class Listener {
 public:
  explicit Listener(std::string answer, bool close_at_once = false)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd_.get(), reinterpret_cast<sockaddr *>(&address), size);
    ::listen(fd_.get(), 8);
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr *>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, answer = std::move(answer), close_at_once] {
      for (;;) {
        UniqueFd client(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!client) return;
        if (close_at_once) continue;
        ::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
        char rest[512];
        while (::recv(client.get(), rest, sizeof rest, 0) > 0) {
        }
      }
    });
  }
  ~Listener() {
    ::shutdown(fd_.get(), SHUT_RDWR);
    thread_.join();
  }
  int port() const { return port_; }

 private:
  UniqueFd fd_;
  int port_ = 0;
  std::thread thread_;
};

Ready service(int port) {
  return {Ready::Kind::service, {}, "127.0.0.1", port};
}
Ready tcp(int port) {
  return {Ready::Kind::tcp, {}, "127.0.0.1", port};
}

TEST(Ask, ARegistryIsReadyWith200AndWith401) {
  sdk::testing::Quiet observer;
  for (const char *status : {"200 OK", "401 Unauthorized"}) {
    Listener listener(std::string("HTTP/1.1 ") + status + "\r\nContent-Length: 0\r\n\r\n");
    const Answer answer = ask(service(listener.port()), observer);
    EXPECT_TRUE(answer.ready);
    EXPECT_TRUE(answer.registry);
  }
}

TEST(Ask, AnotherHttpServiceIsReadyBelow500) {
  EXPECT_TRUE(judge_first_bytes("HTTP/1.1 404 Not Found").ready);
  EXPECT_FALSE(judge_first_bytes("HTTP/1.1 404 Not Found").registry);
  EXPECT_FALSE(judge_first_bytes("HTTP/1.1 503 Unavailable").ready);
  EXPECT_EQ(judge_first_bytes("HTTP/1.1 503 Unavailable").detail, "HTTP 503");
}

TEST(Ask, AnotherProtocolIsReadyOnceItSpeaks) {
  sdk::testing::Quiet observer;
  Listener listener("-ERR unknown command\r\n");
  EXPECT_TRUE(ask(service(listener.port()), observer).ready);
}

TEST(Ask, ClosedAndRefusedAreNotYet) {
  sdk::testing::Quiet observer;
  int port = 0;
  {
    Listener proxy("", true);  // as docker-proxy: it accepts, and nothing is behind it yet
    port = proxy.port();
    EXPECT_FALSE(ask(service(port), observer).ready);
    EXPECT_FALSE(ask(tcp(port), observer).ready);
  }
  const Answer refused = ask(service(port), observer);
  EXPECT_FALSE(refused.ready);
  EXPECT_EQ(refused.detail, "connection refused");
}

TEST(Ask, TcpIsReadyWhenTheConnectionStaysOpen) {
  sdk::testing::Quiet observer;
  Listener silent("");
  EXPECT_TRUE(ask(tcp(silent.port()), observer).ready);
}

TEST(Ready, TakesTheFirstPublishedTcpPort) {
  const std::vector<PortBinding> bound = {{"53/udp", "", "53"}, {"5000/tcp", "0.0.0.0", "5001"}};
  EXPECT_EQ(Ready::parse("", bound, "127.0.0.1").str(), "http://127.0.0.1:5001/v2/");
  EXPECT_EQ(Ready::parse("", bound, "build.lan").str(), "http://build.lan:5001/v2/");
  EXPECT_EQ(Ready::parse("", {}, "127.0.0.1").kind, Ready::Kind::running);
  EXPECT_EQ(Ready::parse("none", bound, "").kind, Ready::Kind::none);
  EXPECT_EQ(Ready::parse("tcp://[::1]:6379", bound, "").str(), "tcp://::1:6379");
  EXPECT_EQ(Ready::parse("https://localhost:5000/v2/", bound, "").kind, Ready::Kind::http);
  EXPECT_THROW(Ready::parse("soon", bound, ""), sdk::Error);
  EXPECT_THROW(Ready::parse("tcp://:1", bound, ""), sdk::Error);
}

TEST(CheckPort, NamesWhoHasIt) {
  Listener listener("");
  const std::string port = std::to_string(listener.port());
  const PortCheck check = check_port({"5000/tcp", "127.0.0.1", port});
  EXPECT_FALSE(check.free);
  EXPECT_THAT(check.reason, HasSubstr("(pid " + std::to_string(::getpid()) + ")"));
  EXPECT_FALSE(check_port({"5000/tcp", "", port}).free) << "every address has that one in it";
  EXPECT_TRUE(check_port({"5000/tcp", "", ""}).free) << "the engine chooses";
}

TEST(CheckPort, KnowsForeignAddresses) {
  EXPECT_THAT(check_port({"5000/tcp", "192.0.2.7", "5000"}).reason, HasSubstr("no address of this machine"));
}

TEST(ListeningInodes, ReadsProcNetTcp) {
  const char *table =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1234 1 "
      "0000 100 0 0 10 0\n"
      "   1: 0100007F:1388 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 5678 1 "
      "0000 20 4 30 10 -1\n"
      "   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 9012 1 "
      "0000 100 0 0 10 0\n";
  EXPECT_THAT(listening_inodes(table, 5000, false), ElementsAre(1234U));
}

}  // namespace
}  // namespace pipes::engine
