#include "core/cli/print.hpp"
#include "core/report/text.hpp"
#include "image/common.hpp"

#include <fmt/core.h>
#include <pipe/oci/maintenance.hpp>

#include <algorithm>
#include <set>

namespace pipes::image {
namespace {

using Kind = oci::StoreFlaw::Kind;

std::vector<Option> options() {
  return {{"repair", "", "Move damaged blobs away, to .damaged in the store, so that they are fetched again"},
          wait_option(),
          output_option()};
}

std::string word_for(Kind kind) {
  switch (kind) {
    case Kind::missing:
      return "missing";
    case Kind::damaged:
      return "damaged";
    case Kind::invalid:
      break;
  }
  return "invalid";
}

/// Quoted for a shell where it has to be.
std::string shell_word(const std::string &text) {
  constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,:/@%+=";
  if (!text.empty() && text.find_first_not_of(kSafe) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// What `pull` was asked for when it brought the image, as it noted down; else the name as it stands.
std::string pull_command(const oci::StoredImage &image) {
  const auto noted = [&](const char *key) {
    const auto found = image.descriptor.annotations.find(key);
    return found == image.descriptor.annotations.end() ? std::string() : found->second;
  };
  std::string command = "pipe step pull --image " + shell_word(familiar(image.name));
  const std::string source = noted("pipe.source.name"), platform = noted("pipe.source.platform");
  if (!source.empty() && source != image.name) command += " --fallback " + shell_word(source);
  if (!platform.empty()) command += " --platform " + shell_word(platform);
  return command;
}

/// The commands that mend it, in their order.
std::vector<std::string> remedy(const oci::StoreFlaw &flaw) {
  std::vector<std::string> commands;
  if (flaw.kind == Kind::damaged && !flaw.moved) commands.emplace_back("pipe image fsck --repair");
  if (flaw.kind == Kind::invalid) {  // fetched again it would be the same
    for (const oci::StoredImage &image : flaw.images)
      commands.push_back("pipe image rm " + shell_word(familiar(image.name)));
  } else if (const auto named =
                 std::ranges::find_if(flaw.images, [](const auto &i) { return !i.name.empty(); });
             named != flaw.images.end()) {
    commands.push_back(pull_command(*named));
  }
  return commands;
}

std::string names_text(const oci::StoreFlaw &flaw) {
  std::set<std::string> names;
  for (const oci::StoredImage &image : flaw.images)
    names.insert(image.name.empty() ? "an image without a name" : familiar(image.name));
  std::string text;
  for (const std::string &name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "no image needs it" : text;
}

void print_as_text(const oci::StoreCheck &check, const oci::Store &store) {
  std::string text;
  for (const oci::StoreFlaw &flaw : check.flaws) {
    text += fmt::format("{} {} {} ({}): {}\n", word_for(flaw.kind), flaw.part, flaw.digest.str(),
                        printable(names_text(flaw)), printable(flaw.why));
    if (flaw.moved) text += "  moved to .damaged\n";
    for (const std::string &command : remedy(flaw)) text += fmt::format("  mend: {}\n", printable(command));
  }
  text += fmt::format("{}: {} ({}) and {} of {}\n", check.clean() ? "clean" : "not clean",
                      counted(check.blobs, "blob"), bytes_text(check.bytes), counted(check.images, "name"),
                      printable(store.path().string()));
  if (check.unnamed > 0)
    text += fmt::format("no name leads to {} ({}); `pipe image gc` removes what nothing needs\n",
                        counted(check.unnamed, "blob"), bytes_text(check.unnamed_bytes));
  cli::print(text);
}

void print_as_json(const oci::StoreCheck &check, const oci::Store &store) {
  Value::List flaws;
  for (const oci::StoreFlaw &flaw : check.flaws) {
    Value::List images;
    for (const oci::StoredImage &image : flaw.images) images.emplace_back(image.name);
    flaws.emplace_back(Value::Map{{"kind", word_for(flaw.kind)},
                                  {"part", flaw.part},
                                  {"digest", flaw.digest.str()},
                                  {"why", flaw.why},
                                  {"images", std::move(images)},
                                  {"moved", flaw.moved},
                                  {"mend", json_of(remedy(flaw))}});
  }
  print_json(
      {{"store", store.path().string()},
       {"clean", check.clean()},
       {"names", json_of(check.images)},
       {"blobs", json_of(check.blobs)},
       {"bytes", json_of(check.bytes)},
       {"flaws", std::move(flaws)},
       {"unnamed", Value::Map{{"blobs", json_of(check.unnamed)}, {"bytes", json_of(check.unnamed_bytes)}}}});
}

int run(const Words &words) {
  const auto args = cli::arguments(kFsck, words);
  if (!args) return 0;
  const bool json = wants_json(*args);
  const std::chrono::milliseconds wait = wait_time(*args);
  words_of(*args, kFsck, 0, 0);
  oci::Store store = open_store();
  oci::StoreCheck check;
  {
    Watch watch;
    check = oci::check_store(store, watch);
    if (args->has("repair") && !check.flaws.empty()) oci::move_damaged(store, check, wait, watch);
  }
  json ? print_as_json(check, store) : print_as_text(check, store);
  return static_cast<int>(check.clean() ? Exit::done : Exit::step_failed);
}

}  // namespace

const Verb kFsck{
    "image fsck",
    "[--repair] [--wait TIME] [--output json]",
    "Check that the store is whole",
    "Hashes every blob of the store again and follows every name. Says what is missing or damaged, and the\n"
    "command that mends it. Ends with 0 if the store is clean (as it is left, with --repair), else with 1.\n"
    "Changes nothing without --repair, and deletes nothing at all.\n\n"
    "  pipe image fsck",
    options,
    run};

}  // namespace pipes::image
