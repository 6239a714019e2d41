#include <algorithm>

#include "cli/commands/commands.h"
#include "cli/json.h"
#include "cli/passphrase.h"
#include "cli/session.h"
#include "vault/custody/shares.h"

namespace casevault {
namespace {

std::string what_could_bring_it_back(Session& session, const std::string& case_name) {
  const std::string copy =
      "a copy of the disk made earlier, or a remnant on flash, together with the passphrase of a "
      "member of the case could bring it back";
  if (shown_plan(session) == nullptr) return copy + "; custody, which would prevent that, is not set up";
  for (const auto& waiting : still_to_forget(session)) {
    if (std::ranges::find(waiting.of, case_name) != waiting.of.end())
      return "until every custodian has deleted its share of the former key, " + copy +
             "; they are told when an owner next unlocks: casevault custody status";
  }
  return "the custodians have deleted their shares of the former key; but a copy of the disk from before " + case_name +
         " was under custody still opens with a passphrase of then";
}

int run_withdraw(Invocation& call) {
  const ObjectName record = record_argument(call.argument(0));
  const std::string name = to_string(record);
  const std::string reason = *call.value("reason");
  if (reason.empty())
    throw Error(Errc::kUsage, "--reason is empty: it is what remains of the record", help_hint(call.command()));
  confirm(call, "Destroy the content of " + name + ", all versions, for good?", name + " was not withdrawn");
  OpenVault vault(call);
  withdraw_record(vault.session(), record, reason);
  if (call.json()) {
    call.out().object({{"object", name}, {"withdrawn", true}, {"reason", reason}});
  } else {
    call.out().line(name + " is withdrawn: its content is gone from this vault, and the case has a new key");
  }
  call.out().warning(what_could_bring_it_back(vault.session(), case_name(record.case_number)));
  call.out().note("files that were exported or copied elsewhere are not touched");
  return 0;
}

}  // namespace

Command withdraw_command() {
  return {
      .name = "withdraw",
      .arguments = "RECORD",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "destroy a record's content, as when consent is withdrawn",
      .description =
          "Destroys the content and details of all versions by key: the case gets a new key, and everything but this "
          "record is encrypted\n"
          "anew under it. That it existed, who added it, who withdrew it and why stays, and the audit log stays valid. "
          "You must manage\n"
          "the case. Asks first; --yes answers.\n"
          "\n"
          "Without custody, a copy of the disk made earlier, or a remnant on flash, plus a member's passphrase could "
          "bring it back.",
      .options = {{.name = "reason", .value = "TEXT", .help = "why; kept for ever, so name nobody", .required = true}},
      .statuses = {Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed, Errc::kNotFound,
                   Errc::kDamaged, Errc::kAuditUnavailable, Errc::kNoSpace, Errc::kInterrupted},
      .run = run_withdraw,
      .in_guard = true,
  };
}

}  // namespace casevault
