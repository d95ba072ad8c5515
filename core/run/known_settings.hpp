#pragma once
#include "core/run/memory.hpp"

#include <filesystem>
#include <optional>
#include <vector>

namespace pipes {

/// The settings that a pipeline has run with. Each has a folder of its own for the outputs of its steps, so
/// that `down` takes back what was made with the settings it is given, whatever ran since. The functions
/// throw std::system_error.
class KnownSettings {
 public:
  /// What is left of what was made with settings.
  enum class Left { nothing, data, things };
  struct Standing {
    Value::Map settings;
    bool only_data = false;
  };
  /// How many are kept; beyond it those go first that were taken back, then the ones not used for longest.
  static constexpr std::size_t kKept = 200;

  /// `memory`: the folder of the pipeline. Nothing is made in it yet.
  explicit KnownSettings(std::filesystem::path memory) : memory_(std::move(memory)) {}

  /// Where the outputs of a run with them are.
  std::filesystem::path folder(const Value::Map &settings) const;
  /// Notes that a run with them begins: before it makes anything, as it may be killed.
  void begin(const Value::Map &settings);
  /// Notes that a run with them made nothing, so that it is as if there had been none.
  void made_nothing(const Value::Map &settings);
  /// Notes that all that was made with them is gone, data and all.
  void end(const Value::Map &settings);
  bool has(const Value::Map &settings) const;
  Left left(const Value::Map &settings) const { return left_in(folder(settings)); }
  /// All of which something is left, the newest first.
  std::vector<Standing> standing() const;

 private:
  struct Note {
    Value::Map settings;
    bool is_gone = false, made_nothing = false;
  };
  struct Entry {
    std::filesystem::path folder;
    Note note;
    std::filesystem::file_time_type used;
  };
  static std::optional<Note> read(const std::filesystem::path &folder);
  Left left_in(const std::filesystem::path &folder) const;
  std::vector<Entry> entries() const;
  void write(const Note &) const;
  void prune() const;

  std::filesystem::path memory_;
};

/// The memory of a run with certain settings: what steps remembered belongs to the pipeline, as it is kept
/// by the name of the thing; their outputs belong to the settings.
class SettingsMemory final : public Memory {
 public:
  SettingsMemory(const std::filesystem::path &memory, const std::filesystem::path &settings,
                 const Redactor &redactor)
      : notes_(memory, redactor), outputs_(settings, redactor) {}
  Value::Map remembered(const std::string &step) const override { return notes_.remembered(step); }
  Value::Map made(const std::string &step) const override;
  std::string remember(const std::string &step, const std::string &key, const Value &value) override;
  Value::Map outputs(const std::string &step) const override { return outputs_.outputs(step); }
  void keep_outputs(const std::string &step, const Value::Map &outputs) override {
    outputs_.keep_outputs(step, outputs);
  }

 private:
  DiskMemory notes_, outputs_;  // outputs_ has notes, too: those of these settings
};

}  // namespace pipes
