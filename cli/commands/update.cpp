#include "cli/commands/commands.h"
#include "cli/commands/intake_report.h"
#include "cli/session.h"

namespace casevault {
namespace {

int run_update(Invocation& call) {
  const ObjectName record = record_argument(call.argument(0));
  OpenVault vault(call);
  bool reported = false;
  IntakeObserver observer = intake_observer(call, "adding");
  observer.added = [&](const Added& added) {
    reported = true;
    print_added(call, added);
  };
  const Added added = update_record(vault.session(), record, call.argument(1), observer);
  call.out().end_progress();
  if (!reported) print_added(call, added);
  return 0;
}

}  // namespace

Command update_command() {
  return {
      .name = "update",
      .arguments = "RECORD PATH",
      .min_arguments = 2,
      .max_arguments = 2,
      .summary = "add a new version of a record",
      .description =
          "The content of PATH becomes the newest version; older versions stay and can be read with cat --version N.\n"
          "A testimony keeps its facts.",
      .statuses = {Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed, Errc::kNotFound,
                   Errc::kDamaged, Errc::kAuditUnavailable, Errc::kNoSpace, Errc::kInterrupted},
      .run = run_update,
      .in_guard = true,
  };
}

}  // namespace casevault
