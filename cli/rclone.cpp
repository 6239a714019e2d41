#include "cli/rclone.h"

namespace casevault {

RcloneSettings rclone_settings(const Process& process) {
  RcloneSettings settings;
  settings.search_path = process.variable("PATH").value_or("/usr/local/bin:/usr/bin:/bin");
  for (const char* name : rclone_variables()) {
    if (const auto value = process.variable(name)) settings.variables[name] = *value;
  }
  settings.variables["LANG"] = "C.UTF-8";
  return settings;
}

}  // namespace casevault
