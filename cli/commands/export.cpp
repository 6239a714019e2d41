#include "cli/commands/commands.h"
#include "cli/json.h"
#include "cli/session.h"

namespace casevault {
namespace {

void print_exported(Invocation& call, const Exported& exported) {
  if (call.json()) {
    call.out().object({{"object", exported.object},
                       {"path", exported.path},
                       {"original_name", exported.original_name},
                       {"size", exported.size}});
    return;
  }
  call.out().line(exported.object + "  " + exported.path);
  if (!exported.original_name.empty()) {
    call.out().note(exported.path + ": the name was made safe; in the vault it is " + exported.original_name);
  }
}

int run_export(Invocation& call) {
  std::vector<ObjectName> objects;
  for (const std::string& word : call.positional()) objects.push_back(object_argument(word));
  const std::string folder = *call.value("to");
  if (folder.empty()) throw Error(Errc::kUsage, "--to is empty: which folder?", help_hint(call.command()));
  OpenVault vault(call);
  const ExportObserver observer = {
      .exported = [&](const Exported& exported) { print_exported(call, exported); },
      .progress = [&](std::uint64_t done, std::uint64_t total) { call.out().progress("exporting", done, total); },
  };
  const std::size_t count = export_records(vault.session(), objects, folder, observer);
  call.out().end_progress();
  call.out().note(count_of(count, "file", "files") + " exported to " + folder + ", readable by anybody who has them");
  if (count > 0)
    call.out().next("check them anywhere: cd " + shell_word(folder) + " && sha256sum -c manifest-sha256.txt");
  return 0;
}

}  // namespace

Command export_command() {
  return {
      .name = "export",
      .arguments = "CASE|RECORD...",
      .min_arguments = 1,
      .max_arguments = kAnyNumber,
      .summary = "write records as plain files",
      .description =
          "Writes the newest versions below the folder DIR, made if missing, and manifest-sha256.txt beside them. "
          "Overwrites nothing.\n"
          "Names that would be unsafe on Linux, FAT or NTFS are changed, and said. Withdrawn records are left out. The "
          "files are\n"
          "plain: protect them, or delete them when they have served.",
      .options = {{.name = "to", .value = "DIR", .help = "the folder", .required = true}},
      .statuses = {Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed, Errc::kNotFound,
                   Errc::kDamaged, Errc::kAuditUnavailable, Errc::kNoSpace, Errc::kInterrupted},
      .run = run_export,
      .in_guard = true,
  };
}

}  // namespace casevault
