#include "core/run/message.hpp"

#include "core/run/wire.hpp"

#include <array>

namespace pipes {
namespace {

constexpr std::array<std::string_view, 3> kOperations{"plan", "run", "undo"};
constexpr std::array<std::string_view, 10> kStatuses{"ok",        "invalid", "not_found", "denied",
                                                     "transient", "timeout", "cancelled", "mismatch",
                                                     "io",        "internal"};
constexpr std::array<std::string_view, 6> kVerdicts{"unknown", "up_to_date", "create",
                                                    "change",  "replace",    "remove"};

template <class Enum, std::size_t N>
Enum checked(std::int32_t number, const std::array<std::string_view, N> &) {
  if (number < 0 || number >= static_cast<std::int32_t>(N)) throw WireError();
  return static_cast<Enum>(number);
}

struct Write {
  WireWriter &to;
  void operator()(const LogReport &r) const {
    to.i32(r.level);
    to.text(r.message);
    to.map(r.fields);
  }
  void operator()(const ProgressReport &r) const {
    to.u64(r.id);
    to.u64(r.parent);
    to.u64(r.done);
    to.u64(r.total);
    to.u8(r.bytes ? 1 : 0);
    to.text(r.label);
  }
  void operator()(const OutputReport &r) const {
    to.text(r.name);
    to.value(r.value);
  }
  void operator()(const VerdictReport &r) const {
    to.i32(static_cast<std::int32_t>(r.verdict));
    to.text(r.summary);
  }
  void operator()(const DiffReport &r) const {
    to.text(r.diff.field);
    to.text(r.diff.before);
    to.text(r.diff.after);
  }
  void operator()(const RememberReport &r) const {
    to.text(r.key);
    to.value(r.value);
  }
  void operator()(const FailReport &r) const {
    to.i32(static_cast<std::int32_t>(r.status));
    to.text(r.message);
    to.text(r.hint);
    to.i64(r.retry_after.count());
  }
  void operator()(const DoneReport &r) const { to.i32(static_cast<std::int32_t>(r.status)); }
  void operator()(const TextReport &r) const { to.text(r.bytes); }
  void operator()(const ExitReport &r) const {
    to.i32(r.code);
    to.i32(r.signal);
    to.text(r.problem);
  }
};

Status status_of(WireReader &from) {
  return checked<Status>(from.i32(), kStatuses);
}

StepReport read_report(WireReader &from) {
  // Braces, as they fix the order in which the members are read. TextReport and ExitReport are the
  // runner's own and never accepted from a process.
  switch (from.u8()) {
    case 0:
      return LogReport{from.i32(), from.text(), from.map()};
    case 1:
      return ProgressReport{from.u64(), from.u64(), from.u64(), from.u64(), from.u8() != 0, from.text()};
    case 2:
      return OutputReport{from.text(), from.value()};
    case 3:
      return VerdictReport{checked<Verdict>(from.i32(), kVerdicts), from.text()};
    case 4:
      return DiffReport{{from.text(), from.text(), from.text()}};
    case 5:
      return RememberReport{from.text(), from.value()};
    case 6:
      return FailReport{status_of(from), from.text(), from.text(), std::chrono::milliseconds(from.i64())};
    case 7:
      return DoneReport{status_of(from)};
    default:
      throw WireError();
  }
}

}  // namespace

std::string_view operation_name(Operation o) {
  return kOperations.at(static_cast<std::size_t>(o));
}
std::string_view status_name(Status s) {
  return kStatuses.at(static_cast<std::size_t>(s));
}
std::string_view verdict_name(Verdict v) {
  return kVerdicts.at(static_cast<std::size_t>(v));
}

std::string encode(const StepOrder &order) {
  WireWriter to;
  to.u8(static_cast<std::uint8_t>(order.operation));
  to.text(order.id);
  to.text(order.uses);
  to.text(order.plugin);
  to.map(order.params);
  to.u32(static_cast<std::uint32_t>(order.unknown.size()));
  for (const std::string &name : order.unknown) to.text(name);
  to.map(order.remembered);
  to.u8(order.undo_data ? 1 : 0);
  return to.take();
}

StepOrder decode_order(std::string_view bytes) {
  WireReader from(bytes);
  StepOrder order;
  order.operation = checked<Operation>(from.u8(), kOperations);
  order.id = from.text();
  order.uses = from.text();
  order.plugin = from.text();
  order.params = from.map();
  for (std::uint32_t left = from.u32(); left > 0; --left) order.unknown.push_back(from.text());
  order.remembered = from.map();
  order.undo_data = from.u8() != 0;
  from.end();
  return order;
}

std::string encode(const StepReport &report) {
  WireWriter to;
  to.u8(static_cast<std::uint8_t>(report.index()));
  std::visit(Write{to}, report);
  return to.take();
}

StepReport decode_report(std::string_view bytes) {
  WireReader from(bytes);
  StepReport report = read_report(from);
  from.end();
  return report;
}

std::string encode(const RememberAnswer &answer) {
  WireWriter to;
  to.text(answer.problem);
  return to.take();
}

RememberAnswer decode_answer(std::string_view bytes) {
  WireReader from(bytes);
  RememberAnswer answer{from.text()};
  from.end();
  return answer;
}

}  // namespace pipes
