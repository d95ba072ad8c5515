// config: the configuration of CNCF Distribution as a file, from parameters that are checked.
#include "settings.hpp"

#include <pipe/oci/digest.hpp>
#include <pipe/oci/inspect.hpp>
#include <pipe/oci/settings_file.hpp>
#include <pipe/oci/store.hpp>
#include <pipe/plugin.hpp>

#include <fmt/core.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace {

using namespace pipes::sdk;
using config::Params;
namespace fs = std::filesystem;
namespace oci = pipes::oci;

struct Outputs {
  std::string path, mount, digest;
  std::int64_t version;
};

constexpr Schema kConfig{
    "config", "0.1.0", "Write the configuration file of a registry (CNCF Distribution)",
    std::tuple{
        field("path", &Params::path, {.help = "The file to write"}),
        field("version", &Params::version,
              {.help = "Major version of Distribution that will read it; by default, what `image` has",
               .min = 2,
               .max = 3}),
        field("image", &Params::image,
              {.help = "Image of the store whose version of Distribution counts", .format = "image"}),
        field("owner", &Params::owner,
              {.help =
                   "Who may read the file, as the container's `user`: UID (mode 0600) or UID:GID (0640); by "
                   "default whoever runs this, which is right for registries that run as root",
               .fallback = "\"\"",
               .examples = "1000:1000\nself"}),
        field("storage", &Params::storage,
              {.help = "Where the images are kept; its own settings go into `settings`",
               .fallback = "\"filesystem\"",
               .choices = "filesystem s3 azure gcs inmemory oss swift"}),
        field(
            "delete", &Params::remove,
            {.help = "Whether images may be deleted; by default only in a pull-through cache, where what has "
                     "expired goes"}),
        field("redirect", &Params::redirect,
              {.help = "Send clients to s3, azure or gcs for the blobs, instead of handing them through",
               .fallback = "true"}),
        field("cache", &Params::cache,
              {.help = "Where sizes and types of blobs are remembered",
               .fallback = "\"inmemory\"",
               .choices = "inmemory redis none"}),
        field(
            "readonly", &Params::readonly,
            {.help = "Take no pushes and no deletions, as while garbage is collected", .fallback = "false"}),
        field("purge_uploads", &Params::purge_uploads,
              {.help = "Remove uploads that were never finished", .fallback = "true"}),
        field("purge_age", &Params::purge_age,
              {.help = "How old they are then", .min = 1000, .fallback = "\"168h\""}),
        field("purge_interval", &Params::purge_interval,
              {.help = "How often it looks for them", .min = 1000, .fallback = "\"24h\""}),
        field("htpasswd", &Params::htpasswd,
              {.help = "The registry's htpasswd file (bcrypt), where the registry sees it",
               .examples = "/auth/htpasswd"}),
        field("realm", &Params::realm,
              {.help = "What clients show when they ask for the password", .fallback = "\"registry\""}),
        field("addr", &Params::addr,
              {.help = "[HOST]:PORT that it listens on, inside its container", .fallback = "\":5000\""}),
        field("host", &Params::host,
              {.help = "URL that clients know it by, where a proxy before it changes that",
               .examples = "https://registry.lan"}),
        field("http_secret", &Params::http_secret,
              {.help = "Signs the state of uploads: the same for all registries on one storage; by default a "
                       "random "
                       "one, made once"}),
        field("relativeurls", &Params::relativeurls,
              {.help = "Answer with relative URLs: helps behind a proxy that changes host or scheme",
               .fallback = "false"}),
        field("headers", &Params::headers,
              {.help = "Headers of every answer", .fallback = R"({"X-Content-Type-Options":"nosniff"})"}),
        field(
            "tls_certificate", &Params::tls_certificate,
            {.help = "PEM file with its certificate, then the intermediate ones, where the registry sees it",
             .examples = "/certs/server.crt"}),
        field("tls_key", &Params::tls_key,
              {.help = "PEM file with the key of it", .examples = "/certs/server.key"}),
        field("tls_minimum", &Params::tls_minimum,
              {.help = "Oldest version of TLS that it speaks; its own default is tls1.2",
               .choices = "tls1.0 tls1.1 tls1.2 tls1.3"}),
        field("tls_client_cas", &Params::tls_client_cas,
              {.help = "PEM files of CAs: only clients with a certificate of one of them are let in",
               .fallback = "[]"}),
        field("debug_addr", &Params::debug_addr,
              {.help = "HOST:PORT for health, metrics and profiles; by default none of that is served",
               .examples = "127.0.0.1:5001"}),
        field("debug_public", &Params::debug_public,
              {.help = "Let `debug_addr` be one that others reach", .fallback = "false"}),
        field(
            "metrics", &Params::metrics,
            {.help = "Serve metrics for Prometheus at the debug address, as /metrics", .fallback = "false"}),
        field("proxy_remoteurl", &Params::proxy_remoteurl,
              {.help = "Be a pull-through cache of this registry; nothing can be pushed then",
               .examples = "https://registry-1.docker.io"}),
        field("proxy_username", &Params::proxy_username, {.help = "User there"}),
        field("proxy_password", &Params::proxy_password,
              {.help = "Password or token there: whoever can pull from the cache uses it. Version 2 logs in "
                       "only at "
                       "registries that hand out tokens, as Docker Hub does"}),
        field("proxy_ttl", &Params::proxy_ttl,
              {.help = "How long content stays; 0: for ever. Version 2 has 7 days, always", .min = 0}),
        field("redis", &Params::redis,
              {.help = "Redis servers, as HOST:PORT; version 2 takes one", .fallback = "[]"}),
        field("redis_password", &Params::redis_password, {.help = "Password there"}),
        field("health_storage", &Params::health_storage,
              {.help = "Answer 503 while the storage can't be read", .fallback = "true"}),
        field("health_files", &Params::health_files,
              {.help = "Answer 503 while one of these files exists", .fallback = "[]"}),
        field("health_urls", &Params::health_urls,
              {.help = "Answer 503 while one of these does not answer 200", .fallback = "[]"}),
        field("health_tcp", &Params::health_tcp,
              {.help = "Answer 503 while nothing listens at one of these HOST:PORT", .fallback = "[]"}),
        field(
            "notifications", &Params::notifications,
            {.help = "Whom to tell of pushes, pulls and deletions: a name and a URL each", .fallback = "{}"}),
        field("notification_headers", &Params::notification_headers,
              {.help = "Headers to tell them with, such as Authorization; secrets may go here",
               .fallback = "{}"}),
        field("log_level", &Params::log_level,
              {.help = "What is logged", .fallback = "\"info\"", .choices = "error warn info debug"}),
        field("log_formatter", &Params::log_formatter,
              {.help = "How", .fallback = "\"text\"", .choices = "text json logstash"}),
        field("log_access", &Params::log_access, {.help = "Log each request", .fallback = "true"}),
        field(
            "settings", &Params::settings,
            {.help = "What has no parameter here, by its place in Distribution's configuration and checked "
                     "against "
                     "what that version has; lists with commas; secrets may go here",
             .fallback = "{}",
             .examples = "{\"storage.s3.bucket\" = \"images\", \"storage.s3.region\" = \"eu-central-1\"}"})},
    std::tuple{
        field("path", &Outputs::path, {.help = "The file, as an absolute path"}),
        field("mount", &Outputs::mount,
              {.help =
                   "For `volumes` of `run`: a copy of the file that is named after its content, read-only, "
                   "where the "
                   "registry looks for it. Other settings make another copy, and `run` another container"}),
        field("digest", &Outputs::digest, {.help = "Of the content", .format = "digest"}),
        field("version", &Outputs::version, {.help = "Major version of Distribution that it is for"})}};

constexpr std::string_view kMark =
    "# Written by the step `config` of pipe. What is changed here by hand is lost at its next run.\n";

/// Where the images of each version look for their configuration.
constexpr std::string_view kPlace2 = "/etc/docker/registry/config.yml";
constexpr std::string_view kPlace3 = "/etc/distribution/config.yml";

/// What the image's command names as its configuration; nothing while the image is not in the store.
std::optional<int> version_of_image(const std::string &image) {
  const fs::path folder = oci::Store::default_path();
  if (!oci::Store::exists(folder)) return std::nullopt;
  const oci::Store store(folder);
  const auto stored = store.find(image);
  if (!stored) return std::nullopt;
  for (const oci::ImageDetails &details : oci::inspect(store, stored->descriptor, {}).images) {
    if (!details.config) continue;
    std::vector<std::string> words = details.config->entrypoint;
    words.insert(words.end(), details.config->command.begin(), details.config->command.end());
    if (std::ranges::find(words, kPlace3) != words.end()) return 3;
    if (std::ranges::find(words, kPlace2) != words.end()) return 2;
  }
  throw Error(PIPE_E_INVALID, fmt::format("{} names no configuration of Distribution in its command", image),
              "if it is a registry nevertheless, give `version`");
}

std::optional<int> version_of(const Params &p) {
  if (p.version) return static_cast<int>(*p.version);
  if (p.image) return version_of_image(*p.image);
  throw Error(PIPE_E_INVALID, "for which version of Distribution?", "give `version` (2 or 3), or `image`");
}

std::string random_secret() {
  std::array<unsigned char, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    throw Error(PIPE_E_IO, fmt::format("no random bytes: {}", std::generic_category().message(errno)));
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

constexpr std::size_t kCopyDigits = 12;

/// Every copy of that file that there is: its name, a dot, hex digits.
std::vector<fs::path> copies(const fs::path &path) {
  std::vector<fs::path> found;
  std::error_code error;
  const std::string stem = path.filename().string() + ".";
  for (const auto &entry : fs::directory_iterator(path.parent_path(), error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(stem) && name.size() == stem.size() + kCopyDigits &&
        name.find_first_not_of("0123456789abcdef", stem.size()) == std::string::npos)
      found.push_back(entry.path());
  }
  return found;
}

/// A group that is named reads it too.
oci::FileAccess access_of(const std::string &text) {
  const auto owner = oci::Owner::parse(text.empty() ? "self" : text);
  return {.mode = text.find(':') == std::string::npos ? 0600 : 0640, .owner = owner};
}

/// What is to be in the file, and what is.
struct Job {
  fs::path path;
  int version = 0;
  oci::FileAccess access;
  std::optional<std::string> current;
  config::Flat before;
  std::string content;
  bool new_secret = false;  // `content` has one that nobody gave
  bool access_differs = false;

  /// What is mounted: a container that another one takes the place of, and that has to serve again when that
  /// one does not get ready, must find the settings that it had.
  fs::path copy() const { return copy_of(content); }
  fs::path copy_of(const std::string &text) const {
    return fmt::format("{}.{}", path.string(), oci::digest_of(text).hex().substr(0, kCopyDigits));
  }
  bool up_to_date() const {
    return current == content && !access_differs && oci::read_settings(copy()) == content &&
           oci::has_access(copy(), access);
  }
};

Job job_for(const Params &p, int version) {
  Job job;
  job.path = fs::absolute(p.path.value).lexically_normal();
  job.version = version;
  job.access = access_of(p.owner);
  job.current = oci::read_settings(job.path);
  if (job.current && !job.current->starts_with(kMark))
    throw Error(PIPE_E_INVALID,
                fmt::format("{} is there, and was not written by this step", job.path.string()),
                "move it away, or write to another place with `path`");
  if (job.current) job.before = config::read(*job.current).value_or(config::Flat{});
  std::string secret;
  if (!p.http_secret) {
    const auto kept = job.before.find("http.secret");
    job.new_secret = kept == job.before.end();
    secret = job.new_secret ? random_secret() : kept->second;
  }
  job.content = std::string(kMark) + config::render(p, version, secret);
  job.access_differs = job.current && !oci::has_access(job.path, job.access);
  return job;
}

void report(Run &run, const Job &job) {
  for (const auto &[path, before, after] : config::compare(job.before, *config::read(job.content)))
    run.diff(path, before, after);
  if (job.access_differs)
    run.diff("owner", "(another owner or mode)", fmt::format("mode {:04o}", *job.access.mode));
}

void publish(Run &run, const Job &job) {
  run.output("path", job.path.string());
  run.output("version", std::int64_t{job.version});
}

/// What depends on the whole content.
void publish_content(Run &run, const Job &job) {
  run.output("mount", fmt::format("{}:{}:ro", job.copy().string(), job.version == 2 ? kPlace2 : kPlace3));
  // http.secret is in it: nobody finds a password in the file by trying which one gives this digest.
  run.output("digest", oci::digest_of(job.content).str());
}

void plan(Run &run, const Params &p) {
  const auto version = version_of(p);
  if (!version)
    return run.verdict(Verdict::unknown,
                       fmt::format("version of Distribution: known once {} is in the store", *p.image));
  const Job job = job_for(p, *version);
  report(run, job);
  publish(run, job);
  if (!job.new_secret) publish_content(run, job);
  if (job.up_to_date())
    run.verdict(Verdict::up_to_date, fmt::format("{} is as it should be", job.path.string()));
  else
    run.verdict(job.current ? Verdict::change : Verdict::create, fmt::format("write {}", job.path.string()));
}

std::string file_key(const fs::path &path) {
  return "file:" + path.string();
}

void write(Run &run, const Job &job) {
  const fs::path folder = job.path.parent_path();
  std::error_code error;
  if (!fs::exists(folder, error)) run.remember("folder:" + job.path.string(), folder.string());
  run.remember(file_key(job.path), "written");
  oci::write_settings(job.copy(), job.content, job.access);
  oci::write_settings(job.path, job.content, job.access);
  for (const fs::path &copy : copies(job.path))
    if (copy != job.copy() && (!job.current || copy != job.copy_of(*job.current))) fs::remove(copy, error);
}

void run(Run &run, const Params &p) {
  const auto version = version_of(p);
  if (!version)
    throw Error(PIPE_E_NOT_FOUND,
                fmt::format("{} is not in the store, so its version of Distribution is not known", *p.image),
                "pull it first, or give `version`");
  const Job job = job_for(p, *version);
  report(run, job);
  publish(run, job);
  publish_content(run, job);
  if (job.up_to_date())
    return run.verdict(Verdict::up_to_date, fmt::format("{} is as it should be", job.path.string()));
  write(run, job);
  run.verdict(job.current ? Verdict::change : Verdict::create,
              fmt::format("wrote {}, for Distribution {}", job.path.string(), job.version));
}

void undo(Run &run, const Params &p) {
  const fs::path path = fs::absolute(p.path.value).lexically_normal();
  if (!run.recall(file_key(path)))
    return run.verdict(Verdict::up_to_date, "there is nothing that this step made");
  const auto current = oci::read_settings(path);
  if (current && !current->starts_with(kMark)) {
    run.warn(fmt::format("{} was written by somebody else since, and stays", path.string()));
    run.forget(file_key(path));
    return run.verdict(Verdict::up_to_date, fmt::format("{} stays", path.string()));
  }
  std::error_code error;
  for (const fs::path &copy : copies(path)) fs::remove(copy, error);
  const bool removed = fs::remove(path, error);
  if (error) throw Error(PIPE_E_IO, fmt::format("can't remove {}: {}", path.string(), error.message()));
  run.forget(file_key(path));
  const std::string folder_key = "folder:" + path.string();
  if (const auto folder = run.recall(folder_key)) {
    fs::remove(*folder, error);  // stays if something else is in it
    run.forget(folder_key);
  }
  if (!removed) return run.verdict(Verdict::up_to_date, fmt::format("{} is gone already", path.string()));
  run.verdict(Verdict::remove, fmt::format("removed {}", path.string()));
}

}  // namespace

PIPE_PLUGIN(kConfig, Params, plan, run, undo);
