#include "layout_names.hpp"

#include <pipe/oci/reference.hpp>

#include <algorithm>
#include <cerrno>

namespace pipes::oci {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kPause{1};  // what a killed process may have left without a name
constexpr std::size_t kBroken = static_cast<std::size_t>(-1);

/// As a registry would have it; empty where none could: names in layouts need not be such.
std::string whole_name(std::string_view name) {
  try {
    return name.empty() ? std::string() : Reference::parse(name).str();
  } catch (const sdk::Error &) {
    return {};
  }
}

bool is_same_file(const struct stat &one, const struct stat &other) {
  // Other tools may write into the file that is there.
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino && one.st_size == other.st_size &&
         one.st_mtim.tv_sec == other.st_mtim.tv_sec && one.st_mtim.tv_nsec == other.st_mtim.tv_nsec;
}

}  // namespace

NameTable::NameTable(const Json &index, std::string_view where) {
  for (const Json &entry : index["manifests"]) {
    try {
      images_.push_back(read_entry(entry, where));
      names_.try_emplace(images_.back().name, images_.size() - 1);
    } catch (const sdk::Error &error) {
      if (!broken_) broken_ = error;
      names_.try_emplace(entry_name(entry), kBroken);
    }
  }
}

const std::vector<StoredImage> &NameTable::images() const {
  if (broken_) throw *broken_;
  return images_;
}

const StoredImage *NameTable::named(std::string_view name) const {
  const auto found = names_.find(std::string(name));
  if (name.empty() || found == names_.end()) return nullptr;
  if (found->second == kBroken) throw *broken_;
  return &images_[found->second];
}

void NameTable::understand() const {
  for (std::size_t i = 0; i < images_.size(); ++i) {
    const StoredImage &image = images_[i];
    const auto by_digest = meanings_.try_emplace(image.descriptor.digest.str(), i).first;
    if (images_[by_digest->second].name.empty()) by_digest->second = i;
    if (!image.name.empty()) meanings_.try_emplace(image.name, i);
    const auto noted = image.descriptor.annotations.find(kContainerdName);
    for (const std::string &name :
         {image.name, noted == image.descriptor.annotations.end() ? std::string() : noted->second})
      if (const std::string whole = whole_name(name); !whole.empty()) meanings_.try_emplace(whole, i);
  }
}

const StoredImage *NameTable::meant(std::string_view ref) const {
  if (broken_) throw *broken_;
  std::call_once(understood_, [this] { understand(); });
  std::size_t first = images_.size();
  for (const std::string &key : {std::string(ref), whole_name(ref)})
    if (const auto found = meanings_.find(key); found != meanings_.end() && !key.empty())
      first = std::min(first, found->second);
  return first == images_.size() ? nullptr : &images_[first];
}

std::shared_ptr<const NameTable> LayoutNames::now() const {
  const std::lock_guard lock(mutex_);
  struct stat there {};
  if (table_ && lstat(file_.c_str(), &there) == 0 && is_same_file(there, status_)) return table_;
  UniqueFd fd = open_regular(file_);
  if (!fd) return nullptr;
  if (fstat(fd.get(), &there) != 0) throw_io("read", file_, errno);
  table_ = std::make_shared<const NameTable>(read_index(fd.get(), file_), file_.string());
  fd_ = std::move(fd);
  status_ = there;
  return table_;
}

Store::Names::~Names() {
  try {
    write();
  } catch (const sdk::Error &) {  // NOLINT(bugprone-empty-catch): who has to know calls it
  }
}

std::shared_ptr<const NameTable> Store::Names::written() const {
  std::shared_ptr<const NameTable> table = written_.now();
  if (!table) throw_io("read", root_ / "index.json", ENOENT);
  return table;
}

std::optional<Descriptor> Store::Names::find(std::string_view name) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = waiting_.find(name); found != waiting_.end()) return found->second;
  }
  const std::shared_ptr<const NameTable> table = written();
  const StoredImage *image = table->named(name);
  return image == nullptr ? std::nullopt : std::optional(image->descriptor);
}

std::optional<StoredImage> Store::Names::meant(std::string_view text) {
  write();
  const std::shared_ptr<const NameTable> table = written();
  const StoredImage *image = table->meant(text);
  return image == nullptr || image->name.empty() ? std::nullopt : std::optional(*image);
}

std::vector<StoredImage> Store::Names::list() {
  write();
  return written()->images();
}

void Store::Names::give(std::string_view name, const Descriptor &image) {
  const std::lock_guard lock(mutex_);
  NamedImages before = waiting_;
  waiting_.insert_or_assign(std::string(name), image);
  try {
    write_waiting();
  } catch (...) {
    waiting_ = std::move(before);
    throw;
  }
}

void Store::Names::give_soon(std::string_view name, const Descriptor &image) {
  const std::lock_guard lock(mutex_);
  waiting_.insert_or_assign(std::string(name), image);
  if (Clock::now() - last_ >= kPause) write_waiting();
}

void Store::Names::write() {
  const std::lock_guard lock(mutex_);
  write_waiting();
}

void Store::Names::write_waiting() {
  if (waiting_.empty()) return;
  set_images(root_, waiting_);
  waiting_.clear();
  last_ = Clock::now();
}

}  // namespace pipes::oci
