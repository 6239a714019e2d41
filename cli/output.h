#pragma once
#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/process.h"

namespace casevault {

/// Nobody reads standard output any more (a closed pipe): the command stops quietly.
struct OutputClosed {};

/// What the program says: results to standard output, all else to standard error. Text is made safe for terminals here
/// and nowhere else (escape_for_display); JSON and raw content are not touched.
class Output {
 public:
  explicit Output(Process& process) : process_(process) {}

  void set_json(bool on) { json_ = on; }
  void set_quiet(bool on) { quiet_ = on; }
  bool json() const { return json_; }
  bool quiet() const { return quiet_; }
  bool to_terminal() const { return process_.out_is_terminal; }

  // Results. @throws OutputClosed; Error: kNoSpace, kInternal when they cannot be written.
  void line(std::string_view text);                   ///< one line, escaped
  void object(const nlohmann::ordered_json& object);  ///< one line
  void text(std::string_view text);                   ///< our own words of several lines, as they are
  void raw(ByteView content);
  void flush();

  // To standard error, each one line behind "casevault: ".
  void note(std::string_view text);  ///< not with --quiet
  void warning(std::string_view text);
  void error(std::string_view text);
  void hint(std::string_view text);
  void next(std::string_view text);  ///< a hint after success: what one may want to do now; not with --quiet

  /// A bar on standard error: only on a terminal, from the second second on, until the next line or end_progress.
  void progress(std::string_view what, std::uint64_t done, std::uint64_t total);
  void end_progress();

 private:
  void say(std::string_view kind, std::string_view text);
  void check_written();
  void clear_bar();

  using Clock = std::chrono::steady_clock;
  Process& process_;
  bool json_ = false;
  bool quiet_ = false;
  bool bar_shown_ = false;
  Clock::time_point work_began_{};
  Clock::time_point bar_drawn_{};
};

/// Rows whose columns are aligned by what a terminal shows; numbers to the right.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string head;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// @pre as many cells as columns
  void add(std::vector<std::string> cells);
  /// Nothing for no rows.
  void print(Output& output) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  // escaped
};

/// `Name:  value` lines, values aligned; empty values are left out.
class Facts {
 public:
  void add(std::string name, const std::string& value);
  void print(Output& output) const;

 private:
  std::vector<std::pair<std::string, std::string>> rows_;
};

}  // namespace casevault
