// sync: many repositories and tags from one registry to another.
#include <fmt/core.h>
#include <pipe/oci/attached.hpp>
#include <pipe/oci/copy_params.hpp>
#include <pipe/oci/maintenance.hpp>
#include <pipe/oci/store.hpp>
#include <pipe/oci/transfer_report.hpp>
#include <pipe/parallel.hpp>
#include <pipe/plugin.hpp>
#include <pipe/text.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "extras.hpp"
#include "folder.hpp"
#include "outcome.hpp"
#include "selection.hpp"

namespace {
namespace oci = pipes::oci;
using namespace pipes::sdk;
using namespace mirror;
using Kind = oci::ImageName::Kind;

constexpr std::chrono::minutes kWait{1};  // for others that have the folder open

struct Params : oci::CopyParams {
  std::string from, to;
  std::vector<std::string> images, exclude;
  std::int64_t newest = 0, delete_max = 20, parallel = 4;
  bool delete_extra = false;
};
struct Outputs : oci::TransferOutputs {
  std::int64_t copied, unchanged, failed, deleted;
  std::string report;
};
constexpr Schema kSync{
    "sync", "0.1.0", "Keep many images of one registry in another",
    std::tuple_cat(
        std::tuple{
            field("from", &Params::from,
                  {.help = "Where the images are: a registry, a part of one, or oci:FOLDER; by default the "
                           "names in "
                           "`images` say it",
                   .fallback = "\"\"",
                   .examples = "docker.io\nghcr.io/org\noci:FOLDER"}),
            field("to", &Params::to,
                  {.help = "Where they go: a registry, a part of one, or oci:FOLDER",
                   .examples = "registry.lan:5000/mirror\noci:FOLDER"}),
            field(
                "images", &Params::images,
                {.help = "REPOSITORY[:TAGS] [exclude=PATTERN] [newest=N] [as=REPOSITORY]; TAGS is a tag (by "
                         "default "
                         "latest), 3.*, /REGEX/, or a range of versions. By default all that a folder holds",
                 .fallback = "[]",
                 .examples = "library/alpine:3.*\nlibrary/redis:>=6.2 <8 newest=3\norg/app:^1.4 as=app"}),
            field("exclude", &Params::exclude,
                  {.help = "Tags that no pattern shall select: patterns as in `images`",
                   .fallback = "[]",
                   .examples = "*-rc*\n/-alpine/"}),
            field("newest", &Params::newest,
                  {.help = "Of each pattern only so many tags, the highest versions; 0 is all",
                   .min = 0,
                   .fallback = "0"}),
            field("delete_extra", &Params::delete_extra,
                  {.help = "Delete tags at the target that a pattern here selects and the source has no "
                           "more, also of "
                           "whole repositories; of a folder also what they held",
                   .fallback = "false"}),
            field(
                "delete_max", &Params::delete_max,
                {.help = "With delete_extra: where more than so many would go, none does and the step fails",
                 .min = 0,
                 .fallback = "20"}),
            field("parallel", &Params::parallel,
                  {.help = "Images at once", .min = 1, .max = 64, .fallback = "4"})},
        oci::kCopyFields),
    std::tuple_cat(
        std::tuple{field("copied", &Outputs::copied, {.help = "Images that were copied"}),
                   field("unchanged", &Outputs::unchanged, {.help = "Images that were there already"}),
                   field("failed", &Outputs::failed, {.help = "Images that failed"}),
                   field("deleted", &Outputs::deleted, {.help = "Tags that were deleted"}),
                   field("report", &Outputs::report,
                         {.help = "JSON: an array of objects with from, to, state, digest, bytes, error"})},
        oci::kTransferOutputs)};

/// One sync, as `plan` (which changes nothing) or as `run`.
class Sync {
 public:
  Sync(Run &run, const Params &p, bool planning)
      : run_(run),
        p_(p),
        planning_(planning),
        from_(Place::parse(p.from)),
        to_(Place::parse(p.to)),
        from_options_(p.from_options()),
        to_options_(p.to_options()),
        copier_(from_options_, to_options_, run) {
    if (to_.kind == Place::Kind::anywhere)
      throw Error(PIPE_E_INVALID, "`to` is empty", "give it a registry, or oci:FOLDER");
    if (!p.from_username.value_or("").empty() && from_.kind == Place::Kind::anywhere)
      throw Error(PIPE_E_INVALID, "from_username is for one registry, and `images` may name several",
                  "name that registry in `from`, or log in by `docker login` or `podman login`");
    options_ = p.copy_options();
    refill_ = index_to_begin();
    if (refill_ && planning_) return;
    repositories_ = group(rules(), filters(), from_, to_);
    for (Repository &repository : repositories_)
      repository.takes_attached = takes_attached() && repository.takes_all();
  }

  void go() {
    if (refill_ && planning_)
      return run_.verdict(Verdict::change,
                          fmt::format("would name all images in {} anew: {}", to_.folder, *refill_));
    choose();
    work();
    if (!planning_) copier_.finish();
    const std::optional<Error> deletions = p_.delete_extra ? remove_extras() : std::nullopt;
    tell(run_, outcomes_, copier_.traffic(), planning_);
    throw_failures(outcomes_, deletions);
  }

 private:
  std::vector<Rule> rules() {
    std::vector<Rule> rules;
    for (const std::string &entry : p_.images) rules.push_back(Rule::parse(entry));
    given_ = rules;
    if (from_.kind == Place::Kind::layout) folder_.emplace(from_.folder);
    if (std::ranges::any_of(rules, &Rule::is_about_many)) return found(rules);
    if (!rules.empty()) return rules;
    if (!folder_)
      throw Error(PIPE_E_INVALID, "`images` is empty: nothing says what is to be copied",
                  "name repositories, such as library/alpine:3.*");
    return given_ = folder_->everything();
  }

  /// A folder to fill whose index.json is gone or no index gets a new one. Gives what was wrong.
  std::optional<std::string> index_to_begin() {
    if (to_.kind != Place::Kind::layout) return std::nullopt;
    std::optional<std::string> problem = oci::index_problem(to_.folder);
    if (!problem || planning_) return problem;
    run_.warn(
        fmt::format("{}: the names in {} are written anew; blobs that are there are hashed, and fetched "
                    "where they are damaged",
                    *problem, to_.folder));
    oci::begin_index(to_.folder, kWait, run_);
    return problem;
  }

  /// The rules, for the repositories that there are.
  std::vector<Rule> found(const std::vector<Rule> &rules) {
    std::vector<std::string> all;
    if (folder_) {
      all = folder_->repositories();
    } else {
      if (from_.kind != Place::Kind::registry)
        throw Error(PIPE_E_INVALID, "a pattern for repositories needs one registry to ask which there are",
                    "name it in `from`, as \"registry.lan:5000\"");
      all = list_below(copier_.source(from_.any()));
    }
    // A source without any is more likely to be set up anew than to have lost all on purpose.
    std::erase_if(given_, [&](const Rule &rule) {
      if (!spread({rule}, all).empty()) return false;
      run_.warn(fmt::format("no repository of {} is named {}{}", p_.from, rule.repository,
                            p_.delete_extra ? "; nothing is deleted for it" : ""));
      return true;
    });
    return spread(rules, all);
  }

  Filters filters() const {
    Filters filters{.exclude = {}, .newest = static_cast<std::size_t>(p_.newest)};
    for (const std::string &pattern : p_.exclude) filters.exclude.push_back(TagPattern::parse(pattern));
    return filters;
  }

  /// Runs `body`; what fails in it is kept as the outcome, and the rest goes on.
  template <class Body>
  void guarded(Outcome &outcome, Body body) {
    try {
      body();
    } catch (const Error &error) {
      if (error.status == PIPE_E_CANCELLED) throw;
      outcome.state = State::failed;
      outcome.error = error;
      run_.log(Level::warning, fmt::format("{}: {}", outcome.to, error.message));
    }
  }

  std::vector<std::string> tags(const Repository &repository) {
    if (!repository.needs_tags()) return {};
    if (folder_) return folder_->tags(repository.from);
    return copier_.tags(repository.from);
  }

  std::size_t crew() const { return static_cast<std::size_t>(p_.parallel); }

  void choose() {
    std::vector<Outcome> looked(repositories_.size());
    std::vector<std::vector<Image>> chosen(repositories_.size());
    for_each_parallel(repositories_.size(), crew(), [&](std::size_t i) {
      const Repository &repository = repositories_[i];
      looked[i].from = repository.from.name();
      looked[i].to = looked[i].repository = repository.to.name();
      guarded(looked[i], [&] { chosen[i] = select(repositories_, i, tags(repository)); });
      if (chosen[i].empty() && !looked[i].error)
        run_.warn(fmt::format("no tag of {} is selected", looked[i].from));
    });
    for (std::size_t i = 0; i < repositories_.size(); ++i) {
      std::ranges::move(chosen[i], std::back_inserter(images_));
      if (looked[i].error) outcomes_.push_back(std::move(looked[i]));
    }
    check_targets(images_);
  }

  void work() {
    std::vector<Outcome> outcomes(images_.size());
    for_each_parallel(images_.size(), crew(), [&](std::size_t i) {
      const Image &image = images_[i];
      Outcome &outcome = outcomes[i];
      outcome.from = image.from.str();
      outcome.to = image.to.str();
      outcome.repository = image.to.name();
      run_.check_cancelled();
      guarded(outcome, [&] { planning_ ? foresee(image, outcome) : copy(image, outcome); });
    });
    std::ranges::move(outcomes, std::back_inserter(outcomes_));
  }

  oci::ImageName source(const Image &image) const {
    if (folder_) return folder_->name_of(image.from);
    return {.kind = Kind::registry, .reference = image.from, .path = {}, .ref = {}};
  }
  oci::ImageName target(const Image &image) const {
    if (to_.kind == Place::Kind::layout)
      return {.kind = Kind::oci_layout, .reference = {}, .path = to_.folder, .ref = image.to.str()};
    return {.kind = Kind::registry, .reference = image.to, .path = {}, .ref = {}};
  }

  oci::CopyOptions options(const Image &image) const {
    oci::CopyOptions options = options_;
    // In a folder they may stand without a repository as well, and cost nothing to look for.
    options.attached_tags = folder_ || !repositories_[image.repository].takes_attached;
    return options;
  }

  void copy(const Image &image, Outcome &outcome) {
    outcome.result = copier_.copy(source(image), target(image), options(image));
    // With referrers = "always" something may have come along all the same.
    const bool same = outcome.result.unchanged && outcome.result.moved == 0;
    outcome.state = same ? State::unchanged : State::copied;
    if (!same) run_.log(Level::info, fmt::format("{} {}", outcome.to, outcome.result.image.digest.brief()));
  }

  void foresee(const Image &image, Outcome &outcome) {
    const oci::CopyForecast forecast = copier_.forecast(source(image), target(image), options(image));
    outcome.state = forecast.unchanged() ? State::unchanged : State::copied;
    outcome.result.image = forecast.image;
    outcome.result.bytes = forecast.bytes;
    outcome.result.moved = forecast.move;
    outcome.result.mounted = forecast.mount;
    outcome.result.skipped = forecast.skip;
    if (forecast.there) outcome.before = forecast.there->digest.str();
  }

  /// The repositories at the target, but those where something failed: what is extra there is not known.
  std::vector<Held> held() const {
    std::map<std::string, Held> all;
    for (const Repository &repository : repositories_) {
      Held &one = all[repository.to.name()];
      one.repository = repository.to;
      one.rules.insert(one.rules.end(), repository.rules.begin(), repository.rules.end());
    }
    for (const Outcome &outcome : outcomes_) {
      if (outcome.error) {
        all.erase(outcome.repository);
        continue;
      }
      const auto found = all.find(outcome.repository);
      const std::string tag = oci::Reference::parse(outcome.to).tag;
      if (found != all.end() && !tag.empty()) found->second.selected.emplace(tag, outcome.result.image);
    }
    std::vector<Held> result;
    for (auto &[name, one] : all) result.push_back(std::move(one));
    return result;
  }

  /// What went wrong with it as a whole; what failed in one repository is an outcome.
  std::optional<Error> remove_extras() {
    return to_.kind == Place::Kind::layout ? remove_names() : remove_tags();
  }

  /// The names of a folder that a pattern here selects and the source has no more, with those of repositories
  /// that it has no more either. A folder keeps what it need not lose, so where anything failed all stay.
  std::optional<Error> remove_names() {
    if (!Folder::exists(to_.folder) || std::ranges::any_of(outcomes_, has_failed)) return std::nullopt;
    std::set<std::string> wanted;
    for (const Image &image : images_) wanted.insert(image.to.str());
    std::map<std::string, Held> repositories;
    std::map<std::string, std::vector<std::string>> extras;
    for (const oci::Reference &image : Folder(to_.folder).images()) {
      if (image.digest || wanted.contains(image.str()) || !governs(image)) continue;
      repositories[image.name()].repository = image;
      extras[image.name()].push_back(image.tag);
    }
    std::vector<Held> held;
    std::vector<std::vector<std::string>> tags;
    for (auto &[name, one] : repositories) {
      one.repository.tag.clear();
      held.push_back(std::move(one));
      tags.push_back(std::move(extras[name]));
    }
    if (std::optional<Error> refused = too_many(held, tags)) return refused;
    if (held.empty()) return std::nullopt;
    std::set<std::string> names;
    for (std::size_t i = 0; i < held.size(); ++i)
      for (const std::string &tag : tags[i]) names.insert(held[i].repository.name() + ":" + tag);
    std::optional<oci::Store> store;
    if (!planning_) store.emplace(to_.folder).untag(names);
    for (std::size_t i = 0; i < held.size(); ++i)
      for (const std::string &tag : tags[i]) note(held[i], {.tag = tag, .digest = {}, .kept_because = {}});
    if (store) oci::collect_garbage(*store, kWait, run_);
    return std::nullopt;
  }

  static bool has_failed(const Outcome &outcome) { return outcome.error.has_value(); }

  /// Whether a pattern that was given speaks of a name in the folder that is filled.
  bool governs(const oci::Reference &image) const {
    const Filters all = filters();
    const bool attached = oci::is_attached_tag(image.tag);
    return std::ranges::any_of(given_, [&](const Rule &rule) {
      if (rule.tags.is_literal() || !is_about(rule, image)) return false;
      if (attached) return takes_attached() && rule.takes_all() && all.exclude.empty() && all.newest == 0;
      const auto matches = [&](const TagPattern &pattern) { return pattern.matches(image.tag); };
      return rule.governs(image.tag) && std::ranges::none_of(all.exclude, matches);
    });
  }

  /// Whether the images of a rule get this name in a folder.
  bool is_about(const Rule &rule, const oci::Reference &image) const {
    if (!rule.as.empty()) return to_.repository(rule.as).name() == image.name();
    if (!rule.is_about_many()) return from_.repository(rule.repository).name() == image.name();
    if (folder_) return oci::glob_matches(rule.repository, image.name());
    return image.registry == from_.host() && image.repository.starts_with(from_.prefix) &&
           oci::glob_matches(rule.repository, from_.path_of(image));
  }

  /// Whether tags of signatures and the like are copied as they are, where a rule takes all tags.
  bool takes_attached() const {
    return options_.referrers == oci::Referrers::always && options_.platforms.empty();
  }

  /// The repositories at the target that a pattern here speaks of, and that the source does not list.
  std::vector<Held> lost() {
    if (from_.kind != Place::Kind::registry) return {};
    std::set<std::string> known;
    for (const Repository &repository : repositories_) known.insert(repository.to.name());
    try {
      return find_lost(copier_, given_, filters(), from_, to_, known);
    } catch (const Error &error) {
      if (error.status == PIPE_E_CANCELLED) throw;
      run_.warn(fmt::format("{}; repositories that {} has no more stay there", error.message, p_.from));
      return {};
    }
  }

  /// A list of repositories may lack some: those that its reader may not see, or that are new.
  bool is_at_source(const Held &held) {
    std::vector<std::string> tags;
    try {
      tags = copier_.tags(*held.lost_by);
    } catch (const Error &error) {
      if (error.status != PIPE_E_NOT_FOUND) throw;
    }
    const bool there = std::ranges::any_of(tags, [&](const std::string &tag) {
      return std::ranges::any_of(held.rules, [&](const Rule &rule) { return rule.governs(tag); });
    });
    if (there)
      run_.warn(fmt::format("{} is there, and {} does not list it: {} stays as it is", held.lost_by->name(),
                            from_.host(), held.repository.name()));
    return there;
  }

  std::vector<std::string> extras_of(const Held &held) {
    std::vector<std::string> extras = find_extras(target_of(held), held);
    if (!extras.empty() && held.lost_by && is_at_source(held)) extras.clear();
    return extras;
  }

  std::optional<Error> remove_tags() {
    std::vector<Held> repositories = held();
    std::ranges::move(lost(), std::back_inserter(repositories));
    std::vector<std::vector<std::string>> extras(repositories.size());
    std::vector<Outcome> looked(repositories.size());
    for_each_parallel(repositories.size(), crew(), [&](std::size_t i) {
      looked[i].to = looked[i].repository = repositories[i].repository.name();
      guarded(looked[i], [&] { extras[i] = extras_of(repositories[i]); });
    });
    std::optional<Error> refused = too_many(repositories, extras);
    for (std::size_t i = 0; i < repositories.size() && !refused; ++i)
      if (!extras[i].empty()) guarded(looked[i], [&] { remove(repositories[i], extras[i]); });
    for (Outcome &outcome : looked)
      if (outcome.error) outcomes_.push_back(std::move(outcome));
    return refused;
  }

  oci::Copier::Target target_of(const Held &held) { return copier_.target(held.repository); }

  std::optional<Error> too_many(const std::vector<Held> &repositories,
                                const std::vector<std::vector<std::string>> &extras) const {
    std::size_t count = 0;
    std::string names;
    for (std::size_t i = 0; i < extras.size(); ++i) {
      for (const std::string &tag : extras[i]) {
        if (oci::is_attached_tag(tag)) continue;  // it goes with an image that counts
        ++count;
        names += fmt::format("\n{}:{}", repositories[i].repository.name(), tag);
      }
    }
    if (count <= static_cast<std::size_t>(p_.delete_max)) return std::nullopt;
    return Error(
        PIPE_E_DENIED,
        fmt::format("{} would be deleted, more than delete_max = {}: nothing is{}", count_text(count, "tag"),
                    p_.delete_max, names),
        "see whether the source has lost what it should have; if all of this is to go, raise delete_max");
  }

  void remove(const Held &from, const std::vector<std::string> &extras) {
    if (!planning_) {
      for (const Deleted &one : delete_extras(target_of(from), from, extras)) note(from, one);
      return;
    }
    for (const std::string &tag : extras) note(from, {.tag = tag, .digest = {}, .kept_because = {}});
  }

  void note(const Held &from, const Deleted &one) {
    const std::string name = from.repository.name() + ":" + one.tag;
    if (!one.kept_because.empty()) return run_.warn(fmt::format("{} stays: {}", name, one.kept_because));
    Outcome &outcome = outcomes_.emplace_back();
    outcome.state = State::deleted;
    outcome.to = name;
    outcome.repository = from.repository.name();
    if (one.digest) outcome.result.image.digest = *one.digest;
    if (!planning_) run_.info(name + " deleted");
  }

  Run &run_;
  const Params &p_;
  const bool planning_;
  const Place from_, to_;
  const oci::RegistryOptions from_options_, to_options_;
  oci::CopyOptions options_;
  oci::Copier copier_;
  std::optional<Folder> folder_;
  std::optional<std::string> refill_;  // what was wrong with the index of the folder to fill
  std::vector<Rule> given_;            // before they were spread over the repositories that there are
  std::vector<Repository> repositories_;
  std::vector<Image> images_;
  std::vector<Outcome> outcomes_;
};

void plan(Run &run, const Params &p) {
  const Place from = Place::parse(p.from);
  if (from.kind == Place::Kind::layout && !Folder::exists(from.folder))
    return run.verdict(Verdict::unknown, from.folder + " is not there yet");
  Sync(run, p, true).go();
}
void sync_images(Run &run, const Params &p) {
  Sync(run, p, false).go();
}

}  // namespace

PIPE_PLUGIN(kSync, Params, plan, sync_images, nullptr);
