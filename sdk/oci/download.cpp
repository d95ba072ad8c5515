#include "download.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "registry_error.hpp"
#include "registry_state.hpp"

namespace pipes::oci {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kGoodProgress = 1u << 20;  // who got so far starts counting the tries anew

// Several connections are for what takes long, and slow is what a disk or a network next door is not.
constexpr auto kPatience = 2s;
constexpr double kSlow = 64e6;  // bytes a second
constexpr std::uint64_t kWorthIt = 32u << 20;
constexpr std::size_t kConnections = 4;
constexpr std::uint64_t kPiece = 4u << 20;  // each connection holds one in memory

/// The first byte of a 206, as its Content-Range says ("bytes 100-199/200").
std::optional<std::uint64_t> range_start(const http::Headers &headers) {
  std::string_view range = headers.get("content-range");
  if (!range.starts_with("bytes ")) return std::nullopt;
  range.remove_prefix(6);
  return parse_number(range.substr(0, range.find('-')));
}

}  // namespace

Download::Download(Session &session, const Descriptor &blob, std::string name, const http::Sink &sink,
                   std::uint64_t offset, CallFor call_for)
    : session_(session),
      blob_(blob),
      name_(std::move(name)),
      sink_(sink),
      call_for_(std::move(call_for)),
      at_(offset) {}

/// The rest of a blob in pieces, by several connections; they are passed on in order.
class Download::Ranges {
 public:
  explicit Ranges(Download &download) : download_(download), next_(download.at_), passed_(download.at_) {}

  void run() {
    Pace &pace = download_.session_.pace();
    {
      std::vector<std::jthread> more;
      while (more.size() + 1 < kConnections && pace.try_enter())
        more.emplace_back([this, &pace] {
          work();
          pace.leave();
        });
      work();
    }
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void work() noexcept {
    try {
      std::string piece;
      for (std::uint64_t begin; claim(begin);) {
        fetch(begin, piece);
        if (!wait_for(begin)) return;
        download_.pass_on(piece.data(), piece.size());
        const std::lock_guard lock(mutex_);
        passed_ += piece.size();
        changed_.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      changed_.notify_all();
    }
  }

  bool claim(std::uint64_t &begin) {
    const std::lock_guard lock(mutex_);
    if (error_ || next_ == download_.blob_.size) return false;
    begin = next_;
    next_ = std::min(next_ + kPiece, download_.blob_.size);
    return true;
  }

  bool wait_for(std::uint64_t begin) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return error_ || passed_ == begin; });
    return !error_;
  }

  void fetch(std::uint64_t begin, std::string &piece) {
    const std::uint64_t end = std::min(begin + kPiece, download_.blob_.size);
    piece.clear();
    piece.reserve(static_cast<std::size_t>(end - begin));
    Call call = download_.call_for_(fmt::format("{}-{}", begin, end - 1));
    call.start = [&](const http::Response &response) {
      if (response.status == 206 && range_start(response.headers) == begin) return;
      download_.ranges_work_ = false;  // it did before: another server answers now
      throw sdk::Error(PIPE_E_TRANSIENT, fmt::format("{} came otherwise than in parts", download_.name_));
    };
    call.sink = [&](const char *data, std::size_t size) {
      if (size > end - begin - piece.size())
        throw sdk::Error(PIPE_E_MISMATCH, fmt::format("a part of {} is too long", download_.name_),
                         "the registry, or a proxy before it, is broken");
      piece.append(data, size);
    };
    const http::Response response = download_.session_.send_once(call);
    if (response.status != 206) throw_status(response, call.what);
    if (piece.size() != end - begin)
      throw sdk::Error(PIPE_E_TRANSIENT, fmt::format("a part of {} was cut short", download_.name_));
  }

  Download &download_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t next_, passed_;
  std::exception_ptr error_;
};

void Download::run() {
  // An earlier run got all and failed after that: a range from the end on is none (RFC 9110, section 14.1.2),
  // and Distribution's 416 to it promises a body that never comes.
  if (done() && blob_.size > 0) return;
  int tries = 0;
  for (std::uint64_t before = at_;; before = at_) {
    try {
      stream();
      return;
    } catch (const Slow &) {
      try {
        Ranges(*this).run();
        return;
      } catch (const sdk::Error &error) {
        if (at_ - before >= kGoodProgress) tries = 0;
        if (!session_.wait_to_retry(error, tries)) throw;
      }
    } catch (const sdk::Error &error) {
      if (done() && blob_.size > 0 && error.status == PIPE_E_TRANSIENT) return;  // all came; the end did not
      if (at_ - before >= kGoodProgress) tries = 0;
      if (!session_.wait_to_retry(error, tries)) throw;
    }
  }
}

void Download::stream() {
  Call call = call_for_(at_ > 0 && resumes_ ? fmt::format("{}-", at_) : std::string());
  call.start = [this](const http::Response &response) { start(response); };
  call.sink = [this](const char *data, std::size_t size) { take(data, size); };
  const http::Response response = session_.send_once(call);
  if (response.status == 404)
    throw sdk::Error(PIPE_E_NOT_FOUND, name_ + " does not exist" + explain(response),
                     "the image there is incomplete: push it again");
  if (response.status == 416 && at_ > 0 && resumes_) {
    resumes_ = ranges_work_ = false;
    return stream();
  }
  if (response.status != 200 && response.status != 206) throw_status(response, call.what);
  if (!done()) throw wrong_size(std::to_string(at_));
}

void Download::start(const http::Response &response) {
  if (response.headers.get("content-type").starts_with("text/html"))
    throw sdk::Error(PIPE_E_INVALID, fmt::format("a web page came where {} was asked for", name_),
                     "is there a proxy that wants a login, or is this a registry's user interface?");
  skip_ = at_;  // a 200 begins at the beginning, whatever was asked for
  begun_at_ = at_;
  begun_ = Clock::now();
  in_sink_ = {};
  ranges_offered_ = response.status == 206 || response.headers.get("accept-ranges") == "bytes";
  if (response.status != 206) return;
  if (range_start(response.headers) != at_)
    throw sdk::Error(PIPE_E_MISMATCH,
                     fmt::format("{} was asked for from byte {}, and came as \"{}\"", name_, at_,
                                 response.headers.get("content-range")),
                     "the registry, or a proxy before it, is broken");
  skip_ = 0;
}

void Download::take(const char *data, std::size_t size) {
  const auto drop = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, size));
  skip_ -= drop;
  data += drop;
  size -= drop;
  if (size > blob_.size - at_) throw wrong_size("more than " + std::to_string(blob_.size));
  if (size == 0) return;
  const Clock::time_point before = Clock::now();
  pass_on(data, size);
  in_sink_ += Clock::now() - before;
  look_at_speed();
}

void Download::pass_on(const char *data, std::size_t size) {
  session_.pace().spend(size, session_.observer());
  sink_(data, size);
  at_ += size;
}

void Download::look_at_speed() {
  if (!ranges_offered_ || !ranges_work_ || blob_.size - at_ < kWorthIt) return;
  // The time that who takes the bytes needs for them is not the connection's.
  const Clock::duration took = Clock::now() - begun_ - in_sink_;
  if (took < kPatience) return;
  const double rate = static_cast<double>(at_ - begun_at_) / std::chrono::duration<double>(took).count();
  if (rate < kSlow && session_.pace().has_room()) throw Slow();
}

sdk::Error Download::wrong_size(const std::string &size) const {
  return sdk::Error(PIPE_E_MISMATCH,
                    fmt::format("{} has {} bytes, and {} are right", name_, size, blob_.size),
                    "the registry's storage is damaged, or a proxy changes what it sends");
}

}  // namespace pipes::oci
