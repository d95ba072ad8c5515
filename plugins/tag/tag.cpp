// tag: gives an image of the store more names.
#include <fmt/core.h>
#include <pipe/oci/naming.hpp>
#include <pipe/oci/transfer.hpp>
#include <pipe/plugin.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace {
using namespace pipes::sdk;
namespace oci = pipes::oci;

struct Params {
  std::string image;
  std::vector<std::string> as;
  bool move = false;
};
struct Outputs {
  std::string image, digest;
  std::vector<std::string> images;
};
constexpr Schema kTag{
    "tag", "0.1.0", "Name an image",
    std::tuple{field("image", &Params::image,
                     {.help = "The image: a name in the store, or oci:, oci-archive:, docker-archive:",
                      .format = "image",
                      .examples = "registry:3"}),
               field("as", &Params::as,
                     {.help = "The new name or names; what they named before is replaced",
                      .format = "image",
                      .examples = "localhost:5000/registry:3"}),
               field("move", &Params::move, {.help = "Drop the old name", .fallback = "false"})},
    std::tuple{field("image", &Outputs::image, {.help = "The first of the new names", .format = "image"}),
               field("images", &Outputs::images, {.help = "All of the new names", .format = "image"}),
               field("digest", &Outputs::digest, {.help = "Digest of the image's manifest or index"})}};

/// What is to be: which names shall point at which image, and which name shall go.
struct Wish {
  oci::Descriptor image;
  std::vector<std::string> names;
  std::optional<std::string> old_name;  // that is still there
};

/// After a move the old name is gone; then the new names say which image is meant.
std::optional<oci::Descriptor> moved_already(const Params &p, const std::vector<std::string> &names,
                                             const oci::Store &store) {
  if (!p.move) return std::nullopt;
  std::optional<oci::Descriptor> first = store.resolve(names.front());
  for (const std::string &name : names) {
    const std::optional<oci::Descriptor> other = store.resolve(name);
    if (!first || !other || other->digest != first->digest) return std::nullopt;
  }
  return first;
}

Wish wish_of(const Params &p, oci::Store &store) {
  Wish wish;
  for (const std::string &name : p.as) wish.names.push_back(oci::store_name(name));
  if (wish.names.empty())
    throw Error(PIPE_E_INVALID, "`as` has no name", "say what the image shall be called");
  const oci::ImageName source = oci::ImageName::parse(p.image);
  const std::string old_name = source.str();
  const bool is_name = source.kind == oci::ImageName::Kind::registry;
  try {
    wish.image = oci::local(source, store);
  } catch (const Error &error) {
    const std::optional<oci::Descriptor> moved = moved_already(p, wish.names, store);
    if (error.status != PIPE_E_NOT_FOUND || !is_name || !moved) throw;
    wish.image = *moved;
  }
  // How the image came to its old name is no property of the new one.
  wish.image.annotations.clear();
  const bool stays = std::find(wish.names.begin(), wish.names.end(), old_name) != wish.names.end();
  if (p.move && is_name && !stays && store.resolve(old_name)) wish.old_name = old_name;
  return wish;
}

void report(Run &run, const Wish &wish) {
  run.output("image", wish.names.front());
  run.output("images", wish.names);
  run.output("digest", wish.image.digest.str());
}

std::string joined(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// The names that do not point at the image yet.
std::vector<std::string> to_change(const Wish &wish, const oci::Store &store) {
  std::vector<std::string> names;
  for (const std::string &name : wish.names) {
    const std::optional<oci::Descriptor> now = store.resolve(name);
    if (!now || now->digest != wish.image.digest) names.push_back(name);
  }
  return names;
}

/// The verdict on names, for `plan` and `run`: `create` if none of them was there.
Verdict judge(Run &run, const Wish &wish, const std::vector<std::string> &names, const oci::Store &store) {
  if (names.empty()) return wish.old_name ? Verdict::change : Verdict::up_to_date;
  Verdict verdict = Verdict::create;
  for (const std::string &name : names) {
    const std::optional<oci::Descriptor> now = store.resolve(name);
    if (now) verdict = Verdict::change;
    run.diff(name, now ? now->digest.brief() : "", wish.image.digest.brief());
  }
  return verdict;
}

std::string summary(const Wish &wish, const std::vector<std::string> &names) {
  if (!names.empty()) return fmt::format("{} is {}", joined(names), wish.image.digest.brief());
  if (wish.old_name) return fmt::format("{} is dropped", *wish.old_name);
  return fmt::format("{} is {} already", joined(wish.names), wish.image.digest.brief());
}

void plan(Run &run, const Params &p) {
  // A plan makes no store.
  if (!oci::Store::exists(oci::Store::default_path()))
    return run.verdict(Verdict::unknown, "there is nothing in the store yet");
  oci::Store store(oci::Store::default_path());
  const Wish wish = wish_of(p, store);
  const std::vector<std::string> names = to_change(wish, store);
  run.verdict(judge(run, wish, names, store), summary(wish, names));
  report(run, wish);
}

/// Notes what a name was before the first time that this step changed it.
void note(Run &run, const std::string &name, oci::NameChange change) {
  if (const std::optional<std::string> earlier = run.recall(name))
    if (const std::optional<oci::NameChange> known = oci::NameChange::parse(*earlier))
      change.before = known->before;
  run.remember(name, change.str());
}

void tag(Run &run, const Params &p) {
  oci::Store store(oci::Store::default_path());
  const Wish wish = wish_of(p, store);
  const std::vector<std::string> names = to_change(wish, store);
  const Verdict verdict = judge(run, wish, names, store);
  for (const std::string &name : names) {
    note(run, name, {store.resolve(name), wish.image});
    store.tag(name, wish.image);
  }
  if (wish.old_name) {
    note(run, *wish.old_name, {store.resolve(*wish.old_name), std::nullopt});
    store.untag(*wish.old_name);
  }
  run.verdict(verdict, summary(wish, names));
  report(run, wish);
}

void undo(Run &run, const Params &p) {
  oci::Store store(oci::Store::default_path());
  std::vector<std::string> names{oci::ImageName::parse(p.image).str()};
  for (const std::string &name : p.as) names.push_back(oci::store_name(name));
  std::vector<std::string> taken;
  for (const std::string &name : names) {
    const std::optional<std::string> text = run.recall(name);
    if (!text) continue;
    const std::optional<oci::NameChange> change = oci::NameChange::parse(*text);
    if (change && change->take_back(name, store)) taken.push_back(name);
    run.forget(name);
  }
  if (taken.empty()) return run.verdict(Verdict::up_to_date, "no name of this step is left");
  run.verdict(Verdict::remove, fmt::format("{}: as before", joined(taken)));
}

}  // namespace

PIPE_PLUGIN(kTag, Params, plan, tag, undo);
