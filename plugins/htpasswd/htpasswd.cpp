// htpasswd: the users of a registry, in a file that it reads by itself.
#include <fmt/core.h>
#include <pipe/oci/settings_file.hpp>
#include <pipe/plugin.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>

#include "bcrypt.hpp"
#include "password_file.hpp"

namespace {
using namespace htpasswd;
using namespace pipes::sdk;
namespace oci = pipes::oci;
namespace fs = std::filesystem;

// A push asks some four times for each layer, and pays each time: 22 ms at 8, 73 ms at 10, 270 ms at 12.
constexpr std::int64_t kUsualCost = 8;

struct Params {
  Path file;
  std::map<std::string, Secret> users;
  std::string username, owner;
  std::optional<Secret> password;
  std::vector<std::string> remove;
  bool exclusive = false;
  std::optional<std::int64_t> cost;
};
struct Outputs {
  std::string file, folder;
  std::vector<std::string> users;
};
constexpr Schema kHtpasswd{
    "htpasswd", "0.1.0", "Keep the users of a registry in an htpasswd file",
    std::tuple{
        field("file", &Params::file,
              {.help = "The file; its folder is made if need be",
               .examples = "/etc/pipe/registry/auth/htpasswd"}),
        field("users", &Params::users, {.help = "Users and their passwords, from secrets", .fallback = "{}"}),
        field("username", &Params::username,
              {.help = "One more user, whose name is a value: of a variable, say", .fallback = "\"\""}),
        field("password", &Params::password, {.help = "Password of `username`"}),
        field("remove", &Params::remove, {.help = "Users who shall not be in it", .fallback = "[]"}),
        field("exclusive", &Params::exclusive,
              {.help = "Whoever is not in `users` is removed", .fallback = "false"}),
        field("cost", &Params::cost,
              {.help = "Cost of a hash, paid by the registry at each request; each 1 more doubles it. By "
                       "default 8, "
                       "and what is there with another stays",
               .min = 4,
               .max = 15}),
        field(
            "owner", &Params::owner,
            {.help =
                 "uid[:gid] that the registry runs as and the file belongs to, or `self`; by default whoever "
                 "it belongs to, or runs this",
             .fallback = "\"\"",
             .examples = "1000:1000"})},
    std::tuple{
        field("file", &Outputs::file, {.help = "The file"}),
        field("folder", &Outputs::folder,
              {.help = "Its folder: what a container has to mount, as the file is replaced as a whole"}),
        field("users", &Outputs::users, {.help = "All who are in it now"})}};

/// What is to be changed of whom.
struct Change {
  std::string user, what;  // "added", "password changed", "cost changed", "removed"
};

std::string note_of(const fs::path &file, const std::string &user) {
  return fmt::format("user {} in {}", user, file.string());
}
std::string note_of(const fs::path &file) {
  return "file " + file.string();
}

fs::path file_of(const Params &params) {
  return fs::absolute(params.file.value).lexically_normal();
}

std::optional<std::string> read(const fs::path &file) {
  std::error_code error;
  if (fs::is_directory(file, error))
    throw Error(
        PIPE_E_INVALID, fmt::format("{} is a folder", file.string()),
        "Docker makes one where a file that it shall mount is missing: stop the container, and remove it "
        "(rmdir)");
  return oci::read_settings(file);
}

class Work {
 public:
  Work(Run &run, const Params &params) : run_(run), params_(params), file_(file_of(params)) {
    for (const auto &[user, password] : params.users) wanted_[user] = password.value;
    const bool named = !params.username.empty(),
               has_password = params.password && !params.password->value.empty();
    if (named != has_password)
      throw Error(
          PIPE_E_INVALID,
          named ? fmt::format("there is no password for {}", params.username)
                : "`password` is given without `username`",
          named ? "give it by a secret; `openssl rand -base64 24` makes one" : "give both, or neither");
    if (named) wanted_[params.username] = params.password->value;
    for (const auto &[user, password] : wanted_) {
      check_user(user);
      check_password(user, password);
      if (std::ranges::count(params.remove, user) != 0)
        throw Error(PIPE_E_INVALID, fmt::format("{} is in `users` and in `remove`", user),
                    "leave one of them out");
    }
    if (params.exclusive && wanted_.empty())
      throw Error(PIPE_E_INVALID, "`exclusive` without `users` would let nobody in", "name who may come in");
    access_ = {.mode = 0600, .owner = oci::Owner::parse(params.owner)};
    const auto text = read(file_);
    existed_ = text.has_value();
    users_ = PasswordFile(text.value_or(std::string()));
    decide();
  }

  void plan() {
    report();
    if (!pending()) return finish(Verdict::up_to_date);
    run_.verdict(existed_ ? Verdict::change : Verdict::create, fmt::format("would write {}", file_.string()));
  }

  void make_so() {
    report();
    if (!pending()) return finish(Verdict::up_to_date);
    std::error_code error;
    if (!existed_) run_.remember(note_of(file_), "made");
    for (const Change &change : changes_)
      if (change.what == "added") run_.remember(note_of(file_, change.user), "added");
    // Only its owner is let in: hashes of weak passwords can be guessed.
    if (!fs::exists(file_.parent_path(), error)) {
      run_.remember("folder " + file_.parent_path().string(), "made");
      oci::make_folder(file_.parent_path(), {.mode = 0700, .owner = access_.owner});
    }
    oci::write_settings(file_, users_.text(), access_);
    finish(existed_ ? Verdict::change : Verdict::create);
  }

 private:
  void decide() {
    for (const auto &[user, password] : wanted_) {
      const std::string change = what_changes(user, password);
      if (change.empty()) continue;
      users_.set(user, hash_of(password, static_cast<unsigned>(params_.cost.value_or(kUsualCost))));
      changes_.push_back({user, change});
    }
    std::vector<std::string> leaving = params_.remove;
    if (params_.exclusive)
      for (const std::string &user : users_.users())
        if (!wanted_.contains(user)) leaving.push_back(user);
    for (const std::string &user : leaving)
      if (users_.remove(user)) changes_.push_back({user, "removed"});
  }

  std::string what_changes(const std::string &user, const std::string &password) const {
    const auto hash = users_.hash(user);
    if (!hash) return "added";
    const auto cost = cost_of(*hash);
    if (!cost) return fmt::format("hashed with bcrypt, was {}", foreign_kind(*hash));
    if (!matches(password, *hash)) return "password changed";
    if (params_.cost && *params_.cost != *cost) return "cost changed";
    const std::vector<std::string> twice = users_.twice();
    return std::ranges::count(twice, user) != 0 ? "second entry removed" : "";
  }

  bool pending() const { return !existed_ || !changes_.empty() || !oci::has_access(file_, access_); }

  void report() {
    for (const Change &change : changes_)
      run_.diff("user " + change.user, change.what == "added" ? "" : "there", change.what);
    if (existed_ && !oci::has_access(file_, access_))
      run_.diff("file", "another mode or owner",
                "0600, " + (params_.owner.empty() ? std::string("the same owner") : params_.owner));
    for (const std::string &remark : users_.remarks())
      run_.warn(fmt::format("{}: {}", file_.string(), remark));
  }

  void finish(Verdict verdict) {
    const std::vector<std::string> users = users_.users();
    run_.output("file", file_.string());
    run_.output("folder", file_.parent_path().string());
    run_.output("users", users);
    std::string text;
    for (const Change &change : changes_)
      text += (text.empty() ? "" : ", ") + change.user + " " + change.what;
    if (verdict == Verdict::up_to_date || text.empty())
      text = users.size() == 1 ? "1 user" : fmt::format("{} users", users.size());
    run_.verdict(verdict, fmt::format("{}: {}", file_.string(), text));
  }

  Run &run_;
  const Params &params_;
  const fs::path file_;
  std::map<std::string, std::string> wanted_;
  oci::FileAccess access_;
  PasswordFile users_;
  std::vector<Change> changes_;
  bool existed_ = false;
};

void plan(Run &run, const Params &params) {
  Work(run, params).plan();
}
void make(Run &run, const Params &params) {
  Work(run, params).make_so();
}

/// Takes out whom it put in. A password that it changed stays changed: what it was, nobody keeps.
void undo(Run &run, const Params &params) {
  run.verdict(Verdict::up_to_date, "there is nobody that this step added");
  const fs::path file = file_of(params);
  const auto text = read(file);
  const bool made = run.recall(note_of(file)).has_value();
  PasswordFile users(text.value_or(std::string()));
  std::string removed;
  for (const std::string &user : users.users()) {
    if (!run.recall(note_of(file, user))) continue;
    users.remove(user);
    removed += (removed.empty() ? "" : ", ") + user;
  }
  if (text && made && users.text().empty()) {
    std::error_code error;
    fs::remove(file, error);
    if (error) throw Error(PIPE_E_IO, fmt::format("can't remove {}: {}", file.string(), error.message()));
    const std::string folder = "folder " + file.parent_path().string();
    if (run.recall(folder)) fs::remove(file.parent_path(), error);  // stays where there is something in it
    run.forget(folder);
  } else if (!removed.empty()) {
    oci::write_settings(file, users.text());
  }
  for (const std::string &user : PasswordFile(text.value_or(std::string())).users())
    run.forget(note_of(file, user));
  run.forget(note_of(file));
  if (!removed.empty())
    run.verdict(Verdict::remove, fmt::format("took {} out of {}", removed, file.string()));
}

}  // namespace

PIPE_PLUGIN(kHtpasswd, Params, plan, make, undo);
