#include "core/base/error.hpp"
#include "core/cli/print.hpp"
#include "core/report/text.hpp"
#include "image/common.hpp"

#include <fmt/core.h>
#include <pipe/oci/copy.hpp>

#include <algorithm>

namespace pipes::image {
namespace {

std::vector<Option> options() {
  std::vector<Option> all = registry_options();
  all.push_back(output_option());
  return all;
}

oci::Reference repository_of(const std::string &text) {
  oci::Reference reference = usage([&] { return oci::Reference::parse(text); });
  // What is written without a tag is "latest".
  const bool tagged = reference.tag != "latest" || text.ends_with(":latest");
  if (tagged || reference.digest)
    throw Error(Exit::usage, fmt::format("{} names one image, and a repository is expected", text),
                fmt::format("`pipe image tags {}`", reference.name()));
  return reference;
}

int run(const Words &words) {
  const auto args = cli::arguments(kTags, words);
  if (!args) return 0;
  const bool json = wants_json(*args);
  const oci::Reference repository = repository_of(words_of(*args, kTags, 1, 1).front());
  Watch watch;
  const oci::RegistryOptions how = registry_options(*args);
  std::vector<std::string> tags = oci::Copier(how, how, watch).tags(repository);
  std::ranges::sort(tags);  // registries have them in any order
  if (json) {
    print_json({{"repository", repository.name()}, {"tags", json_of(tags)}});
    return 0;
  }
  std::string text;
  for (const std::string &tag : tags) text += printable(tag) + "\n";
  cli::print(text);
  return 0;
}

}  // namespace

const Verb kTags{"image tags",
                 "REPOSITORY [--output json]",
                 "List the tags of a repository in a registry",
                 "Lists the tags of a repository, one a line, in the order of the registry.\n\n"
                 "  pipe image tags localhost:5000/app",
                 options,
                 run};

}  // namespace pipes::image
