// The canary through the container engine: the only way to see what the engine makes of this registry.
#include "canary_image.hpp"
#include "check.hpp"
#include "diagnosis.hpp"

#include <pipe/engine/engine.hpp>
#include <pipe/oci/engine_login.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

namespace verify {
namespace {

namespace engine = pipes::engine;

/// An engine's words for why a push or pull failed, in lower case. `{0}` stands for host:port.
struct Known {
  std::string_view words, cause, remedy;
};

constexpr Known kKnown[] = {
    {"http response to https client",
     "the engine wants TLS of {0}, and gets plain HTTP: it does not know, or ignores, that it may do without",
     "Docker: put \"{0}\" into insecure-registries in /etc/docker/daemon.json and restart it (Docker 29 with "
     "its new "
     "image store ignores that list where /etc/docker/certs.d/{0}/hosts.toml names hosts). Podman: location "
     "= \"{0}\" and "
     "insecure = true in a file in /etc/containers/registries.conf.d. Better: give the registry a "
     "certificate"},
    {"unknown authority", "the engine does not know the CA of {0}: it has a list of its own",
     "put the CA into /etc/docker/certs.d/{0}/ca.crt (Podman: /etc/containers/certs.d/{0}/ca.crt); no "
     "restart is needed"},
    {"certificate has expired", "the certificate of {0} has expired, or a clock is wrong",
     "issue a new one and restart the registry"},
    {"certificate is valid for", "the certificate of {0} is for other names",
     "issue it again with this host in subjectAltName"},
    {"any ip sans", "the certificate of {0} does not have its IP address",
     "issue it again with IP:… in subjectAltName"},
    {"certificate relies on legacy common name", "the certificate of {0} has no subjectAltName",
     "issue it again with this host in subjectAltName"},
    {"no basic auth credentials", "{0} wants a login, and none is stored for it", "log in: docker login {0}"},
    {"authentication required", "{0} wants a login, and does not take the one it got",
     "log in again: docker login {0}"},
    {"unauthorized", "{0} does not take the login it got; htpasswd files take bcrypt only",
     "log in again: docker login {0}"},
    {"413", "a proxy before the registry limits the size of a request",
     "raise it (nginx: client_max_body_size 0)"},
    {"too large", "a proxy before the registry limits the size of a request",
     "raise it (nginx: client_max_body_size 0)"},
    {"no space left", "a disk is full: the registry's or the engine's", "free some space, and look at both"},
    {"500 internal server error",
     "the registry can't write: its disk is full, or its folder does not belong to its user",
     "read its log, and check free space and owner of what is mounted at /var/lib/registry"},
    {"received unexpected http status: 5",
     "the registry fails to answer, or a proxy has no registry behind it", "read the logs of both"},
    {"denied", "the login has no right to push to {0}",
     "log in as somebody who may, or choose `canary_repository`"},
    {"unsupported", "{0} takes no uploads: it is read-only, or a pull-through cache",
     "switch storage.maintenance.readonly off and restart it; to a cache nothing can be pushed"},
    {"connection refused",
     "the engine does not reach {0}: where it runs in a virtual machine or elsewhere, localhost is another",
     "use a name that both this machine and the engine reach"},
    {"no such host", "the engine's machine does not know the name of {0}",
     "put it into DNS, or into /etc/hosts there"},
};

Result engine_failure(Result result, const sdk::Error &error, const std::string &stage,
                      const std::string &host) {
  if (error.status == PIPE_E_CANCELLED) throw error;
  std::string text = error.message;
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  result.came = fmt::format("{} failed: {}", stage, error.message);
  result.status = error.status;
  result.remedy = error.hint;
  for (const Known &known : kKnown) {
    if (text.find(known.words) == std::string::npos) continue;
    result.cause = fmt::format(fmt::runtime(known.cause), host);
    result.remedy = fmt::format(fmt::runtime(known.remedy), host);
    break;
  }
  return result;
}

/// Takes an image out of the engine, whatever happens to the rest.
class Borrowed {
 public:
  Borrowed(engine::Engine &engine, std::string name) : engine_(engine), name_(std::move(name)) {}
  Borrowed(const Borrowed &) = delete;
  Borrowed &operator=(const Borrowed &) = delete;
  ~Borrowed() {
    try {
      engine_.remove_image(name_);
    } catch (...) {  // it is the failure before this one that counts
    }
  }

 private:
  engine::Engine &engine_;
  std::string name_;
};

void load(engine::Engine &engine, const std::string &archive) {
  std::string_view rest = archive;
  engine.load(archive.size(), [&] { return std::exchange(rest, {}); });
}

/// What was pushed goes again. It has another digest than what was loaded: engines compress layers.
void remove_from_registry(Target &target, const std::string &tag) {
  const auto served = target.registry.head_manifest(target.canary_repository, tag);
  if (served) target.registry.delete_manifest(target.canary_repository, served->digest.str());
}

}  // namespace

Result check_engine(Target &target) {
  const std::string &host = target.registry.host();
  Result result{.check = "engine", .asked = fmt::format("the engine to push to {} and pull again", host)};
  std::string stage = "finding an engine", pushed;  // the tag, once something may have it
  try {
    auto engine = engine::Engine::connect(target.engine, target.observer);
    const std::string nonce = random_nonce();
    const CanaryImage canary = make_canary(nonce, nonce, target.canary_size);
    const bool deletes = can_delete(target, canary.manifest.digest.str());
    const std::string tag = deletes ? "canary-" + nonce : "canary";
    const std::string name = fmt::format("{}/{}:{}", host, target.canary_repository, tag);
    result.asked =
        fmt::format("{} {} to push and pull {}", engine.version().name, engine.version().version, name);
    const std::string login =
        oci::engine_login(host, target.canary_repository, target.options, target.observer);

    stage = "loading it";
    load(engine, canary_archive(canary, name));
    const Borrowed borrowed(engine, name);
    const auto loaded = engine.image(name);
    stage = "the push";
    if (deletes) pushed = tag;
    engine.push_image(name, login, !target.options.insecure);
    engine.remove_image(name);
    stage = "the pull";
    engine.pull_image(name, login, !target.options.insecure);
    const auto pulled = engine.image(name);
    if (!pulled || !loaded || pulled->layers != loaded->layers)
      throw sdk::Error(PIPE_E_MISMATCH, fmt::format("{} came back changed", name));
    result.came = "the same layers";
    if (deletes) {
      stage = "deleting it";
      remove_from_registry(target, std::exchange(pushed, {}));
    } else {
      result.came += fmt::format("; {} stays there", name);
    }
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_CANCELLED && !pushed.empty()) {
      try {
        remove_from_registry(target, pushed);
      } catch (const sdk::Error &) {  // the first failure says more
      }
    }
    return engine_failure(std::move(result), error, stage, host);
  }
  return result;
}

}  // namespace verify
