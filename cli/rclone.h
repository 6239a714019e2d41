#pragma once
#include "cli/command.h"
#include "cli/process.h"
#include "vault/replica/restore.h"
#include "vault/replica/store.h"

namespace casevault {

/// What rclone may see of the process's environment.
RcloneSettings rclone_settings(const Process& process);

/// A source with the options --snapshot and --older. @throws Error{kUsage}
RestoreRequest replica_source(Invocation& call, std::string source);

}  // namespace casevault
