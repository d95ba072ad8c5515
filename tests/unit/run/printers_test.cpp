#include "core/report/json_event.hpp"
#include "core/report/movement.hpp"
#include "core/report/plain.hpp"
#include "core/report/reporter.hpp"
#include "core/report/terminal.hpp"
#include "core/run/paths.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace pipes {
namespace {

using testing::HasSubstr;
using testing::Not;
using State = NodeResult::State;
using std::chrono::milliseconds;

class TextSink final : public TextOut {
 public:
  std::string text;
  void write(std::string_view more) override { text += more; }
};

Event event(Event::Type type, const std::string &step = {}) {
  Event e;
  e.type = type;
  e.step = step;
  e.pipeline = "registry";
  e.time = std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'000));
  return e;
}

Event start() {
  Event e = event(Event::Type::run_started);
  for (const char *id : {"pull", "registry", "push"})
    e.steps.emplace_back(Value::Map{{"id", id}, {"uses", id}});
  return e;
}

Event ended(const std::string &step, State state, const std::string &summary, milliseconds elapsed) {
  Event e = event(Event::Type::step_ended, step);
  e.state = state;
  e.summary = summary;
  e.elapsed = elapsed;
  return e;
}

Event failed(const std::string &step) {
  Event e = ended(step, State::failed, "", milliseconds(300));
  e.failure = Failure{Status::denied, "401 from localhost:5000\nsecond line",
                      "log in first", {"line one", "line two"},
                      {"line two"},   "/runs/push.log"};
  return e;
}

Event log(const std::string &step, int level, const std::string &message) {
  Event e = event(Event::Type::log, step);
  e.level = level;
  e.message = message;
  return e;
}

Event end(Counts counts, const std::string &status) {
  Event e = event(Event::Type::run_ended);
  e.counts = counts;
  e.status = status;
  e.elapsed = milliseconds(6234);
  return e;
}

TEST(PlainPrinter, TellsARun) {
  TextSink out;
  PlainPrinter printer(out, Color::off);
  printer.on(start());
  printer.on(event(Event::Type::step_started, "pull"));
  printer.on(log("pull", 1, "for the journal only"));
  printer.on(log("pull", 2, "fetching\nblobs"));
  printer.on(log("pull", 3, "old"));
  Event again = event(Event::Type::step_retried, "pull");
  again.attempts = 4;
  again.elapsed = milliseconds(2000);
  again.failure = Failure{Status::transient, "503 Service Unavailable", {}, {}, {}};
  printer.on(again);
  printer.on(ended("pull", State::changed, "9.2 MB", milliseconds(3100)));
  printer.on(ended("registry", State::unchanged, "", milliseconds(40)));
  printer.on(failed("push"));
  printer.on(end({.changed = 1, .unchanged = 1, .failed = 1, .not_run = 2, .retried = 1}, "failed"));
  EXPECT_EQ(out.text,
            "pull | fetching\n"
            "pull | blobs\n"
            "pull | warning: old\n"
            "pull | try 2 of 4 in 2.0s: 503 Service Unavailable\n"
            "  changed   pull        3.1s  9.2 MB\n"
            "  unchanged registry    0.0s\n"
            "  failed    push        0.3s  401 from localhost:5000\n"
            "error: push: 401 from localhost:5000\n"
            "  second line\n"
            "  hint: log in first\n"
            "  its last lines that are not above:\n"
            "    | line two\n"
            "  log: /runs/push.log\n"
            "registry: changed=1 unchanged=1 failed=1 skipped=0 not_run=2 retried=1   6.2s\n");
}

TEST(PlainPrinter, TellsTheParametersOfAStepThatFailed) {
  Event e = failed("push");
  e.failure->given = {{"image", "app:1"}, {"to", "localhost:5000/app:1"}, {"password", "***"}};
  EXPECT_THAT(failure_block(e, Told::nothing, Color::off), HasSubstr("  hint: log in first\n"
                                                                     "  it was given:\n"
                                                                     "    image    = app:1\n"
                                                                     "    to       = localhost:5000/app:1\n"
                                                                     "    password = ***\n"
                                                                     "  its last lines:\n"));
}

TEST(PlainPrinter, ShowsTheFirstLineInWhichTextsDiffer) {
  TextSink out;
  PlainPrinter printer(out, Color::off);
  printer.on(start());
  Event e = ended("registry", State::changed, "", milliseconds(100));
  e.diffs = {{"config", "a: 1\nb: 2\nc: 3\n", "a: 1\nb: 5\nc: 3\n"},
             {"new", "", "a: 1\nb: 2\n"},
             {"longer", "a: 1\n", "a: 1\nb: 2\n"}};
  printer.on(e);
  EXPECT_THAT(out.text, HasSubstr("config  … b: 2 … -> … b: 5 …\n"));
  EXPECT_THAT(out.text, HasSubstr("new     (none) -> a: 1 …\n"));
  EXPECT_THAT(out.text, HasSubstr("longer  … -> … b: 2\n"));
}

TEST(PlainPrinter, CutsAnErrorThatIsTooLongToRead) {
  TextSink out;
  PlainPrinter printer(out, Color::off);
  printer.on(start());
  Event e = failed("push");
  e.failure->message = std::string(100'000, 'x') + "end";
  e.failure->hint = std::string(100'000, 'y');
  printer.on(e);
  EXPECT_THAT(out.text, HasSubstr("xxxxxxxx …\n"));
  EXPECT_LT(out.text.size(), 30'000U);
}

TEST(PlainPrinter, KeepsTogetherWhatAStepSays) {
  TextSink out;
  PlainPrinter printer(out, Color::off);
  const auto at = [](Event e, int seconds) {
    e.time += std::chrono::seconds(seconds);
    return e;
  };
  printer.on(start());
  for (const char *id : {"pull", "push", "registry"}) printer.on(event(Event::Type::step_started, id));
  printer.on(log("pull", 2, "one"));
  printer.on(log("push", 2, "one"));
  printer.on(log("pull", 2, "two"));
  EXPECT_EQ(out.text, "pull | one\npull | two\n");
  printer.on(at(ended("push", State::unchanged, "", {}), 1));
  EXPECT_THAT(out.text, testing::EndsWith("two\npush | one\n  unchanged push        0.0s\n"));
  printer.on(at(log("registry", 2, "starts"), 2));
  printer.on(at(log("pull", 2, "three"), 3));
  EXPECT_THAT(out.text, testing::EndsWith("\npull | three\n"));
  printer.on(at(log("pull", 2, "four"), 7));
  EXPECT_THAT(out.text, testing::EndsWith("\npull | three\nregistry | starts\n")) << "it has waited for long";
  printer.on(at(log("pull", 3, "old"), 8));
  EXPECT_THAT(out.text, testing::EndsWith("\nregistry | starts\npull | four\npull | warning: old\n"));
}

TEST(PlainPrinter, SaysOnlyWhatWentWrongWhereItIsToBeQuiet) {
  TextSink out;
  PlainPrinter printer(out, Color::off, Detail::quiet);
  printer.on(start());
  printer.on(event(Event::Type::step_started, "pull"));
  printer.on(log("pull", 2, "fetching"));
  printer.on(log("pull", 3, "old"));
  printer.on(ended("pull", State::changed, "9.2 MB", milliseconds(3100)));
  printer.on(end({.changed = 1}, "ok"));
  EXPECT_EQ(out.text, "pull | warning: old\nregistry: changed=1 unchanged=0 failed=0 skipped=0   6.2s\n");
}

TEST(PlainPrinter, TellsProgressEveryFewSecondsOnly) {
  TextSink out;
  PlainPrinter printer(out, Color::off);
  printer.on(event(Event::Type::step_started, "pull"));
  for (int second = 0; second < 12; ++second) {
    Event e = event(Event::Type::progress, "pull");
    e.time += std::chrono::seconds(second);
    e.progress = {1, 0, static_cast<std::uint64_t>(second) * 1'000'000, 12'000'000, true, "layer"};
    printer.on(e);
  }
  EXPECT_EQ(out.text,
            "pull | 5.0 MB / 12.0 MB  1.0 MB/s  7s left\npull | 10.0 MB / 12.0 MB  1.0 MB/s  2s left\n");
}

TEST(PlainPrinter, TellsSlowProgressOfTheWholeOnly) {
  TextSink out;
  PlainPrinter printer(out, Color::off);
  printer.on(event(Event::Type::step_started, "pull"));
  for (int second = 0; second < 25; ++second)
    for (const std::uint64_t id : {0, 1, 2}) {
      Event e = event(Event::Type::progress, "pull");
      e.time += std::chrono::seconds(second);
      e.progress = {id, 0, std::min(1000, second * 100) * 1'000U, 100'000'000, true, "layer"};
      printer.on(e);
    }
  EXPECT_EQ(out.text, "pull | 1.0 MB / 100.0 MB  100.0 kB/s  16m30s left\n");
}

TEST(Recap, IsOneLineThatCanBeSearchedFor) {
  EXPECT_EQ(recap(end({.changed = 4, .unchanged = 1}, "ok")),
            "registry: changed=4 unchanged=1 failed=0 skipped=0   6.2s");
}

TEST(PlanPrinter, ShowsVerdictsFieldByField) {
  TextSink out, messages;
  PlanPrinter printer(out, messages, Color::off);
  const auto planned = [&](const std::string &step, State state, Verdict verdict,
                           const std::string &summary) {
    Event e = ended(step, state, summary, {});
    e.operation = Operation::plan;
    e.verdict = verdict;
    return e;
  };
  printer.on(start());
  printer.on(planned("pull", State::unchanged, Verdict::up_to_date, "sha256:cb52"));
  Event replace = planned("registry", State::unknown, Verdict::replace, "registry");
  replace.diffs = {
      {"image", "sha256:9f01", "sha256:cb52"}, {"restart", "no", "always"}, {"user", "", "1000"}};
  printer.on(replace);
  printer.on(planned("push", State::unknown, Verdict::unknown, "needs step `registry`"));
  Event last = end({.unchanged = 1, .unknown = 1, .replace = 1}, "ok");
  printer.on(last);
  EXPECT_EQ(out.text,
            "  = pull      up to date  sha256:cb52\n"
            "-/+ registry  replace     registry\n"
            "        image    sha256:9f01 -> sha256:cb52\n"
            "        restart  no -> always\n"
            "        user     (none) -> 1000\n"
            "  ? push      unknown     needs step `registry`\n"
            "Plan: 1 to replace, 1 unknown, 1 up to date.\n");
}

TEST(PlanPrinter, SaysSoWhenThereIsNothingToDo) {
  EXPECT_EQ(plan_recap({.unchanged = 3}), "No changes.\n");
}

class TerminalPrinterTest : public testing::Test {
 protected:
  TextSink out;
  std::chrono::steady_clock::time_point now{std::chrono::hours(1)};
  TerminalSize size{60, 8};
  TerminalPrinter printer{out, Color::off, [this] { return size; }, [this] { return now; }};

  std::string frame() {
    out.text.clear();
    printer.tick();
    return out.text;
  }
  static std::string drawn(const std::string &from, const std::string &lines) {
    return "\x1b[?2026h" + from + lines + "\x1b[J\x1b[?2026l";
  }
  /// The lines of the first frame.
  std::string lines() { return printable(frame()); }
};

TEST_F(TerminalPrinterTest, RedrawsRunningStepsInPlace) {
  printer.on(start());
  Event begun = event(Event::Type::step_started, "pull");
  begun.attempt = 2;
  begun.attempts = 4;
  printer.on(begun);
  Event moved = event(Event::Type::progress, "pull");
  moved.progress = {7, 0, 2'100'000, 3'400'000, true, "layer"};
  printer.on(moved);
  now += milliseconds(4100);
  EXPECT_EQ(frame(), drawn("\r\x1b[J",
                           "[+] registry  0/3  1 running  4.1s\x1b[K\n"
                           "  running   pull        4.1s  try 2/4  2.1 MB / 3.4 MB\x1b[K\n"
                           "    layer    2.1 MB /   3.4 MB\x1b[K\n"));
  EXPECT_EQ(frame(), "") << "nothing has changed";
  now += milliseconds(1000);
  EXPECT_EQ(frame(), drawn("\x1b[3A\r",
                           "[+] registry  0/3  1 running  5.1s\x1b[K\n"
                           "  running   pull        5.1s  try 2/4  2.1 MB / 3.4 MB\x1b[K\n"
                           "\n"))
      << "the third line stands";
  printer.on(ended("pull", State::changed, "9.2 MB", milliseconds(4200)));
  EXPECT_EQ(frame(), drawn("\x1b[3A\r\x1b[J",
                           "  changed   pull        4.2s  9.2 MB\n"
                           "[+] registry  1/3  0 running  5.1s\x1b[K\n"));
  out.text.clear();
  printer.on(end({.changed = 1}, "ok"));
  EXPECT_EQ(out.text,
            drawn("\x1b[1A\r\x1b[J", "registry: changed=1 unchanged=0 failed=0 skipped=0   6.2s\n"));
}

TEST_F(TerminalPrinterTest, FoldsTheInstancesOfAStep) {
  size = {80, 20};
  Event begin = start();
  for (const char *id : {"sync[\"a\"]", "sync[\"b\"]", "sync[\"c\"]"})
    begin.steps.emplace_back(Value::Map{{"id", id}, {"uses", "copy"}, {"step", "sync"}});
  printer.on(begin);
  for (const char *id : {"sync[\"a\"]", "sync[\"b\"]"}) {
    printer.on(event(Event::Type::step_started, id));
    printer.on(log(id, 2, "copying"));
  }
  now += milliseconds(1000);
  printer.on(failed("sync[\"a\"]"));
  EXPECT_EQ(frame(), drawn("\r\x1b[J",
                           "  failed    sync[\"a\"]    0.3s  401 from localhost:5000\n"
                           "[+] registry  1/6  1 running  1.0s\x1b[K\n"
                           "  running   sync        1.0s  1/3 done, 1 running, 1 failed\x1b[K\n"
                           "    | [\"a\"] copying\x1b[K\n"
                           "    | [\"b\"] copying\x1b[K\n"));
  printer.on(ended("sync[\"b\"]", State::changed, "2 tags", milliseconds(100)));
  printer.on(ended("sync[\"c\"]", State::unchanged, "", milliseconds(100)));
  EXPECT_THAT(frame(),
              HasSubstr("\x1b[J  failed    sync        1.0s  1 changed, 1 failed, 1 unchanged\n[+]"));
}

TEST_F(TerminalPrinterTest, NeverDrawsMoreLinesThanThereAreNorWiderOnes) {
  printer.on(start());
  for (int i = 0; i < 20; ++i) {
    Event e = event(Event::Type::step_started, "step-" + std::to_string(i));
    e.index = static_cast<std::size_t>(i);
    printer.on(e);
    printer.on(log(e.step, 2, std::string(200, 'w')));
  }
  const std::string drawn = lines();
  EXPECT_EQ(std::count(drawn.begin(), drawn.end(), '\n'), 7);
  EXPECT_THAT(drawn, HasSubstr("and 15 more"));
  for (std::string_view rest = drawn; !rest.empty();) {
    const std::string_view line = first_line(rest);
    EXPECT_LT(width(line), 60U);
    rest.remove_prefix(line.size() + 1);
  }
}

TEST_F(TerminalPrinterTest, ShowsTheLargestBlobsThatMoveAndTheWholeOnce) {
  size = {80, 12};
  printer.on(start());
  printer.on(event(Event::Type::step_started, "pull"));
  const auto moved = [&](std::uint64_t id, std::uint64_t done, std::uint64_t total) {
    Event e = event(Event::Type::progress, "pull");
    e.progress = {id, 0, done, total, true, id == 0 ? "" : "sha256:00000000000" + std::to_string(id)};
    printer.on(e);
  };
  for (std::uint64_t id = 1; id < 9; ++id) moved(id, 1, id * 10'000'000);
  moved(0, 1, 360'000'000);
  now += milliseconds(2000);
  for (std::uint64_t id = 1; id < 9; ++id) moved(id, id == 8 ? 80'000'000 : 6'000'001, id * 10'000'000);
  moved(0, 128'000'001, 360'000'000);
  EXPECT_EQ(lines(),
            "[+] registry  0/3  1 running  2.0s\n"
            "  running   pull        2.0s  128.0 MB / 360.0 MB  64.0 MB/s  4s left\n"
            "    sha256:000000000002  [===>       ]    6.0 MB /  20.0 MB    3.0 MB/s      5s\n"
            "    sha256:000000000003  [==>        ]    6.0 MB /  30.0 MB    3.0 MB/s      8s\n"
            "    sha256:000000000004  [=>         ]    6.0 MB /  40.0 MB    3.0 MB/s     12s\n"
            "    sha256:000000000005  [=>         ]    6.0 MB /  50.0 MB    3.0 MB/s     15s\n"
            "    sha256:000000000006  [=>         ]    6.0 MB /  60.0 MB    3.0 MB/s     18s\n"
            "    sha256:000000000007  [>          ]    6.0 MB /  70.0 MB    3.0 MB/s     22s\n");
}

TEST_F(TerminalPrinterTest, FindsItsLinesAgainWhereTheTerminalBecameNarrower) {
  printer.on(start());
  printer.on(event(Event::Type::step_started, "a-step-with-a-name"));
  printer.on(log("a-step-with-a-name", 2, std::string(200, 'w')));
  frame();
  size.columns = 30;
  EXPECT_THAT(frame(), testing::StartsWith("\x1b[?2026h\x1b[6A\r\x1b[J"))
      << "34, 36 and 59 columns are two lines each";
}

TEST(Bar, IsAsLongAsWhatHasMoved) {
  Moving half;
  half.advance(5, 10, {});
  EXPECT_EQ(bar(half, 12, Glyphs::ascii), "[=====>    ]");
  EXPECT_EQ(bar(half, 5, Glyphs::blocks), "██▌··");
  half.advance(10, 10, {});
  EXPECT_EQ(bar(half, 12, Glyphs::ascii), "[==========]");
  EXPECT_EQ(bar(half, 3, Glyphs::blocks), "███");
}

TEST(BarLine, LeavesOutWhatHasNoRoom) {
  Moving blob;
  blob.label = "sha256:000000000001";
  blob.bytes = true;
  blob.advance(1, 100'000'000, milliseconds(0));
  blob.advance(40'000'001, 100'000'000, milliseconds(4000));
  EXPECT_EQ(bar_line(blob, 19, 79, Glyphs::ascii),
            "    sha256:000000000001  [====>      ]   40.0 MB / 100.0 MB   10.0 MB/s      6s");
  EXPECT_EQ(bar_line(blob, 19, 60, Glyphs::ascii),
            "    sha256:000000000001   40.0 MB / 100.0 MB   10.0 MB/s");
  EXPECT_EQ(bar_line(blob, 19, 40, Glyphs::ascii), "    sha256:000000000001");
  EXPECT_EQ(width(bar_line(blob, 19, 199, Glyphs::blocks)), 106U);
}

TEST(Moving, DoesNotCountWhatWasThereBefore) {
  Moving blob;
  blob.advance(0, 1'000'000'000, milliseconds(0));
  blob.advance(900'000'000, 1'000'000'000, milliseconds(50));
  blob.bytes = true;
  EXPECT_FALSE(blob.left());
  blob.advance(901'000'000, 1'000'000'000, milliseconds(1050));
  EXPECT_DOUBLE_EQ(blob.speed, 1'000'000);
  EXPECT_EQ(blob.left(), std::chrono::seconds(99));
}

TEST_F(TerminalPrinterTest, FitsItsFirstLineIntoANarrowTerminal) {
  size.columns = 20;
  printer.on(start());
  const std::string drawn = lines();
  EXPECT_LT(width(first_line(drawn)), 20U) << drawn;
}

TEST_F(TerminalPrinterTest, AsksForTicksOnlyWhileARunIsUnderWay) {
  EXPECT_FALSE(printer.next_tick());
  printer.on(start());
  EXPECT_EQ(printer.next_tick(), now + milliseconds(100));
  printer.on(end({}, "ok"));
  EXPECT_FALSE(printer.next_tick());
}

TEST(Printable, LetsNothingTakeOverTheTerminal) {
  EXPECT_EQ(printable("\x1b]0;title\x07\x1b[2Jred\x1b[31m alert\r\a"), "red alert");
  EXPECT_EQ(printable("a\tb\nc"), "a    b\nc");
  EXPECT_EQ(printable("\xC2\x9B"
                      "31mx"),
            "31mx")
      << "the C1 form of ESC [";
  EXPECT_EQ(printable("grün ✔"), "grün ✔");
  EXPECT_EQ(printable("cut\x1b["), "cut");
  EXPECT_EQ(printable("a\xE2\x80\xAE"
                      "b"),
            "ab")
      << "U+202E turns the line around";
  EXPECT_EQ(printable("\xE4\xB8 x\xFF"), "\xEF\xBF\xBD\xEF\xBF\xBD x\xEF\xBF\xBD");
}

TEST(Fit, CountsCharactersAndNotBytes) {
  EXPECT_EQ(fit("grün ✔ ok", 9), "grün ✔ ok");
  EXPECT_EQ(fit("grün ✔ ok", 5), "grün…");
  EXPECT_EQ(fit("abc", 0), "");
}

TEST(Width, CountsColumns) {
  EXPECT_EQ(width("grün"), 4U);
  EXPECT_EQ(width("레지스트리"), 10U);
  EXPECT_EQ(width("镜像🐳"), 6U);
  EXPECT_EQ(width("e\xCC\x81"), 1U) << "a combining accent";
  EXPECT_EQ(fit("레지스트리", 9), "레지스트…");
  EXPECT_EQ(fit("레지스트리", 8), "레지스…") << "the fourth would take the place of the ellipsis";
  EXPECT_EQ(padded("镜像", 6), "镜像  ");
}

TEST(Wrapped, BreaksBetweenWords) {
  EXPECT_EQ(wrapped("one two  three four", 10), "one two\nthree four");
  EXPECT_EQ(wrapped("one two three", 10, 4), "one\n    two\n    three");
  EXPECT_EQ(wrapped("레지 스트 리", 9), "레지 스트\n리");
  EXPECT_EQ(wrapped("a-word-that-is-too-long b", 6), "a-word-that-is-too-long\nb");
  EXPECT_EQ(wrapped(" ", 6), "");
}

TEST(Elapsed, ReadsLikeATime) {
  EXPECT_EQ(elapsed_text(milliseconds(234)), "0.2s");
  EXPECT_EQ(elapsed_text(milliseconds(59'999)), "59.9s");
  EXPECT_EQ(elapsed_text(milliseconds(125'000)), "2m05s");
  EXPECT_EQ(elapsed_text(milliseconds(7'380'000)), "2h03m");
}

TEST(Bytes, ReadLikeARegistryCountsThem) {
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(42'100'000), "42.1 MB");
  EXPECT_EQ(bytes_text(999'999), "1.0 MB");
}

TEST(JsonEvent, StatesItsVersionFirst) {
  EXPECT_THAT(version_line(), HasSubstr(R"({"type":"version","schema":"1.3")"));
}

TEST(JsonEvent, TellsTheEndOfAStep) {
  Event e = failed("push");
  e.fields = {{"digest", "sha256:1"}};
  e.diffs = {{"image", "a", "b"}};
  EXPECT_EQ(
      to_json_line(e),
      R"({"type":"step_ended","time":"2027-01-15T08:00:00.000Z","step":"push","operation":"run","state":"failed",)"
      R"("diff":[{"field":"image","before":"a","after":"b"}],"outputs":{"digest":"sha256:1"},)"
      R"("error":{"status":"denied","message":"401 from localhost:5000\nsecond line","hint":"log in first",)"
      R"("tail":["line one","line two"],"log":"/runs/push.log"},"attempt":1,"elapsed_ms":300})"
      "\n");
}

class ReporterTest : public testing::Test {
 protected:
  struct Sink final : EventSink {
    std::vector<Event> events;
    void on(const Event &e) override { events.push_back(e); }
    std::string shown() const {
      std::string all;
      for (const Event &e : events) all += e.message + "\n";
      return all;
    }
  };
  ReporterTest() {
    std::string pattern = testing::TempDir() + "pipe-reporter-XXXXXX";
    folder = ::mkdtemp(pattern.data());
  }
  ~ReporterTest() override { std::filesystem::remove_all(folder); }
  Event wrote(const std::string &bytes) {
    Event e = event(Event::Type::output, "pull");
    e.message = bytes;
    return e;
  }
  std::string log_text() {
    std::ifstream file(folder / "pull.log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::filesystem::path folder;
  Redactor redactor{{"hunter2!"}};
  Sink sink;
};

TEST_F(ReporterTest, CutsOutputIntoWholeLinesAndKeepsItAll) {
  Reporter reporter(redactor, folder, {&sink});
  reporter.on(wrote("one\ntw"));
  reporter.on(wrote("o\nthree"));
  reporter.on(failed("pull"));
  ASSERT_EQ(sink.events.size(), 4U);
  EXPECT_EQ(sink.events[0].message, "one");
  EXPECT_EQ(sink.events[1].message, "two");
  EXPECT_EQ(sink.events[2].message, "three");
  EXPECT_THAT(sink.events[3].failure->tail, testing::ElementsAre("one", "two", "three"));
  EXPECT_THAT(sink.events[3].failure->untold, testing::IsEmpty());
  EXPECT_EQ(sink.events[3].failure->log, (folder / "pull.log").string());
  EXPECT_THAT(log_text(), testing::StartsWith("one\ntwo\nthree"));
}

TEST_F(ReporterTest, SaysWhichOfTheLastLinesNoEventTold) {
  Reporter reporter(redactor, folder, {&sink});
  reporter.on(log("pull", 2, "told"));
  reporter.on(log("pull", 1, "asked"));
  reporter.on(failed("pull"));
  EXPECT_THAT(sink.events.back().failure->tail, testing::ElementsAre("told", "debug: asked"));
  EXPECT_THAT(sink.events.back().failure->untold, testing::ElementsAre("debug: asked"));
}

TEST_F(ReporterTest, MasksEverythingBeforeAnyoneSeesIt) {
  Reporter reporter(redactor, folder, {&sink});
  reporter.on(wrote("its hun"));
  reporter.on(wrote("ter2!\n"));
  reporter.on(log("pull", 2, "said hunter2!"));
  Event e = failed("pull");
  e.summary = e.failure->message = e.failure->hint = "hunter2!";
  e.diffs = {{"f", "hunter2!", "hunter2!"}};
  e.fields = {{"out", Value::List{"hunter2!"}}};
  reporter.on(e);
  std::string all = log_text();
  for (const Event &seen : sink.events) all += to_json_line(seen);
  EXPECT_THAT(all, Not(HasSubstr("hunter2!")));
  EXPECT_THAT(all, HasSubstr("its ***"));
}

TEST_F(ReporterTest, BoundsWhatAFloodShowsAndKeeps) {
  Reporter reporter(redactor, folder, {&sink});
  const std::string block(1 << 16, 'x');
  for (int i = 0; i < 600; ++i) reporter.on(wrote(block.substr(1) + "\n"));
  reporter.on(wrote("the last line\n"));
  reporter.on(failed("pull"));
  std::size_t shown = 0, kept = 0;
  for (const Event &e : sink.events) shown += e.message.size();
  for (const auto &file : std::filesystem::directory_iterator(folder)) kept += file.file_size();
  EXPECT_LT(shown, Reporter::kShown + 1000);
  EXPECT_LT(kept, 2 * Reporter::kLogLimit + (1 << 20));
  EXPECT_THAT(sink.shown(), HasSubstr("it says too much: the rest is only in"));
  EXPECT_EQ(sink.events.back().failure->untold.back(), "the last line");
  EXPECT_THAT(log_text(), HasSubstr("the last line"));
}

TEST_F(ReporterTest, ShowsALineThatNeverEndsInPieces) {
  Reporter reporter(redactor, {}, {&sink});
  for (int i = 0; i < 100; ++i) reporter.on(wrote(std::string(10'000, 'y')));
  EXPECT_EQ(sink.events.size(), 100U);
}

TEST_F(ReporterTest, MakesNoLogForASilentStep) {
  Reporter reporter(redactor, folder, {&sink});
  reporter.on(ended("pull", State::changed, "", {}));
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(ReporterTest, TheJournalHasEveryEvent) {
  Journal journal(folder);
  journal.on(start());
  journal.on(log("pull", 1, "debug too"));
  journal.on(end({}, "ok"));
  std::ifstream file(folder / "events.jsonl");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_THAT(lines[0], HasSubstr("version"));
  EXPECT_THAT(lines[2], HasSubstr("debug too"));
}

TEST_F(ReporterTest, TwoRunsOfOneMomentGetFoldersOfTheirOwn) {
  const auto at = std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'000));
  const auto one = make_run_folder(folder, "my registry", at),
             two = make_run_folder(folder, "my registry", at);
  EXPECT_EQ(one.filename(), "20270115T080000.000Z-my%20registry");
  EXPECT_EQ(two.filename(), "20270115T080000.001Z-my%20registry");
}

}  // namespace
}  // namespace pipes
