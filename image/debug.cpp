// `pipe debug`: how pipe understands what it is given. JSON and no secrets, so that it fits into a report.
#include "image/common.hpp"

#include <fmt/core.h>
#include <pipe/oci/auth_challenge.hpp>
#include <pipe/oci/credential_source.hpp>

#include <strings.h>

#include <fstream>
#include <string_view>

namespace pipes::image {
namespace {

/// Prints what `explain` makes of the one word; for what can't be understood, why, and ends with 1.
int answer(const Verb &verb, const Words &words, Value::Map (*explain)(const std::string &)) {
  const auto args = cli::arguments(verb, words);
  if (!args) return 0;
  const std::string &word = words_of(*args, verb, 1, 1).front();
  try {
    Value::Map result{{"valid", true}};
    for (auto &member : explain(word)) result.push_back(std::move(member));
    print_json(std::move(result));
    return static_cast<int>(Exit::done);
  } catch (const sdk::Error &error) {
    if (error.status != PIPE_E_INVALID && error.status != PIPE_E_MISMATCH) throw;
    print_json({{"valid", false}, {"problem", error.message}, {"hint", error.hint}});
    return static_cast<int>(Exit::step_failed);
  }
}

void add(Value::Map &map, const char *key, const std::string &value) {
  if (!value.empty()) map.emplace_back(key, value);
}

Value::Map explain_ref(const std::string &text) {
  using Kind = oci::ImageName::Kind;
  const oci::ImageName name = oci::ImageName::parse(text);
  const auto kind = [&] {
    switch (name.kind) {
      case Kind::registry:
        return "registry";
      case Kind::oci_layout:
        return "oci";
      case Kind::oci_archive:
        return "oci-archive";
      case Kind::docker_archive:
        return "docker-archive";
      case Kind::docker_daemon:
        break;
    }
    return "docker-daemon";
  };
  Value::Map map{{"kind", kind()}, {"name", name.str()}};
  if (name.kind == Kind::registry || name.kind == Kind::docker_daemon) {
    const oci::Reference &reference = name.reference;
    map.emplace_back("familiar", reference.familiar());
    map.emplace_back("registry", reference.registry);
    map.emplace_back("repository", reference.repository);
    add(map, "tag", reference.tag);
    add(map, "digest", reference.digest ? reference.digest->str() : "");
  }
  add(map, "path", name.path);
  add(map, "ref", name.ref);
  return map;
}

Value::Map explain_challenge(const std::string &header) {
  constexpr std::string_view kName = "www-authenticate:";  // as it is copied from a log
  const bool named =
      header.size() >= kName.size() && strncasecmp(header.c_str(), kName.data(), kName.size()) == 0;
  Value::List challenges;
  for (const oci::Challenge &challenge : oci::parse_challenges(header.substr(named ? kName.size() : 0))) {
    Value::Map params;
    for (const auto &[key, value] : challenge.params) params.emplace_back(key, value);
    challenges.emplace_back(Value::Map{{"scheme", challenge.scheme}, {"params", std::move(params)}});
  }
  if (challenges.empty())
    throw sdk::Error(
        PIPE_E_INVALID, "there is no challenge in it",
        "a WWW-Authenticate header begins with a scheme: Bearer realm=\"https://…\",service=\"…\"");
  return {{"challenges", std::move(challenges)}};
}

Value::Map explain_auth(const std::string &text) {
  const oci::Reference reference = oci::Reference::parse(text);
  Watch watch;
  const oci::CredentialSource found =
      oci::find_credential_source(reference.registry, reference.repository, watch);
  Value::Map map{{"registry", reference.registry},
                 {"repository", reference.repository},
                 {"found", !found.source.empty()}};
  add(map, "source", found.source);
  add(map, "username", found.username);
  add(map, "kind", found.kind);
  add(map, "problem", found.problem);
  return map;
}

Value::Map explain_platform(const std::string &text) {
  const oci::Platform platform = oci::Platform::parse(text), host = oci::Platform::host();
  Value::Map map{{"platform", platform.str()}, {"os", platform.os}, {"architecture", platform.architecture}};
  add(map, "variant", platform.variant);
  map.emplace_back("this_machine", host.str());
  map.emplace_back("runs_here", host.matches(platform));
  return map;
}

Value::Map explain_digest(const std::string &text) {
  const oci::Digest digest = oci::Digest::parse(text);
  return {{"digest", digest.str()},
          {"algorithm", digest.algorithm()},
          {"hex", digest.hex()},
          {"brief", digest.brief()}};
}

Value::Map explain_manifest(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(oci::kMaxManifestSize + 1, '\0');  // one more than there may be: the parser refuses that
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (file.bad() || file.gcount() == 0)
    throw Error(Exit::step_failed, fmt::format("cannot read {}, or it is empty", path), "check the path");
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  const oci::Manifest manifest = oci::parse_manifest(std::move(bytes), {});
  Value::Map map{{"digest", manifest.digest.str()},
                 {"media_type", manifest.media_type},
                 {"size", json_of(manifest.bytes.size())}};
  const auto blob = [](const oci::Descriptor &descriptor) {
    Value::Map json{{"media_type", descriptor.media_type},
                    {"digest", descriptor.digest.str()},
                    {"size", json_of(descriptor.size)}};
    if (descriptor.platform) json.emplace_back("platform", descriptor.platform->str());
    return Value(std::move(json));
  };
  const auto blobs = [&](const char *key, const std::vector<oci::Descriptor> &descriptors) {
    Value::List list;
    for (const oci::Descriptor &descriptor : descriptors) list.push_back(blob(descriptor));
    map.emplace_back(key, std::move(list));
  };
  add(map, "artifact_type", manifest.artifact_type);
  if (manifest.subject) map.emplace_back("subject", blob(*manifest.subject));
  if (manifest.config) map.emplace_back("config", blob(*manifest.config));
  manifest.is_index() ? blobs("manifests", manifest.manifests) : blobs("layers", manifest.layers);
  return map;
}

std::vector<Option> none() {
  return {};
}

}  // namespace

const Verb kRef{"debug ref",
                "NAME",
                "The parts of an image name, and its whole form",
                "Shows how a name is understood.\n\n  pipe debug ref registry:3",
                none,
                [](const Words &words) { return answer(kRef, words, explain_ref); }};

const Verb kChallenge{"debug challenge",
                      "HEADER",
                      "What a registry's WWW-Authenticate header asks for",
                      "Shows the ways to authenticate that a WWW-Authenticate header offers.\n\n"
                      "  pipe debug challenge 'Bearer realm=\"https://auth.lan/token\",service=\"lan\"'",
                      none,
                      [](const Words &words) { return answer(kChallenge, words, explain_challenge); }};

const Verb kAuth{
    "debug auth",
    "NAME",
    "Which login would be used for an image",
    "Shows where the login for an image would come from: a file, or a credential helper (which is\n"
    "asked). Never the secret itself.\n\n  pipe debug auth registry.lan:5000/app",
    none,
    [](const Words &words) { return answer(kAuth, words, explain_auth); }};

const Verb kPlatform{"debug platform",
                     "PLATFORM",
                     "The parts of a platform, and whether it runs here",
                     "Shows how a platform is understood.\n\n  pipe debug platform linux/arm64/v8",
                     none,
                     [](const Words &words) { return answer(kPlatform, words, explain_platform); }};

const Verb kDigest{
    "debug digest",
    "DIGEST",
    "Whether a digest is one",
    "Shows the parts of a digest, or what is wrong with it.\n\n  pipe debug digest sha256:e3b0c4…",
    none,
    [](const Words &words) { return answer(kDigest, words, explain_digest); }};

const Verb kManifest{
    "debug manifest",
    "FILE",
    "Whether the bytes in a file are a manifest or an index",
    "Reads a manifest or an index as it would be read from a registry: what it is, or what is wrong\n"
    "with it.\n\n  pipe debug manifest manifest.json",
    none,
    [](const Words &words) { return answer(kManifest, words, explain_manifest); }};

}  // namespace pipes::image
