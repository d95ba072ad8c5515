// copy: an image from anywhere to anywhere, in one pass.
#include <fmt/core.h>
#include <pipe/oci/archive.hpp>
#include <pipe/oci/copy_params.hpp>
#include <pipe/oci/pushed.hpp>
#include <pipe/oci/transfer_report.hpp>
#include <pipe/plugin.hpp>
#include <pipe/text.hpp>

#include <optional>
#include <string>
#include <vector>

#include "by_engine.hpp"

namespace {
namespace oci = pipes::oci;
using namespace pipes::sdk;
using Kind = oci::ImageName::Kind;

struct Params : oci::CopyParams {
  std::string from, to, engine;
};
struct Outputs : oci::TransferOutputs {
  std::string image, digest;
  std::int64_t referrers;
};
constexpr Schema kCopy{
    "copy", "0.1.0", "Copy an image from anywhere to anywhere, with all that belongs to it",
    std::tuple_cat(
        std::tuple{
            field(
                "from", &Params::from,
                {.help =
                     "The image: a name in a registry, oci:, oci-archive:, docker-archive: or docker-daemon:",
                 .format = "image",
                 .examples = "registry:3\nstaging.lan:5000/app@sha256:…\noci:FOLDER:NAME"}),
            field("to", &Params::to,
                  {.help = "Where to: a name of any of these kinds",
                   .format = "image",
                   .examples = "registry.lan:5000/app:1.2\noci-archive:app.tar"}),
            field(
                "engine", &Params::engine,
                {.help =
                     "For docker-daemon: docker, podman, unix://…, tcp://…; by default the one that is found",
                 .fallback = "\"\""})},
        oci::kCopyFields),
    std::tuple_cat(
        std::tuple{
            field("image", &Outputs::image, {.help = "The full name that it has there", .format = "image"}),
            field("digest", &Outputs::digest, {.help = "The digest that it has there"}),
            field("referrers", &Outputs::referrers,
                  {.help = "Signatures, SBOMs and the like that came along, or were there"})},
        oci::kTransferOutputs)};

/// One copy, as `plan` (which changes nothing) or as `run`.
class Copy {
 public:
  Copy(Run &run, const Params &params)
      : run_(run),
        p_(params),
        from_(oci::ImageName::parse(params.from)),
        to_(oci::ImageName::parse(params.to)),
        from_options_(params.from_options()),
        to_options_(params.to_options()),
        options_(params.copy_options()) {
    if (by_engine() && options_.platforms.size() > 1)
      throw Error(PIPE_E_INVALID, "an engine has images for one platform each", "give one platform, or none");
    run_.output("image", to_.str());
  }

  void plan() {
    std::optional<oci::ImageName> from = from_;
    if (by_engine()) {
      from = to_.kind == Kind::docker_daemon ? std::nullopt : copy::remembered(through_engine(), run_);
      if (!from) return run_.verdict(Verdict::unknown, fmt::format("known once {} is read", from_.str()));
    }
    const oci::CopyForecast forecast = look_ahead(*from);
    run_.output("digest", forecast.image.digest.str());
    if (forecast.unchanged()) return run_.verdict(Verdict::up_to_date, to_.str() + " is there already");
    run_.diff("digest", forecast.there ? forecast.there->digest.str() : std::string(),
              forecast.image.digest.str());
    run_.verdict(forecast.there ? Verdict::change : Verdict::create,
                 fmt::format("would copy {}: {} in {}, {} to mount, {} there already", to_.str(),
                             bytes_text(forecast.bytes), count_text(forecast.move, "blob"), forecast.mount,
                             forecast.skip));
  }

  void copy() {
    std::optional<oci::Digest> before;
    if (is_archive()) {  // written as a whole, so it is looked at before
      const oci::CopyForecast forecast = look_ahead(from_);
      if (forecast.there) before = forecast.there->digest;
      if (forecast.unchanged()) {
        report({.image = forecast.image});
        return run_.verdict(Verdict::up_to_date, to_.str() + " is there already");
      }
    }
    const auto before_change = [&](const std::optional<oci::Digest> &now, const oci::Digest &next) {
      if (is_archive()) return;
      before = now;
      if (to_.kind != Kind::registry) return;
      oci::Pushed{.name = to_.str(), .before = now ? now->str() : std::string(), .digest = next.str()}
          .remember(run_);
    };
    const oci::TransferResult result =
        by_engine() ? copy::by_engine(through_engine(), run_, before_change) : in_one_pass(before_change);
    report(result);
    // With referrers = "always" something may have come along all the same.
    const bool same = result.unchanged && result.moved == 0;
    if (same) return run_.verdict(Verdict::up_to_date, to_.str() + " is there already");
    if (before) run_.diff("digest", before->str(), result.image.digest.str());
    run_.verdict(before || result.unchanged ? Verdict::change : Verdict::create, summary(result));
  }

  void take_back() {
    run_.verdict(Verdict::up_to_date, "nothing of it is left");
    const std::optional<oci::Pushed> pushed = oci::Pushed::recall(run_, to_.str());
    if (!pushed) return;
    if (pushed->take_back(run_, to_options_)) pushed->forget(run_);
  }

 private:
  bool by_engine() const { return from_.kind == Kind::docker_daemon || to_.kind == Kind::docker_daemon; }

  bool is_archive() const {
    return !by_engine() && (to_.kind == Kind::oci_archive || to_.kind == Kind::docker_archive);
  }

  oci::TransferResult in_one_pass(const oci::BeforeChange &before_change) {
    oci::Copier copier(from_options_, to_options_, run_);
    oci::TransferResult result = copier.copy(from_, to_, options_, before_change);
    copier.finish();
    return result;
  }

  oci::CopyForecast look_ahead(const oci::ImageName &from) {
    oci::CopyForecast forecast = oci::Copier(from_options_, to_options_, run_).forecast(from, to_, options_);
    if (to_.kind == Kind::oci_archive || to_.kind == Kind::docker_archive) forecast.there = oci::peek(to_);
    return forecast;
  }

  copy::ByEngine through_engine() const {
    copy::ByEngine what{.from = from_,
                        .to = to_,
                        .from_options = from_options_,
                        .to_options = to_options_,
                        .platform = {.all = to_.kind != Kind::docker_daemon},
                        .engine = p_.engine};
    if (!options_.platforms.empty()) what.platform = {.all = false, .platform = options_.platforms.front()};
    return what;
  }

  std::string summary(const oci::TransferResult &result) const {
    std::string text = fmt::format("{} {}: {} moved ({}), {} mounted, {} there already", to_.str(),
                                   result.image.digest.brief(), count_text(result.moved, "blob"),
                                   bytes_text(result.bytes), result.mounted, result.skipped);
    if (result.referrers > 0) text += fmt::format("; with {} that refer to it", result.referrers);
    return text + "; " + oci::requests_text(result);
  }

  void report(const oci::TransferResult &result) {
    run_.output("digest", result.image.digest.str());
    run_.output("referrers", static_cast<std::int64_t>(result.referrers));
    oci::report(run_, result);
  }

  Run &run_;
  const Params &p_;
  const oci::ImageName from_, to_;
  const oci::RegistryOptions from_options_, to_options_;
  const oci::CopyOptions options_;
};

void plan(Run &run, const Params &p) {
  Copy(run, p).plan();
}
void copy_image(Run &run, const Params &p) {
  Copy(run, p).copy();
}
void undo(Run &run, const Params &p) {
  Params left = p;
  left.drop_half_logins();
  Copy(run, left).take_back();
}

}  // namespace

PIPE_PLUGIN(kCopy, Params, plan, copy_image, undo);
