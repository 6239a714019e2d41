#include "cli/rclone.h"

#include "cli/format.h"
#include "vault/replica/layout.h"

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

RestoreRequest replica_source(Invocation& call, std::string source) {
  RestoreRequest request{.source = std::move(source), .older = call.has("older")};
  const auto text = call.value("snapshot");
  if (!text) return request;
  request.snapshot = parse_number(*text);
  if (const auto name = std::string(kSnapshotFolder) + *text + ".json"; is_snapshot_name(name)) {
    request.snapshot = number_in_name(name);
    request.file = name;
  }
  if (!request.snapshot)
    throw Error(Errc::kUsage, "--snapshot takes a number, or the name of a file in snapshots/ without .json",
                help_hint(call.command()));
  return request;
}

}  // namespace casevault
