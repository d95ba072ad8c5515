#include "core/run/message.hpp"

#include "core/run/packets.hpp"
#include "core/run/wire.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <limits>
#include <random>
#include <thread>

namespace pipes {
namespace {

const Value kEverything = Value::Map{{"null", {}},
                                     {"bool", true},
                                     {"int", std::numeric_limits<std::int64_t>::min()},
                                     {"number", 1.5e-300},
                                     {"text", std::string("a\0b", 3)},
                                     {"list", Value::List{1, "two", Value::List{}}},
                                     {"map", Value::Map{{"k", "v"}}}};

TEST(Message, OrdersSurviveTheWire) {
  const StepOrder order{Operation::undo,        "pull[\"a\"]", "pull",          "/lib/pipe-pull.so",
                        {{"all", kEverything}}, {"image"},     {{"made", "x"}}, true};
  EXPECT_EQ(decode_order(encode(order)), order);
}

TEST(Message, ReportsSurviveTheWire) {
  const std::vector<StepReport> reports{LogReport{3, "message", {{"k", kEverything}}},
                                        ProgressReport{1, 2, 3, UINT64_MAX, true, "layer"},
                                        OutputReport{"digest", kEverything},
                                        VerdictReport{Verdict::replace, "why"},
                                        DiffReport{{"image", "a", "b"}},
                                        RememberReport{"key", {}},
                                        FailReport{Status::transient, "m", "h", std::chrono::seconds(9)},
                                        DoneReport{Status::mismatch}};
  for (const StepReport &report : reports) EXPECT_EQ(decode_report(encode(report)), report);
}

TEST(Message, AProcessCannotForgeTheRunnersOwnReports) {
  EXPECT_THROW(decode_report(encode(StepReport(ExitReport{0, 0, {}}))), WireError);
  EXPECT_THROW(decode_report(encode(StepReport(TextReport{"x"}))), WireError);
}

TEST(Message, RejectsEveryTruncation) {
  const std::string whole = encode(StepReport(LogReport{2, "message", {{"k", kEverything}}}));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(decode_report(std::string_view(whole).substr(0, size)), WireError) << size;
  }
  EXPECT_THROW(decode_report(whole + "x"), WireError);
}

TEST(Message, RejectsUnknownNumbers) {
  std::string bytes = encode(StepReport(DoneReport{Status::ok}));
  bytes[1] = 77;
  EXPECT_THROW(decode_report(bytes), WireError);
}

TEST(Message, RejectsValuesThatAreTooDeep) {
  Value deep;
  for (int i = 0; i < 100; ++i) deep = Value::List{deep};
  EXPECT_THROW(decode_report(encode(StepReport(OutputReport{"x", deep}))), WireError);
}

TEST(Message, SurvivesRandomBytes) {
  std::minstd_rand random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 40, '\0');
    for (char &c : bytes) c = static_cast<char>(random() % 12);
    try {
      decode_report(bytes);
    } catch (const WireError &) {
    }
  }
}

class PacketsTest : public testing::Test {
 protected:
  PacketsTest() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_.data()), 0); }
  ~PacketsTest() override {
    for (const int fd : ends_) ::close(fd);
  }
  std::array<int, 2> ends_{};
};

TEST_F(PacketsTest, MessagesOfMegabytesArriveWhole) {
  const std::string big(5 << 20, 'm');
  std::thread sender([&] {
    EXPECT_TRUE(send_message(ends_[0], big));
    EXPECT_TRUE(send_message(ends_[0], ""));
  });
  MessageAssembler assembler;
  EXPECT_EQ(receive_message(ends_[1], assembler), big);
  EXPECT_EQ(receive_message(ends_[1], assembler), "");
  sender.join();
}

TEST_F(PacketsTest, PacketsOfAnySizeArrive) {
  MessageAssembler assembler;
  for (const std::size_t size : {0U, 1U, 510U, 511U, 512U, 513U, 30'000U}) {
    const std::string message(size, 's');
    ASSERT_TRUE(send_message(ends_[0], message));
    EXPECT_EQ(receive_message(ends_[1], assembler), message);
  }
}

TEST_F(PacketsTest, AnOutboxNeverWaits) {
  const std::string big(3 << 20, 'm');
  Outbox outbox;
  outbox.add(big);
  EXPECT_TRUE(outbox.flush(ends_[0]));
  EXPECT_FALSE(outbox.empty());
  std::thread receiver([&] {
    MessageAssembler assembler;
    EXPECT_EQ(receive_message(ends_[1], assembler), big);
  });
  while (!outbox.empty()) ASSERT_TRUE(outbox.flush(ends_[0]));
  receiver.join();
}

TEST_F(PacketsTest, ADeadReaderIsNoticed) {
  ::close(std::exchange(ends_[1], -1));
  EXPECT_FALSE(send_message(ends_[0], "x"));
  Outbox outbox;
  outbox.add("x");
  EXPECT_FALSE(outbox.flush(ends_[0]));
}

TEST(MessageAssembler, RejectsWhatBreaksTheRules) {
  MessageAssembler assembler;
  EXPECT_THROW(assembler.add(""), WireError);
  EXPECT_THROW(assembler.add("\x07garbage"), WireError);
}

TEST(MessageAssembler, PutsPiecesTogether) {
  MessageAssembler assembler;
  EXPECT_EQ(assembler.add(std::string("\0whole", 6)), "whole");
  EXPECT_EQ(assembler.add("\1in "), std::nullopt);
  EXPECT_EQ(assembler.add("\1three "), std::nullopt);
  EXPECT_EQ(assembler.add(std::string("\0pieces", 7)), "in three pieces");
  EXPECT_EQ(assembler.add(std::string("\0", 1)), "");
}

TEST(MessageAssembler, BoundsAMessageThatNeverEnds) {
  MessageAssembler assembler;
  const std::string piece = "\1" + std::string(1 << 20, 'x');
  EXPECT_THROW(
      {
        for (int i = 0; i < 100; ++i) assembler.add(piece);
      },
      WireError);
}

}  // namespace
}  // namespace pipes
