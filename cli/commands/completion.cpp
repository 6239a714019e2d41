#include "cli/commands/commands.h"
#include "cli/help.h"

namespace casevault {
namespace {

int run_completion(Invocation& call) {
  const std::string& shell = call.argument(0);
  if (shell == "bash") {
    call.out().text(bash_completion());
  } else if (shell == "zsh") {
    call.out().text(zsh_completion());
  } else if (shell == "fish") {
    call.out().text(fish_completion());
  } else {
    throw Error(Errc::kUsage, "no completion for '" + shell + "': bash, zsh or fish", help_hint(call.command()));
  }
  return 0;
}

}  // namespace

Command completion_command() {
  return {
      .name = "completion",
      .arguments = "bash|zsh|fish",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "what lets a shell complete casevault's words",
      .description =
          "Prints a script. For bash: casevault completion bash > ~/.local/share/bash-completion/completions/casevault",
      .run = run_completion,
  };
}

}  // namespace casevault
