#pragma once
#include "core/run/redactor.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace pipes {

/// How the name of a note begins that stands for data: what only `pipe down --data` takes away.
inline constexpr std::string_view kDataNote = "data ";

/// What steps leave behind for `undo`: what they remembered, and their outputs (which the parameters of
/// later steps refer to).
class Memory {
 public:
  virtual ~Memory() = default;
  virtual Value::Map remembered(const std::string &step) const = 0;
  /// Of that, what was remembered with the settings of this run.
  virtual Value::Map made(const std::string &step) const { return remembered(step); }
  /// On disk once this returns; null forgets. Says what went wrong, or nothing.
  virtual std::string remember(const std::string &step, const std::string &key, const Value &) = 0;
  virtual Value::Map outputs(const std::string &step) const = 0;
  /// Best effort: without it `pipe down` does not know what to take back from later steps.
  virtual void keep_outputs(const std::string &step, const Value::Map &) = 0;
};

/// Of notes, those that are not forgotten: the ones whose keys are in `all`, too.
Value::Map not_forgotten(Value::Map notes, const Value::Map &all);
/// The keys of all that steps remembered in the folder `here` and that is not forgotten in the folder `all`.
std::vector<std::string> keys_not_forgotten(const std::filesystem::path &here,
                                            const std::filesystem::path &all);

/// For `pipe step`, which has no `down`: nothing is kept.
class NoMemory final : public Memory {
 public:
  Value::Map remembered(const std::string &) const override { return {}; }
  std::string remember(const std::string &, const std::string &, const Value &) override { return {}; }
  Value::Map outputs(const std::string &) const override { return {}; }
  void keep_outputs(const std::string &, const Value::Map &) override {}
};

/// One JSON file a step and kind in a folder of the pipeline, replaced by rename. The folder is made
/// when there is something to keep. Outputs outlive `down`: what stayed because it is data is undone with
/// the same parameters later.
class DiskMemory final : public Memory {
 public:
  /// No secret that `redactor` knows gets to disk: outputs are masked, remembering one is refused.
  DiskMemory(std::filesystem::path folder, const Redactor &redactor)
      : folder_(std::move(folder)), redactor_(redactor) {}
  Value::Map remembered(const std::string &step) const override;
  std::string remember(const std::string &step, const std::string &key, const Value &) override;
  Value::Map outputs(const std::string &step) const override;
  void keep_outputs(const std::string &step, const Value::Map &) override;

 private:
  std::filesystem::path file(const std::string &step, const char *kind) const;
  std::filesystem::path folder_;
  const Redactor &redactor_;
};

}  // namespace pipes
