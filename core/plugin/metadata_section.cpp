#include "core/base/error.hpp"
#include "core/base/fd.hpp"
#include "core/plugin/registry.hpp"

#include <pipe/plugin.h>

#include <fcntl.h>
#include <fmt/core.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace pipes {
namespace {

constexpr std::uint64_t kMaxMetadata = 1U << 20;

#if defined(__x86_64__)
constexpr GElf_Half kMachine = EM_X86_64;
constexpr std::string_view kMachineName = "x86-64";
#elif defined(__aarch64__)
constexpr GElf_Half kMachine = EM_AARCH64;
constexpr std::string_view kMachineName = "arm64";
#elif defined(__riscv)
constexpr GElf_Half kMachine = EM_RISCV;
constexpr std::string_view kMachineName = "riscv";
#else
#error "name the ELF machine of this platform"
#endif
constexpr int kClass = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
constexpr int kData = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

struct EndElf {
  void operator()(Elf *elf) const { elf_end(elf); }
};
using UniqueElf = std::unique_ptr<Elf, EndElf>;

/// Reads one file. libelf only decodes: each offset and size it reports is checked against the file
/// here, because loading a file that is shorter than its headers say kills the process with SIGBUS.
class Reader {
 public:
  explicit Reader(const std::filesystem::path &path) : path_(path) { open(); }

  std::string section() {
    begin();
    check_segments();
    std::size_t names = 0;
    if (elf_getshdrstrndx(elf_.get(), &names) != 0) damaged("it does not say where its section names are");
    for (Elf_Scn *section = nullptr; (section = elf_nextscn(elf_.get(), section)) != nullptr;) {
      GElf_Shdr header;
      if (gelf_getshdr(section, &header) == nullptr) damaged("a section header cannot be read");
      const char *name = elf_strptr(elf_.get(), names, header.sh_name);
      if (name != nullptr && std::strcmp(name, PIPE_METADATA_SECTION) == 0) return contents(header);
    }
    fail("is no plugin: it has no section `" PIPE_METADATA_SECTION "`",
         "build it with pipe_add_plugin(), which keeps that section");
  }

 private:
  [[noreturn]] void fail(const std::string &why, const std::string &hint) const {
    throw Error(Exit::plugin, fmt::format("plugin file {} {}", path_.string(), why), hint);
  }
  [[noreturn]] void damaged(const std::string &why) const {
    fail("is damaged: " + why, "build or install it again");
  }

  void open() {
    // O_NONBLOCK: a FIFO of that name must not hang the scan.
    fd_ = UniqueFd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd_)
      fail(fmt::format("cannot be read: {}", std::strerror(errno)), "check the file and its permissions");
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) fail(fmt::format("cannot be read: {}", std::strerror(errno)), "");
    if (!S_ISREG(info.st_mode)) fail("is not a regular file", "");
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
      fail("is not trusted: others than its owner may write to it",
           fmt::format("if you trust what it holds: chmod go-w {}", path_.string()));
    }
    size_ = static_cast<std::uint64_t>(info.st_size);
  }

  void begin() {
    elf_version(EV_CURRENT);
    elf_.reset(elf_begin(fd_.get(), ELF_C_READ, nullptr));
    const char *ident =
        elf_ && elf_kind(elf_.get()) == ELF_K_ELF ? elf_getident(elf_.get(), nullptr) : nullptr;
    GElf_Ehdr header;
    if (ident == nullptr || gelf_getehdr(elf_.get(), &header) == nullptr) {
      fail("is not a shared library", "plugins are ELF shared libraries named pipe-<step>.so");
    }
    if (header.e_machine != kMachine || ident[EI_CLASS] != kClass || ident[EI_DATA] != kData) {
      fail(fmt::format("is built for another machine (this one is {})", kMachineName),
           "build it for this machine");
    }
    if (header.e_type != ET_DYN) fail("is not a shared library", "build it with pipe_add_plugin()");
    if (header.e_shoff == 0 || header.e_shnum == 0) damaged("it has no section table");
    check_range("its section table", header.e_shoff, std::uint64_t{header.e_shnum} * header.e_shentsize);
    check_range("its program headers", header.e_phoff, std::uint64_t{header.e_phnum} * header.e_phentsize);
  }

  void check_range(std::string_view what, std::uint64_t offset, std::uint64_t length) const {
    if (offset > size_ || length > size_ - offset) {
      fail(fmt::format("is truncated: {} should end at byte {}, the file at byte {}", what, offset + length,
                       size_),
           "build or install it again");
    }
  }

  void check_segments() const {
    std::size_t count = 0;
    if (elf_getphdrnum(elf_.get(), &count) != 0) damaged("its program headers cannot be read");
    for (std::size_t i = 0; i < count; ++i) {
      GElf_Phdr segment;
      if (gelf_getphdr(elf_.get(), static_cast<int>(i), &segment) == nullptr) {
        damaged("a program header cannot be read");
      }
      if (segment.p_type == PT_LOAD) check_range("a segment", segment.p_offset, segment.p_filesz);
    }
  }

  std::string contents(const GElf_Shdr &header) const {
    if (header.sh_type != SHT_PROGBITS || (header.sh_flags & SHF_COMPRESSED) != 0) {
      damaged("its metadata section has a wrong type");
    }
    check_range("its metadata", header.sh_offset, header.sh_size);
    if (header.sh_size > kMaxMetadata) {
      damaged(fmt::format("its metadata of {} bytes is larger than {}", header.sh_size, kMaxMetadata));
    }
    std::string text(header.sh_size, '\0');
    std::size_t done = 0;
    while (done < text.size()) {
      const ssize_t got = ::pread(fd_.get(), text.data() + done, text.size() - done,
                                  static_cast<off_t>(header.sh_offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) damaged("its metadata cannot be read");
      done += static_cast<std::size_t>(got);
    }
    return text;
  }

  const std::filesystem::path &path_;
  UniqueFd fd_;
  std::uint64_t size_ = 0;
  UniqueElf elf_;
};

}  // namespace

std::string read_metadata_section(const std::filesystem::path &path) {
  return Reader(path).section();
}

}  // namespace pipes
