// trust: a registry's CA, and a mirror of Docker Hub, told to the engines of this machine.
#include <fmt/core.h>
#include <pipe/oci/settings_file.hpp>
#include <pipe/plugin.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <system_error>

#include "daemon_json.hpp"
#include "dockerd.hpp"
#include "edits.hpp"
#include "engines.hpp"

namespace {
using namespace trust;
using namespace pipes::sdk;
namespace oci = pipes::oci;

struct Params {
  std::string registry, ca, mirror, engine = "docker";
  std::optional<Path> root;
  std::vector<std::string> engines;
  bool insecure = false, reload = true;
};
struct Outputs {
  std::vector<std::string> engines, files;
};
constexpr Schema kTrust{
    "trust", "0.1.0", "Make this machine's engines trust a registry, or use a mirror of Docker Hub",
    std::tuple{
        field("registry", &Params::registry,
              {.help = "host[:port], as in names of images",
               .fallback = "\"\"",
               .examples = "registry.lan:5000"}),
        field(
            "ca", &Params::ca,
            {.help = "The CA (PEM) that its certificate is signed by", .format = "path", .fallback = "\"\""}),
        field(
            "insecure", &Params::insecure,
            {.help = "Let the engines speak plain http to it, or take a certificate that nobody vouches for",
             .fallback = "false"}),
        field("mirror", &Params::mirror,
              {.help = "A pull-through cache that is asked before Docker Hub: http(s)://host[:port]",
               .fallback = "\"\"",
               .examples = "http://localhost:5001"}),
        field("engines", &Params::engines,
              {.help = "docker, podman, containerd; by default those that seem to be installed",
               .fallback = "[]"}),
        field("reload", &Params::reload,
              {.help = "Tell dockerd to read daemon.json again where that was changed, and put it back where "
                       "that does not work",
               .fallback = "true"}),
        field("engine", &Params::engine,
              {.help = "How that dockerd is reached: docker, or unix:///path", .fallback = "\"docker\""}),
        field(
            "root", &Params::root,
            {.help = "The folder that has etc/ and run/, of a machine that is being set up from outside; by "
                     "default /, and the settings of its own for a user who is not root"})},
    std::tuple{field("engines", &Outputs::engines, {.help = "The engines that were told"}),
               field("files", &Outputs::files, {.help = "The files that say it"})}};

fs::path config_home() {
  const auto variable = [](const char *name) {
    const char *value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (const std::string set = variable("XDG_CONFIG_HOME"); !set.empty()) return set;
  return fs::path(variable("HOME")) / ".config";
}

/// Podman and rootless Docker have a user's settings; Docker's own are root's.
Places places_of(const Params &params) {
  Places places;
  places.root = params.root ? fs::path(params.root->value) : fs::path("/");
  const fs::path etc = places.root / "etc";
  places.docker = etc / "docker";
  places.containers = etc / "containers";
  places.containerd = etc / "containerd";
  if (params.root || geteuid() == 0) return places;
  places.containers = config_home() / "containers";
  std::error_code error;
  if (fs::exists(config_home() / "docker", error)) places.docker = config_home() / "docker";
  return places;
}

void check_host(const std::string &host, std::string_view what) {
  if (host.empty() || host.find_first_of("/@?# \t\"") != std::string::npos)
    throw Error(PIPE_E_INVALID, fmt::format("\"{}\" is no {}", host, what),
                "give host or host:port, without a scheme and a path");
}

Wanted read(const Params &params) {
  Wanted wanted{.registry = params.registry, .ca = {}, .mirror = params.mirror, .insecure = params.insecure};
  while (wanted.mirror.ends_with('/')) wanted.mirror.pop_back();
  if (!wanted.registry.empty()) check_host(wanted.registry, "registry");
  if (!params.ca.empty()) {
    const auto pem = oci::read_settings(params.ca);
    if (!pem || pem->find("-----BEGIN CERTIFICATE-----") == std::string::npos)
      throw Error(
          PIPE_E_INVALID,
          fmt::format("{} {}", params.ca, pem ? "holds no certificate in PEM format" : "is not there"),
          "name the file of the CA; the step certificate makes one");
    if (pem->find("PRIVATE KEY-----") != std::string::npos)
      throw Error(PIPE_E_INVALID,
                  fmt::format("{} holds a private key, which engines must not be given", params.ca),
                  "name a file that has the certificate alone");
    wanted.ca = *pem;
  }
  if (wanted.registry.empty() && (!wanted.ca.empty() || wanted.insecure))
    throw Error(PIPE_E_INVALID, "`ca` and `insecure` are about a registry, and `registry` is not given",
                "give `registry`, such as registry.lan:5000");
  if (!wanted.ca.empty() && wanted.insecure)
    throw Error(PIPE_E_INVALID, "`insecure` takes any certificate, so `ca` would be for nothing",
                "leave one of them out");
  if (!wanted.mirror.empty()) {
    if (!wanted.mirror.starts_with("http://") && !wanted.mirror.starts_with("https://"))
      throw Error(PIPE_E_INVALID, fmt::format("the mirror \"{}\" has no scheme", wanted.mirror),
                  "write http:// or https:// before it");
    check_host(wanted.mirror_host(), "mirror: Docker takes no path, no query and no password in it");
  }
  return wanted;
}

std::vector<Setting> daemon_settings(const Wanted &wanted) {
  std::vector<Setting> settings;
  if (wanted.insecure) settings.push_back({"insecure-registries", wanted.registry});
  if (!wanted.mirror.empty()) settings.push_back({"registry-mirrors", wanted.mirror});
  return settings;
}

fs::path daemon_json(const Places &places, const std::optional<Dockerd> &dockerd) {
  const auto named = dockerd ? dockerd->option("--config-file") : std::nullopt;
  return named ? fs::path(*named) : places.docker / "daemon.json";
}

fs::path backup_of(const fs::path &daemon_json) {
  return daemon_json.string() + ".pipe-backup";
}
std::string note_of_backup(const fs::path &daemon_json) {
  return "file " + backup_of(daemon_json).string();
}

/// Throws PIPE_E_DENIED where this user could not make that edit.
void require_writable(const Edit &edit) {
  if (!edit.needed()) return;
  std::error_code error;
  fs::path folder = edit.path.parent_path();  // a file is replaced as a whole
  while (!fs::exists(folder, error) && folder != folder.parent_path()) folder = folder.parent_path();
  if (access(folder.c_str(), W_OK | X_OK) == 0) return;
  throw Error(PIPE_E_DENIED, fmt::format("can't write {}: {}", edit.path.string(), std::strerror(errno)),
              "run this as root (sudo)");
}

std::string note_of(const fs::path &file, const Setting &setting) {
  return fmt::format("{} of {}: {}", setting.key, file.string(), setting.entry);
}

/// One engine's part of the work.
class Work {
 public:
  Work(Run &run, const Params &params)
      : run_(run), params_(params), places_(places_of(params)), wanted_(read(params)) {
    for (const Files *files : {&kDocker, &kPodman, &kContainerd}) {
      const bool named = std::ranges::count(params.engines, files->engine) != 0;
      if (named || (params.engines.empty() && files->is_there(places_))) chosen_.push_back(files);
    }
    for (const std::string &name : params.engines)
      if (name != "docker" && name != "podman" && name != "containerd")
        throw Error(PIPE_E_INVALID, fmt::format("there is no engine \"{}\"", name),
                    "it is docker, podman or containerd");
  }

  void plan() {
    end_insecurity(false);
    collect();
    report();
    if (!pending() && secured_.empty()) return up_to_date();
    if (!pending()) return run_.verdict(Verdict::change, "would take back that " + no_more_insecure());
    run_.verdict(verdict(), fmt::format("would tell {}", text_of(told_)));
  }

  void make_so() {
    end_insecurity(true);
    collect();
    report();
    const bool changes = pending();
    for (const Edit &edit : edits_)
      if (edit.needed()) make(run_, edit);
    if (daemon_ && daemon_->needed()) change_daemon();
    if (!changes && secured_.empty()) return up_to_date();
    if (!changes) return run_.verdict(Verdict::change, "took back that " + no_more_insecure());
    run_.verdict(verdict(), fmt::format("told {}{}", text_of(told_), subject()));
  }

  void take_all_back() {
    bool done = false;
    for (const Files *files : {&kDocker, &kPodman, &kContainerd}) {
      const std::vector<fs::path> all = files->all(places_, wanted_);
      for (const fs::path &file : all) done = take_back(run_, file) || done;
      for (const fs::path &file : all) forget_folders(run_, file);
    }
    done = take_back_daemon(daemon_settings(wanted_)) || done;
    if (!done) return run_.verdict(Verdict::up_to_date, "there is nothing that this step wrote");
    run_.verdict(Verdict::remove, "took back what was told the engines" + subject());
  }

 private:
  /// What can't be done for an engine that was only found is said, and the others are told.
  void attempt(const Files &files, const std::function<void()> &body) {
    try {
      body();
      told_.emplace_back(files.engine);
    } catch (const Error &error) {
      const bool others_engine = error.status == PIPE_E_DENIED && !reaches(files);
      // A broken file is nothing to pass over: Docker does not start again with it.
      const bool passed_over = error.status == PIPE_E_INVALID && &files != &kDocker;
      if (!params_.engines.empty() || !(others_engine || passed_over)) throw;
      if (others_engine) denied_ = error;
      run_.warn(fmt::format("{} is not told: {} ({})", files.engine, error.message, error.hint));
    }
  }

  /// Whether this user may use that engine: whoever may not has no need that it trusts the registry.
  bool reaches(const Files &files) const {
    return files.socket.empty() || access((places_.root / files.socket).c_str(), W_OK) == 0;
  }

  void collect() {
    for (const Files *files : chosen_)
      attempt(*files, [&] {
        std::vector<Edit> edits = files->edits(run_, places_, wanted_);
        for (const Edit &edit : edits) require_writable(edit);
        if (files == &kDocker) look_at_daemon();
        std::ranges::move(edits, std::back_inserter(edits_));
      });
    if (told_.empty() && denied_) throw *denied_;
    std::vector<std::string> paths;
    for (const Edit &edit : edits_) paths.push_back(edit.path.string());
    if (daemon_) paths.push_back(daemon_->path.string());
    run_.output("engines", told_);
    run_.output("files", paths);
    if (chosen_.empty() && (!wanted_.registry.empty() || !wanted_.mirror.empty()))
      run_.warn(
          "no engine seems to be installed here, so none is told; name them in `engines` to write "
          "their files all the same");
  }

  void look_at_daemon() {
    settings_ = daemon_settings(wanted_);
    if (settings_.empty()) return;
    dockerd_ = running_dockerd(places_);
    for (const Setting &setting : settings_) {
      const std::string flag =
          setting.key == "registry-mirrors" ? "--registry-mirror" : "--insecure-registry";
      const bool both = dockerd_ && dockerd_->option(flag);
      if (both)
        throw Error(PIPE_E_INVALID,
                    fmt::format("dockerd (pid {}) runs with {}, and refuses {} in daemon.json beside it",
                                dockerd_->pid, flag, setting.key),
                    fmt::format("add {}={} there (systemctl edit docker), or take the flag away", flag,
                                setting.entry));
    }
    const fs::path file = daemon_json(places_, dockerd_);
    Edit edit{.path = file, .before = oci::read_settings(file), .what = "daemon.json"};
    edit.after = with_settings(edit.before, file.string(), settings_);
    if (edit.needed() && edit.after != edit.before.value_or(std::string()))
      if (const std::string problem = validation_problem(edit.after); !problem.empty())
        throw Error(PIPE_E_INVALID,
                    fmt::format("dockerd would not take {} with that: {}", file.string(), problem),
                    "it was left as it is; correct it first");
    require_writable(edit);
    daemon_ = std::move(edit);
  }

  void report() {
    for (const Edit &edit : edits_)
      if (edit.needed()) run_.diff(edit.path.string(), edit.before ? "other content" : "", edit.what);
    if (!daemon_ || !daemon_->needed()) return;
    for (const Setting &setting : settings_)
      if (!has_setting(daemon_->before, daemon_->path.string(), setting))
        run_.diff(fmt::format("{} {}", daemon_->path.string(), setting.key), "", setting.entry);
  }

  bool pending() const {
    return std::ranges::any_of(edits_, &Edit::needed) || (daemon_ && daemon_->needed());
  }

  void change_daemon() {
    const std::string file = daemon_->path.string();
    for (const Setting &setting : settings_)
      if (!has_setting(daemon_->before, file, setting))
        run_.remember(note_of(daemon_->path, setting), daemon_->before ? "added" : "made");
    if (daemon_->before) {
      const fs::path backup = backup_of(daemon_->path);
      std::error_code error;
      if (!fs::exists(backup, error)) run_.remember(note_of_backup(daemon_->path), "made");
      fs::copy_file(daemon_->path, backup, fs::copy_options::overwrite_existing, error);
      if (error)
        throw Error(PIPE_E_IO, fmt::format("can't write {}: {}", backup.string(), error.message()),
                    "run this as root (sudo)");
    }
    oci::write_settings(daemon_->path, daemon_->after);
    if (!params_.reload) return;
    if (!dockerd_) return run_.info("dockerd does not run here; it reads daemon.json when it starts");
    try {
      reload(*dockerd_, params_.engine, settings_, Expect::present, run_);
    } catch (const Error &error) {
      put_back();
      throw Error(error.status, fmt::format("{}; {} is as it was before", error.message, file), error.hint);
    }
  }

  void put_back() {
    std::error_code error;
    if (daemon_->before)
      oci::write_settings(daemon_->path, *daemon_->before);
    else
      fs::remove(daemon_->path, error);
    for (const Setting &setting : settings_) run_.forget(note_of(daemon_->path, setting));
    remove_backup(daemon_->path);
    reload(*dockerd_);
  }

  /// What it has a copy of is there again.
  void remove_backup(const fs::path &daemon_json) {
    if (!run_.recall(note_of_backup(daemon_json))) return;
    std::error_code error;
    fs::remove(backup_of(daemon_json), error);
    run_.forget(note_of_backup(daemon_json));
  }

  bool take_back_daemon(const std::vector<Setting> &settings) {
    const std::optional<Dockerd> dockerd = running_dockerd(places_);
    const fs::path file = daemon_json(places_, dockerd);
    std::vector<Setting> ours;
    bool made = false;
    for (const Setting &setting : settings) {
      const auto note = run_.recall(note_of(file, setting));
      if (!note) continue;
      ours.push_back(setting);
      made = made || *note == "made";
    }
    if (ours.empty()) return false;
    const auto now = oci::read_settings(file);
    if (now) {
      if (dockerd && params_.reload) {
        // dockerd leaves alone what a file does not name: the lists have to be there once, without our
        // entries.
        oci::write_settings(file, without_settings(*now, file.string(), ours, EmptyLists::stay));
        reload(*dockerd, params_.engine, ours, Expect::absent, run_);
      }
      const std::string rest = without_settings(*now, file.string(), ours, EmptyLists::go);
      std::error_code error;
      if (made && says_nothing(rest))
        fs::remove(file, error);
      else
        oci::write_settings(file, rest);
    }
    for (const Setting &setting : ours) run_.forget(note_of(file, setting));
    const std::vector<Setting> others = daemon_settings(wanted_);
    if (std::ranges::none_of(
            others, [&](const Setting &each) { return run_.recall(note_of(file, each)).has_value(); }))
      remove_backup(file);
    return now.has_value();
  }

  /// A registry that is not to be insecure: takes back what this step told of it before. What others wrote,
  /// or what nobody knows the author of, stays and is named, as it is in force.
  void end_insecurity(bool really) {
    if (wanted_.registry.empty() || wanted_.insecure) return;
    for (const Files *files : chosen_) {
      if (files == &kDocker) {
        end_insecurity_of_docker(really);
        continue;
      }
      const Insecure insecure = files->insecure(places_, wanted_.registry);
      const Author author = author_of(run_, insecure);
      if (author == Author::nobody) continue;
      const bool may = access(insecure.path.parent_path().c_str(), W_OK | X_OK) == 0;
      if (author == Author::others || !may) {  // root's, where this user is told of it
        warn_of_insecurity(*files, insecure.path, insecure.lines, really);
        continue;
      }
      run_.diff(insecure.path.string(), wanted_.registry + " as insecure", "");
      if (really) take_away(run_, insecure);
      secured_.emplace_back(files->engine);
    }
  }

  void end_insecurity_of_docker(bool really) {
    const fs::path file = daemon_json(places_, running_dockerd(places_));
    const Setting setting{"insecure-registries", wanted_.registry};
    try {
      if (!has_setting(oci::read_settings(file), file.string(), setting)) return;
    } catch (const Error &) {
      return;  // broken: whoever has to write to it says so
    }
    if (!run_.recall(note_of(file, setting)))
      return warn_of_insecurity(kDocker, file, fmt::format("\"{}\" in \"{}\"", setting.entry, setting.key),
                                really);
    run_.diff(fmt::format("{} {}", file.string(), setting.key), setting.entry, "");
    if (really) take_back_daemon({setting});
    secured_.emplace_back(kDocker.engine);
  }

  /// A plan knows nothing of earlier runs, so there the author is open.
  void warn_of_insecurity(const Files &files, const fs::path &file, std::string lines, bool really) {
    std::ranges::replace(lines, '\n', ' ');
    run_.warn(fmt::format("{} is still insecure for {}, as {} says; {}: {}", wanted_.registry, files.engine,
                          file.string(),
                          really ? "that is not noted as this step's own; to end it, remove there"
                                 : "`pipe run` removes there what it wrote itself",
                          lines));
  }

  Verdict verdict() const {
    const bool anything =
        std::ranges::any_of(edits_, [](const Edit &edit) { return edit.before.has_value(); }) ||
        (daemon_ && daemon_->before);
    return anything ? Verdict::change : Verdict::create;
  }

  std::string no_more_insecure() const {
    return fmt::format("{} is insecure for {}", wanted_.registry, text_of(secured_));
  }

  void up_to_date() {
    if (wanted_.ca.empty() && wanted_.mirror.empty() && !wanted_.insecure && !told_.empty())
      return run_.verdict(Verdict::up_to_date, "there is nothing to tell" + subject());
    run_.verdict(Verdict::up_to_date, told_.empty() ? "there is nobody to tell"
                                                    : fmt::format("{} know{} already{}", text_of(told_),
                                                                  told_.size() == 1 ? "s" : "", subject()));
  }

  std::string subject() const {
    std::string text;
    if (!wanted_.registry.empty()) text = " of " + wanted_.registry;
    if (!wanted_.mirror.empty())
      text += (text.empty() ? " of" : " and") + std::string(" the mirror ") + wanted_.mirror;
    return text;
  }

  static std::string text_of(const std::vector<std::string> &names) {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i)
      text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
    return text;
  }

  Run &run_;
  const Params &params_;
  const Places places_;
  const Wanted wanted_;
  std::vector<const Files *> chosen_;
  std::vector<std::string> told_;
  std::vector<std::string> secured_;  // the engines that took the registry as insecure because of this step
  std::optional<Error> denied_;       // why one that was found could not be told by this user
  std::vector<Edit> edits_;
  std::vector<Setting> settings_;
  std::optional<Dockerd> dockerd_;
  std::optional<Edit> daemon_;
};

void plan(Run &run, const Params &params) {
  Work(run, params).plan();
}
void make_trusted(Run &run, const Params &params) {
  Work(run, params).make_so();
}
void undo(Run &run, const Params &params) {
  Params without_ca = params;  // its file may be gone
  without_ca.ca.clear();
  without_ca.engines.clear();
  Work(run, without_ca).take_all_back();
}

}  // namespace

PIPE_PLUGIN(kTrust, Params, plan, make_trusted, undo);
