#include "cli/help.h"

#include "cli/commands/commands.h"

namespace casevault {
namespace {

int run_help(Invocation& call) {
  if (call.has("man")) {
    call.out().text(man_page());
    return 0;
  }
  if (call.positional().empty()) {
    call.out().text(overview());
    return 0;
  }
  std::string name;
  for (const std::string& word : call.positional()) name += (name.empty() ? "" : " ") + word;
  if (const Command* command = find_command(name)) {
    call.out().text(help_of(*command));
    return 0;
  }
  // A group, such as "user".
  std::string group;
  for (const Command& command : commands()) {
    if (std::string_view(command.name).starts_with(name + " ")) group += (group.empty() ? "" : "\n") + help_of(command);
  }
  if (group.empty()) {
    const std::string nearest = nearest_command(name);
    throw Error(Errc::kUsage,
                "unknown command '" + name + "'" + (nearest.empty() ? "" : "; did you mean '" + nearest + "'?"),
                "casevault help");
  }
  call.out().text(group);
  return 0;
}

}  // namespace

Command help_command() {
  return {
      .name = "help",
      .arguments = "[COMMAND]",
      .max_arguments = 2,
      .summary = "explain a command, or list them all",
      .description = "Without COMMAND: every command in a line.",
      .options = {{.name = "man", .value = nullptr, .help = "the manual page of everything, as troff"}},
      .run = run_help,
  };
}

}  // namespace casevault
