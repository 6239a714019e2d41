#pragma once
#include "cli/command.h"

namespace casevault {

// One function per command or group of commands, each in a file of its name.
Command init_command();
Command status_command();
std::vector<Command> user_commands();
std::vector<Command> case_commands();
Command add_command();
Command testimony_add_command();
Command update_command();
std::vector<Command> reading_commands();  // list, show, history
Command cat_command();
Command export_command();
Command search_command();
Command withdraw_command();
std::vector<Command> contact_commands();
Command share_command();
Command receive_command();
std::vector<Command> audit_commands();
std::vector<Command> custody_commands();
std::vector<Command> order_commands();
std::vector<Command> recovery_commands();
Command verify_command();
std::vector<Command> custodian_commands();
Command unlock_command();
Command lock_command();
Command guard_command();
Command panic_command();
Command replicate_command();
Command restore_command();
Command help_command();
Command version_command();
Command completion_command();

}  // namespace casevault
