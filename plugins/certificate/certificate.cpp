// certificate: a certificate that clients take, of a CA of this machine's own, or one that is brought.
#include <fmt/core.h>
#include <pipe/oci/settings_file.hpp>
#include <pipe/plugin.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "check.hpp"
#include "x509.hpp"

namespace {
using namespace certificate;
using namespace pipes::sdk;
namespace oci = pipes::oci;
namespace fs = std::filesystem;

struct Params {
  std::vector<std::string> names;
  std::optional<Path> folder, authority;
  std::string cert, key, ca, owner;  // empty: none, as a variable of a pipeline may be
  Duration renew_before{};
  std::int64_t days = 0;
};
struct Outputs {
  std::string ca, cert, key, folder, fingerprint, expires;
  std::int64_t days_left;
};
constexpr Schema kCertificate{
    "certificate", "0.1.0", "Make a TLS certificate of a local CA, or check one that is brought",
    std::tuple{
        field("names", &Params::names,
              {.help = "What clients call the server: DNS names and IP addresses; a port is left out",
               .examples = "registry.lan\n10.0.0.7\nlocalhost:5000"}),
        field("folder", &Params::folder,
              {.help =
                   "Where ca.crt, ca.key and tls/ are kept; tls/ has server.crt and server.key, and is what "
                   "a server is given",
               .examples = "/etc/pipe/registry"}),
        field("authority", &Params::authority,
              {.help =
                   "The folder of the CA, where several certificates are to have one; by default `folder`"}),
        field("cert", &Params::cert,
              {.help = "A certificate that you bring (PEM; intermediates after it): it is checked, and with "
                       "`folder` put there",
               .format = "path",
               .fallback = "\"\""}),
        field("key", &Params::key,
              {.help = "Its key (PEM, without a passphrase)", .format = "path", .fallback = "\"\""}),
        field("ca", &Params::ca,
              {.help = "Its CA (PEM); by default those that this machine trusts",
               .format = "path",
               .fallback = "\"\""}),
        field("days", &Params::days,
              {.help = "How long a new certificate is good; clients refuse more than 825",
               .min = 1,
               .max = 825,
               .fallback = "397"}),
        field("renew_before", &Params::renew_before,
              {.help = "Make a new one when less than this is left; of one that is brought, an error",
               .min = 0,
               .fallback = "\"30d\""}),
        field("owner", &Params::owner,
              {.help =
                   "uid[:gid] that the server runs as and its key belongs to, or `self`; by default whoever "
                   "runs this",
               .fallback = "\"\"",
               .examples = "1000:1000"})},
    std::tuple{
        field("ca", &Outputs::ca,
              {.help = "File of the CA's certificate, for clients; empty where they know it already"}),
        field("cert", &Outputs::cert,
              {.help = "File of the certificate, with all that clients need after it"}),
        field("key", &Outputs::key, {.help = "File of its key"}),
        field("folder", &Outputs::folder, {.help = "The folder of both, to be mounted read-only"}),
        field(
            "fingerprint", &Outputs::fingerprint,
            {.help = "SHA-256 of the certificate. A server reads its certificate when it starts: give it to "
                     "`run` as a label, and a new certificate gets a new container"}),
        field("expires", &Outputs::expires, {.help = "The day it ends, as 2027-11-24"}),
        field("days_left", &Outputs::days_left, {.help = "Whole days until then"})}};

constexpr Days kAuthorityLife{3650};
constexpr mode_t kSecret = 0600, kPublic = 0644, kFolder = 0755;

std::string given(const std::optional<Path> &path) {
  return path ? path->value : std::string();
}

std::vector<Host> hosts_of(const Params &params) {
  std::vector<Host> hosts;
  for (const std::string &name : params.names) {
    Host host = Host::parse(name);
    const auto same = [&](const Host &other) { return other.name == host.name; };
    if (std::ranges::none_of(hosts, same)) hosts.push_back(std::move(host));
  }
  if (hosts.empty())
    throw Error(PIPE_E_INVALID, "`names` is empty",
                "say what clients call the server: registry.lan, 10.0.0.7");
  return hosts;
}

std::vector<std::string> sorted_names(const std::vector<Host> &hosts) {
  std::vector<std::string> names;
  for (const Host &host : hosts) names.push_back(host.name);
  std::ranges::sort(names);
  return names;
}

std::string list_of(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// A file that is to be there.
struct File {
  fs::path path;
  std::string content;
  oci::FileAccess access;
};

/// One step, as `plan` or as `run`.
class Work {
 public:
  Work(Run &run, const Params &params, bool planning)
      : run_(run), params_(params), planning_(planning), hosts_(hosts_of(params)) {
    if (!given(params.folder).empty()) folder_ = fs::absolute(params.folder->value).lexically_normal();
    authority_ =
        given(params.authority).empty() ? folder_ : fs::absolute(params.authority->value).lexically_normal();
    secret_ = {.mode = kSecret, .owner = oci::Owner::parse(params.owner)};
    public_ = {.mode = kPublic, .owner = secret_.owner};
    const bool cert = !params.cert.empty(), key = !params.key.empty();
    if (cert != key)
      throw Error(PIPE_E_INVALID, cert ? "`cert` is given without `key`" : "`key` is given without `cert`",
                  "give both, or neither: then one is made");
    if (!cert && !params.ca.empty())
      throw Error(PIPE_E_INVALID, "`ca` is given without `cert` and `key`",
                  "a CA of your own is used from the folder `authority`: ca.crt and ca.key");
    brought_ = cert;
    if (!brought_ && folder_.empty())
      throw Error(PIPE_E_INVALID, "there is no `folder` to keep the certificate in",
                  "give `folder`, or bring `cert` and `key`");
    if (!brought_ && params.renew_before >= Days(params.days))
      throw Error(PIPE_E_INVALID, "`renew_before` is not less than `days`: it would be renewed each time",
                  "make `days` longer, or `renew_before` shorter");
  }

  void go() { brought_ ? take_brought() : keep_own(); }

 private:
  fs::path tls() const { return folder_ / "tls"; }
  fs::path cert_file() const { return tls() / "server.crt"; }
  fs::path key_file() const { return tls() / "server.key"; }
  std::chrono::seconds renew_before() const {
    return std::chrono::duration_cast<std::chrono::seconds>(params_.renew_before);
  }

  void take_brought() {
    Given all{.cert_file = params_.cert, .key_file = params_.key, .ca_file = params_.ca};
    const std::string chain = must_read(all.cert_file), key = must_read(all.key_file);
    all.chain = Certificate::parse(chain);
    all.key = Key::parse(key, all.key_file);
    if (!all.ca_file.empty()) {
      all.roots = Certificate::parse(must_read(all.ca_file));
      if (all.roots.empty())
        throw Error(PIPE_E_INVALID, fmt::format("{} holds no certificate in PEM format", all.ca_file),
                    "name the CA's certificate");
    }
    throw_if_any(problems_of(all, hosts_, renew_before()));
    const Certificate &leaf = all.chain.front();
    if (folder_.empty()) {
      output(leaf, fs::absolute(all.cert_file), fs::absolute(all.key_file), absolute_ca());
      return run_.verdict(Verdict::up_to_date, summary(leaf));
    }
    // Both through our own parser: what else is in the files is not handed on.
    std::string pem;
    for (const Certificate &certificate : all.chain) pem += certificate.pem();
    const auto before = current_leaf();
    const bool same = before && before->fingerprint() == leaf.fingerprint();
    if (!same) run_.diff("certificate", before ? before->fingerprint() : "", leaf.fingerprint());
    install({{key_file(), all.key->pem(), secret_}, {cert_file(), pem, public_}}, leaf, before.has_value());
  }

  static std::string must_read(const std::string &file) {
    const auto text = oci::read_settings(file);
    if (text) return *text;
    throw Error(PIPE_E_NOT_FOUND, fmt::format("there is no file {}", file), "name the certificate's files");
  }

  void throw_if_any(const std::vector<Problem> &problems) const {
    if (problems.empty()) return;
    if (problems.size() == 1) throw Error(PIPE_E_MISMATCH, problems.front().what, problems.front().remedy);
    std::string text = fmt::format("{} has {} faults", params_.cert, problems.size()), remedy;
    for (const Problem &problem : problems) {
      text += "\n" + problem.what;
      remedy += (remedy.empty() ? "" : "\n") + problem.remedy;
    }
    throw Error(PIPE_E_MISMATCH, text, remedy);
  }

  std::string absolute_ca() const {
    return params_.ca.empty() ? std::string() : fs::absolute(params_.ca).string();
  }

  struct Authority {
    Certificate certificate;
    std::optional<Key> key;
    bool is_new = false;
  };

  fs::path ca_file() const { return authority_ / "ca.crt"; }
  fs::path ca_key_file() const { return authority_ / "ca.key"; }

  void keep_own() {
    const Authority authority = find_authority();
    const auto before = current_leaf();
    const std::string reason = why_new(authority, before);
    std::vector<File> files;
    if (authority.is_new) {
      files.push_back({ca_key_file(), authority.key->pem(), {.mode = kSecret, .owner = {}}});
      files.push_back({ca_file(), authority.certificate.pem(), {.mode = kPublic, .owner = {}}});
    }
    if (reason.empty()) {
      files.push_back({key_file(), *oci::read_settings(key_file()), secret_});
      files.push_back({cert_file(), *oci::read_settings(cert_file()), public_});
      return install(files, *before, true);
    }
    run_.diff("certificate", before ? list_of(before->names()) : "",
              fmt::format("{}: {}", list_of(sorted_names(hosts_)), reason));
    if (planning_)
      return run_.verdict(
          before ? Verdict::change : Verdict::create,
          fmt::format("would make a certificate for {}: {}", list_of(sorted_names(hosts_)), reason));
    if (!authority.key)
      throw Error(PIPE_E_NOT_FOUND,
                  fmt::format("a certificate has to be made ({}), and the CA {} has no key {}", reason,
                              ca_file().string(), ca_key_file().string()),
                  "put the key back there; or take ca.crt away, and a new CA is made that clients have to be "
                  "told of");
    const Key key = Key::make();
    const Certificate leaf =
        Certificate::server(hosts_, key, authority.certificate, *authority.key, Days(params_.days));
    files.push_back({key_file(), key.pem(), secret_});
    files.push_back({cert_file(), leaf.pem() + authority.certificate.pem(), public_});
    install(files, leaf, before.has_value());
  }

  Authority find_authority() {
    const auto text = oci::read_settings(ca_file());
    if (!text) return new_authority();
    const std::vector<Certificate> found = Certificate::parse(*text);
    if (found.empty() || !found.front().is_authority())
      throw Error(PIPE_E_INVALID, fmt::format("{} holds no CA certificate", ca_file().string()),
                  "correct it, or take it away, and a new CA is made");
    if (found.front().end() - Clock::now() < renew_before() + Days(1)) {
      run_.warn(
          fmt::format("the CA {} ends on {}, so a new one takes its place; clients have to be told of it",
                      ca_file().string(), date_text(found.front().end())));
      return new_authority();
    }
    const auto key_text = oci::read_settings(ca_key_file());
    std::optional<Key> key;
    if (key_text) key = Key::parse(*key_text, ca_key_file().string());
    if (key_text && !key)
      throw Error(PIPE_E_INVALID,
                  fmt::format("the CA's key {} holds no private key in PEM format", ca_key_file().string()),
                  "put the right one back; or take ca.crt away, too, and a new CA is made");
    if (key && !found.front().has(*key))
      throw Error(PIPE_E_MISMATCH,
                  fmt::format("the key {} does not belong to {}", ca_key_file().string(), ca_file().string()),
                  "put the right one back; or take both away, and a new CA is made");
    return {found.front(), std::move(key)};
  }

  static Authority new_authority() {
    std::array<char, 256> host{};
    gethostname(host.data(), host.size() - 1);
    Key key = Key::make();
    // A common name has 64 characters at most; the date tells it from the one before.
    const std::string name = fmt::format("pipe registry CA {} {}", std::string(host.data()).substr(0, 32),
                                         date_text(Clock::now()));
    Certificate certificate = Certificate::authority(name, key, kAuthorityLife);
    return {std::move(certificate), std::move(key), true};
  }

  std::optional<Certificate> current_leaf() const {
    const auto text = oci::read_settings(cert_file());
    if (!text) return std::nullopt;
    std::vector<Certificate> chain = Certificate::parse(*text);
    if (chain.empty()) return std::nullopt;
    return chain.front();
  }

  /// Empty: the one that is there does.
  std::string why_new(const Authority &authority, const std::optional<Certificate> &leaf) const {
    if (authority.is_new) return leaf ? "there is a new CA" : "there is none yet";
    if (!leaf) return "there is none yet";
    if (leaf->end() <= Clock::now()) return "it expired on " + date_text(leaf->end());
    if (leaf->end() - Clock::now() < renew_before())
      return fmt::format("it ends on {}", date_text(leaf->end()));
    if (!leaf->signed_by(authority.certificate)) return "it is of another CA";
    if (leaf->names() != sorted_names(hosts_)) return "it has other names";
    const auto text = oci::read_settings(key_file());
    const auto key = text ? Key::parse(*text, key_file().string()) : std::nullopt;
    if (!key) return "its key is gone";
    return leaf->has(*key) ? "" : "its key is another one's";
  }

  void install(const std::vector<File> &files, const Certificate &leaf, bool existed) {
    bool changed = false;
    for (const File &file : files) {
      const bool same = oci::read_settings(file.path) == file.content;
      if (same && oci::has_access(file.path, file.access)) continue;
      changed = true;
      if (same) run_.diff(file.path.string(), "another mode or owner", "as asked for");
      if (planning_) continue;
      if (same) {
        oci::set_access(file.path, file.access);
        continue;
      }
      const fs::path folder = file.path.parent_path();
      std::error_code error;
      if (!fs::exists(folder, error)) {
        run_.remember("data folder " + folder.string(), "made");
        oci::make_folder(folder, {.mode = kFolder, .owner = {}});
      }
      if (!fs::exists(file.path, error)) run_.remember("data file " + file.path.string(), "made");
      oci::write_settings(file.path, file.content, file.access);
    }
    if (!changed || !planning_)
      output(leaf, cert_file(), key_file(), brought_ ? absolute_ca() : ca_file().string());
    const Verdict verdict = !changed ? Verdict::up_to_date : existed ? Verdict::change : Verdict::create;
    run_.verdict(verdict, summary(leaf));
  }

  void output(const Certificate &leaf, const fs::path &cert, const fs::path &key, const std::string &ca) {
    run_.output("ca", ca);
    run_.output("cert", cert.string());
    run_.output("key", key.string());
    run_.output("folder", cert.parent_path().string());
    run_.output("fingerprint", leaf.fingerprint());
    run_.output("expires", date_text(leaf.end()));
    run_.output("days_left", days_left(leaf));
  }

  static std::int64_t days_left(const Certificate &leaf) {
    return std::chrono::duration_cast<Days>(leaf.end() - Clock::now()).count();
  }

  std::string summary(const Certificate &leaf) const {
    return fmt::format("certificate for {} is good for {} days", list_of(sorted_names(hosts_)),
                       days_left(leaf));
  }

  Run &run_;
  const Params &params_;
  const bool planning_;
  const std::vector<Host> hosts_;
  fs::path folder_, authority_;
  oci::FileAccess secret_, public_;
  bool brought_ = false;
};

void plan(Run &run, const Params &params) {
  Work(run, params, true).go();
}
void make(Run &run, const Params &params) {
  Work(run, params, false).go();
}

/// A certificate is data: a new CA would have to be told to every client.
void undo(Run &run, const Params &params) {
  run.verdict(Verdict::up_to_date, "certificates stay");
  if (!run.undo_data() || given(params.folder).empty()) return;
  const fs::path folder = fs::absolute(params.folder->value).lexically_normal();
  const fs::path authority =
      given(params.authority).empty() ? folder : fs::absolute(params.authority->value).lexically_normal();
  const fs::path tls = folder / "tls";
  std::string removed;
  std::error_code error;
  for (const fs::path &file :
       {tls / "server.crt", tls / "server.key", authority / "ca.crt", authority / "ca.key"}) {
    if (!run.recall("data file " + file.string())) continue;
    if (fs::remove(file, error)) removed += (removed.empty() ? "" : ", ") + file.string();
    if (error) throw Error(PIPE_E_IO, fmt::format("can't remove {}: {}", file.string(), error.message()));
    run.forget("data file " + file.string());
  }
  for (const fs::path &made : {tls, authority, folder}) {
    if (!run.recall("data folder " + made.string())) continue;
    fs::remove(made, error);  // stays where somebody else keeps something in it
    run.forget("data folder " + made.string());
  }
  if (!removed.empty()) run.verdict(Verdict::remove, "removed " + removed);
}

}  // namespace

PIPE_PLUGIN(kCertificate, Params, plan, make, undo);
