#pragma once
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/output.h"
#include "cli/process.h"
#include "crypto/error.h"

namespace casevault {

class Invocation;

/// `--name VALUE`, or a flag where `value` is null.
struct Option {
  const char* name;
  const char* value;  // how the help calls it: "NAME", "DIR", "owner|member|auditor"
  const char* help;
  bool repeatable = false;
  bool required = false;
  const char* key =
      nullptr;  // how `run` asks for it where the name is also a global option's: behind the command it is this one
  const char* key_or_name() const { return key ? key : name; }
};

inline constexpr std::size_t kAnyNumber = std::numeric_limits<std::size_t>::max();

/// One row of the table of commands: everything that the parser, the help, the manual and the completions know of it.
struct Command {
  const char* name;       // "list", "user join"
  const char* arguments;  // "CASE PATH..."
  std::size_t min_arguments;
  std::size_t max_arguments;
  const char* summary;      // half a line, without a full stop
  const char* description;  // paragraphs, lines broken as they shall stand
  std::vector<Option> options;
  std::vector<Errc> statuses;  // those besides 0 to 3 that this command may end with, for the help
  int (*run)(Invocation&);
  bool in_guard = false;  // opens the vault and needs no passphrase for anything else: a guard may run it
};

/// All commands, in the order of the help.
std::span<const Command> commands();
/// Options that stand before or after any command.
std::span<const Option> global_options();
/// nullptr when there is none of that name.
const Command* find_command(std::string_view name);
/// The name of a command that `name` may have been meant to be, or empty.
std::string nearest_command(std::string_view name);
/// "shares were refused" and the like, as the help explains an exit status.
const char* meaning_of(Errc status);

/// Arguments of the user's as they were written, checked against the command's row.
struct Arguments {
  std::vector<std::string> positional;
  std::map<std::string, std::vector<std::string>, std::less<>> options;
};

/// Which command the words call, and its arguments. @throws Error{kUsage} for whatever does not fit its row.
struct ParsedLine {
  const Command* command = nullptr;  // none: no command was named
  Arguments arguments;
};
ParsedLine parse_line(const std::vector<std::string>& words);

/// One call of one command: what `run` of a command gets.
class Invocation {
 public:
  Invocation(Process& process, Output& output, const Command& command, Arguments arguments)
      : process_(process), output_(output), command_(command), arguments_(std::move(arguments)) {}

  Process& process() const { return process_; }
  Output& out() const { return output_; }
  const Command& command() const { return command_; }

  const std::vector<std::string>& positional() const { return arguments_.positional; }
  /// @pre there are more than `index`
  const std::string& argument(std::size_t index) const { return arguments_.positional.at(index); }
  bool has(std::string_view option) const { return arguments_.options.contains(option); }
  std::optional<std::string> value(std::string_view option) const;
  std::string value_or(std::string_view option, std::string otherwise) const {
    return value(option).value_or(std::move(otherwise));
  }
  std::vector<std::string> values(std::string_view option) const;
  bool json() const { return output_.json(); }

  /// --vault or CASEVAULT_DIR. @throws Error{kUsage} without either.
  std::string vault_folder() const;
  /// --user, CASEVAULT_USER or the login name. @throws Error{kUsage} when it cannot be a user's name.
  std::string user() const;

 private:
  Process& process_;
  Output& output_;
  const Command& command_;
  Arguments arguments_;
};

/// "see `casevault help NAME`"
std::string help_hint(const Command& command);

}  // namespace casevault
