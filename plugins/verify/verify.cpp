// verify: asks the registry itself, and says what it asked, what came and why it may be so.
#include "check.hpp"

#include <pipe/oci/params.hpp>
#include <pipe/oci/place.hpp>
#include <pipe/plugin.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

namespace {

using namespace pipes::sdk;
using verify::Result;
using verify::Target;

struct Params : pipes::oci::RegistryParams {
  std::optional<std::string> registry, image, digest, container, engine;
  std::vector<std::string> checks;
  std::string canary_repository;
  Bytes canary_size, min_free;
  std::optional<std::string> data;
  Duration min_validity{};
  std::optional<Path> report_file;
};

struct Outputs {
  std::string report, digest;
};

constexpr Schema kVerify{
    "verify", "0.1.0", "Check that a registry, an image in it and its container are as they should be",
    std::tuple_cat(
        std::tuple{
            field("registry", &Params::registry,
                  {.help = "Registry as host[:port]; by default the one that `image` names",
                   .examples = "localhost:5000"}),
            field("image", &Params::image, {.help = "Image that the registry must have", .format = "image"}),
            field("digest", &Params::digest, {.help = "Digest that `image` must have", .format = "digest"}),
            field(
                "checks", &Params::checks,
                {.help =
                     "What to check; by default `api`, `image` if one is given, `container` if one is given",
                 .fallback = "[]",
                 .choices = "api auth tls image content canary engine storage config container"}),
            field("container", &Params::container,
                  {.help = "Container that must run, as its engine names it"}),
            field("engine", &Params::engine,
                  {.help = "Container engine: docker, podman, or its address; by default the one `run` would "
                           "take"}),
            field("canary_repository", &Params::canary_repository,
                  {.help = "Repository that the canary is pushed to", .fallback = "\"pipe-canary\""}),
            field("canary_size", &Params::canary_size,
                  {.help = "Size of its layer: as much as a proxy or a disk must take; nginx refuses more "
                           "than 1 MiB "
                           "unless it is told not to",
                   .min = 0,
                   .max = 1LL << 30,
                   .fallback = "\"2MiB\""}),
            field("data", &Params::data,
                  {.help = "Where the images are, for the check `storage`: a folder or a named volume; by "
                           "default what "
                           "`container` mounts at /var/lib/registry",
                   .examples = "registry-data\n/srv/registry"}),
            field("min_free", &Params::min_free,
                  {.help = "How much room must be left there", .min = 0, .fallback = "\"1GiB\""}),
            field("min_validity", &Params::min_validity,
                  {.help = "How long the certificate must still last", .min = 0, .fallback = "\"14d\""}),
            field("report_file", &Params::report_file,
                  {.help = "A file to write the report to, whether the checks pass or not: .json, .xml "
                           "(JUnit) or .txt",
                   .examples = "verify.xml"})},
        pipes::oci::kRegistryFields),
    std::tuple{field("report", &Outputs::report,
                     {.help = "JSON: for each check what was asked, what came, cause and remedy"}),
               field("digest", &Outputs::digest, {.help = "Digest of `image` as the registry serves it"})}};

/// Parameters that have been read and agree with each other.
struct Job {
  std::vector<std::string> checks;
  std::string registry;  // empty: only a container is checked
  std::optional<pipes::oci::Reference> image;
  std::optional<pipes::oci::Digest> digest;

  bool asks(std::string_view check) const { return std::ranges::find(checks, check) != checks.end(); }
  bool asks_registry() const {
    return std::ranges::any_of(checks,
                               [](const std::string &c) { return c != "container" && c != "storage"; });
  }
};

pipes::oci::Reference image_in_registry(const std::string &text) {
  const auto name = pipes::oci::ImageName::parse(text);
  if (name.kind == pipes::oci::ImageName::Kind::registry) return name.reference;
  throw Error(PIPE_E_INVALID, fmt::format("{} is not in a registry", text),
              "`verify` asks registries; give the name the image was pushed to");
}

/// host[:port] as names are normalised, so that it can be compared with an image's.
std::string registry_host(const std::string &text) {
  if (text.empty() || text.find('/') != std::string::npos) {
    throw Error(PIPE_E_INVALID, fmt::format("\"{}\" is no registry", text),
                "give host or host:port, without a scheme and a path");
  }
  return text == "index.docker.io" || text == "registry-1.docker.io" ? "docker.io" : text;
}

std::vector<std::string> default_checks(const Params &p) {
  std::vector<std::string> checks;
  if (p.registry || p.image) checks.emplace_back("api");
  if (p.image) checks.emplace_back("image");
  if (p.container) checks.emplace_back("container");
  return checks;
}

void require(const Job &job, std::initializer_list<std::string_view> checks, bool given,
             std::string_view param) {
  for (const std::string_view check : checks) {
    if (given || !job.asks(check)) continue;
    throw Error(PIPE_E_INVALID, fmt::format("check \"{}\" needs the parameter \"{}\"", check, param),
                fmt::format("give `{}`, or leave \"{}\" out of `checks`", param, check));
  }
}

Job read(const Params &p) {
  Job job;
  job.checks = p.checks.empty() ? default_checks(p) : p.checks;
  if (job.checks.empty()) {
    throw Error(PIPE_E_INVALID, "there is nothing to verify", "give `registry`, `image` or `container`");
  }
  if (p.image) job.image = image_in_registry(*p.image);
  if (p.registry) job.registry = registry_host(*p.registry);
  if (job.image && job.registry.empty()) job.registry = job.image->registry;
  if (job.image && job.image->registry != job.registry) {
    throw Error(
        PIPE_E_INVALID,
        fmt::format("image {} is in registry {}, not in {}", *p.image, job.image->registry, job.registry),
        fmt::format("write the image's full name, {}/{}, or leave `registry` out", job.registry, *p.image));
  }
  if (p.digest) job.digest = pipes::oci::Digest::parse(*p.digest);
  require(job, {"image", "content"}, p.image.has_value(), "image");
  require(job, {"api", "auth", "tls", "canary", "engine", "config"}, !job.registry.empty(), "registry");
  require(job, {"storage"}, p.data || p.container, "data");
  if (p.report_file) verify::check_report_name(p.report_file->value);
  require(job, {"container"}, p.container.has_value(), "container");
  if (job.digest && !job.asks("image") && !job.asks("content")) {
    throw Error(PIPE_E_INVALID, "a digest is given, but no check looks at it", "add \"image\" to `checks`");
  }
  return job;
}

std::string what_is_checked(const Job &job, const Params &p) {
  if (!job.asks_registry()) return p.container ? *p.container : *p.data;
  return job.image ? job.image->familiar() : job.registry;
}

std::string list_of(const std::vector<std::string> &checks) {
  std::string text;
  for (const std::string &check : checks) text += (text.empty() ? "" : ", ") + check;
  return text;
}

/// Says at once what a check found; of a failure, the error at the end says more.
void tell(Run &run, const Result &result) {
  if (!result.ok()) {
    run.info(fmt::format("{}: failed", result.check));
  } else if (!result.cause.empty()) {
    run.warn(fmt::format("{}: {}: {}; {}", result.check, result.came, result.cause, result.remedy));
  } else {
    run.info(fmt::format("{}: {}: {}", result.check, result.asked, result.came));
  }
}

/// A check that would only meet again what the check of the API met.
Result not_asked(const std::string &check, pipe_status why) {
  return {.check = check, .asked = {}, .came = {}, .cause = "the check \"api\" failed", .status = why};
}

std::vector<Result> check_registry(Run &run, const Params &p, const Job &job) {
  // As registries.conf has it, but no mirror: the registry itself is asked.
  const auto [place, options] = pipes::oci::place_of(
      job.image ? *job.image : pipes::oci::Reference::parse(job.registry + "/" + p.canary_repository),
      p.registry_options());
  pipes::oci::Registry registry(place.registry, options, run);
  Target target{.registry = registry,
                .observer = run,
                .image = job.image ? std::optional(place) : std::nullopt,
                .digest = job.digest,
                .canary_repository = p.canary_repository,
                .canary_size = static_cast<std::size_t>(p.canary_size.value),
                .options = p.registry_options(),
                .container = p.container.value_or(""),
                .engine = p.engine.value_or("")};
  const int days = static_cast<int>(std::chrono::duration_cast<std::chrono::days>(p.min_validity).count());
  const auto tls = [days](Target &to) { return verify::check_tls(to, days); };
  const std::pair<std::string, std::function<Result(Target &)>> all[] = {
      {"api", verify::check_api},       {"auth", verify::check_auth},       {"tls", tls},
      {"image", verify::check_image},   {"content", verify::check_content}, {"canary", verify::check_canary},
      {"engine", verify::check_engine}, {"config", verify::check_config}};
  std::vector<Result> results;
  pipe_status api = PIPE_OK;
  for (const auto &[name, check] : all) {
    if (!job.asks(name)) continue;
    run.check_cancelled();
    results.push_back(api == PIPE_OK ? check(target) : not_asked(name, api));
    tell(run, results.back());
    if (name == "api") api = results.back().status;
  }
  if (target.tree) run.output("digest", target.tree->root.digest.str());
  return results;
}

void plan(Run &run, const Params &p) {
  const Job job = read(p);
  run.verdict(Verdict::up_to_date, fmt::format("changes nothing; will check {} of {}", list_of(job.checks),
                                               what_is_checked(job, p)));
}

void run(Run &run, const Params &p) {
  const Job job = read(p);
  std::vector<Result> results;
  if (job.asks_registry()) results = check_registry(run, p, job);
  if (job.asks("container")) {
    results.push_back(verify::check_container(*p.container, p.engine.value_or(""), job.registry, run));
    tell(run, results.back());
  }
  if (job.asks("storage")) {
    results.push_back(verify::check_storage(p.data.value_or(""), p.container.value_or(""),
                                            p.engine.value_or(""),
                                            static_cast<std::uint64_t>(p.min_free.value), run));
    tell(run, results.back());
  }
  if (p.report_file) verify::write_report(p.report_file->value, results, what_is_checked(job, p));
  run.output("report", verify::report_json(results));
  verify::throw_failures(results, what_is_checked(job, p));
  run.verdict(Verdict::up_to_date, fmt::format("{} passed {}", what_is_checked(job, p), list_of(job.checks)));
}

}  // namespace

PIPE_PLUGIN(kVerify, Params, plan, run, nullptr);
