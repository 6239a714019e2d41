#pragma once
#include "cli/process.h"
#include "vault/replica/store.h"

namespace casevault {

/// What rclone may see of the process's environment.
RcloneSettings rclone_settings(const Process& process);

}  // namespace casevault
