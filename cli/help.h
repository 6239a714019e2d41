#pragma once
#include <string>

#include "cli/command.h"

namespace casevault {

// All made from the table of commands, so that they cannot differ from what the parser takes.

std::string overview();  ///< every command in a line
std::string help_of(const Command& command);
std::string man_page();  ///< troff, for `man`
std::string bash_completion();
std::string zsh_completion();
std::string fish_completion();

}  // namespace casevault
