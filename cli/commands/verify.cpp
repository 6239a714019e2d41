#include "vault/verify.h"

#include "cli/commands/commands.h"
#include "cli/commands/findings.h"
#include "cli/json.h"
#include "cli/session.h"

namespace casevault {
namespace {

int run_verify(Invocation& call) {
  const bool quick = call.has("quick");
  OpenVault vault(call);
  const VerifyResult result = verify_vault(vault.session(), quick, [&](std::uint64_t done, std::uint64_t total) {
    call.out().progress("verifying", done, total);
  });
  call.out().end_progress();
  print_findings(call, result.findings);
  if (call.json()) {
    call.out().object({{"clean", result.clean()},
                       {"cases", result.cases_checked},
                       {"cases_closed_to_me", result.cases_closed_to_me},
                       {"versions", result.versions_checked},
                       {"bodies", result.bodies_checked},
                       {"bodies_absent", result.bodies_absent},
                       {"audit_entries", result.audit_entries},
                       {"quick", quick}});
  } else {
    call.out().line("checked: " + count_of(result.cases_checked, "case", "cases") + ", " +
                    count_of(result.versions_checked, "version", "versions") + " of records, " +
                    count_of(result.bodies_checked, "large file", "large files") +
                    (quick ? " (without their content), " : ", ") +
                    count_of(result.audit_entries, "audit entry", "audit entries"));
    if (result.clean()) call.out().line("nothing bad was found");
  }
  if (result.cases_closed_to_me > 0) {
    call.out().note(count_of(result.cases_closed_to_me, "case is", "cases are") +
                    " closed to you: only that the files are there was checked");
  }
  if (result.clean()) return result.bodies_absent > 0 ? static_cast<int>(Errc::kPartial) : 0;
  call.out().hint("do not throw the vault away: what is not named is sound; compare with a copy made earlier");
  return static_cast<int>(Errc::kDamaged);
}

}  // namespace

Command verify_command() {
  return {
      .name = "verify",
      .arguments = "",
      .max_arguments = 0,
      .summary = "check everything that your keys reach",
      .description =
          "Checks every signature, grant, row, hash, chunk and log entry, and names what is bad, what it means and "
          "what to do. Goes on\n"
          "after each finding. Status 15 when something is bad; 3 when nothing is, but large files were never fetched "
          "(restore --case).",
      .options = {{.name = "quick", .value = nullptr, .help = "leave out the content of large files"}},
      .statuses = {Errc::kPartial, Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed,
                   Errc::kDamaged, Errc::kAuditUnavailable, Errc::kInterrupted},
      .run = run_verify,
      .in_guard = true,
  };
}

}  // namespace casevault
