#include "cli/commands/commands.h"
#include "cli/commands/findings.h"
#include "cli/json.h"
#include "cli/session.h"

namespace casevault {
namespace {

const std::vector<Errc> kStatuses = {Errc::kNoVault,    Errc::kBusy,    Errc::kWrongPassphrase,
                                     Errc::kNotAllowed, Errc::kDamaged, Errc::kAuditUnavailable,
                                     Errc::kInterrupted};

constexpr const char* kUserFilter = "filter-user";

AuditFilter filter_of(Invocation& call) {
  AuditFilter filter;
  if (const auto since = call.value("since")) {
    filter.since_ms = parse_time(*since);
    if (!filter.since_ms) {
      throw Error(Errc::kUsage, "'" + *since + "' is not a time: write YYYY-MM-DD or YYYY-MM-DDThh:mm:ss, in UTC",
                  help_hint(call.command()));
    }
  }
  filter.user = call.value_or(kUserFilter, "");
  if (const auto name = call.value("case")) filter.case_number = case_argument(*name);
  filter.action = call.value_or("action", "");
  return filter;
}

int run_audit_show(Invocation& call) {
  const AuditFilter filter = filter_of(call);
  OpenVault vault(call);
  const auto entries = show_audit(vault.session(), filter);
  Table table({{"ENTRY", Table::Align::kRight}, {"TIME"}, {"USER"}, {"DEVICE"}, {"ACTION"}, {"OBJECTS"}, {"OUTCOME"}});
  for (const AuditEntry& entry : entries) {
    if (call.json()) {
      call.out().object({{"entry", entry.index},
                         {"time", iso_time(entry.time_ms)},
                         {"user", entry.user},
                         {"device", entry.device},
                         {"action", entry.action},
                         {"objects", entry.objects},
                         {"outcome", entry.outcome}});
    } else {
      table.add({std::to_string(entry.index), time_for_people(entry.time_ms), entry.user, entry.device, entry.action,
                 entry.objects, entry.outcome});
    }
  }
  table.print(call.out());
  if (entries.empty()) call.out().note("no entry fits");
  return 0;
}

int run_audit_verify(Invocation& call) {
  OpenVault vault(call);
  const AuditVerification result = verify_audit(vault.session());
  const int status = print_findings(call, result.findings);
  if (call.json()) {
    call.out().object({{"clean", status == 0},
                       {"entries", result.entries},
                       {"root", result.root_hex},
                       {"contents_checked", result.contents_checked}});
    return status;
  }
  call.out().line("audit log: " + count_of(result.entries, "entry", "entries") + ", tree root " + result.root_hex);
  if (!result.contents_checked)
    call.out().note("the entries themselves can be checked by owners and auditors only; the tree was");
  if (status == 0) call.out().line("nothing bad was found");
  return status;
}

}  // namespace

int print_findings(Invocation& call, const std::vector<Finding>& findings) {
  int status = 0;
  for (const Finding& finding : findings) {
    const bool bad = finding.weight == Finding::Weight::kBad;
    if (bad) status = static_cast<int>(Errc::kDamaged);
    if (call.json()) {
      call.out().object(to_json(finding));
    } else {
      call.out().line((bad ? "BAD   " : "note  ") + finding.object + ": " + finding.meaning);
    }
  }
  return status;
}

std::vector<Command> audit_commands() {
  return {
      {.name = "audit show",
       .arguments = "",
       .max_arguments = 0,
       .summary = "who did what",
       .description = "Owners and auditors only. Shows the log in its order, which does not depend on any clock; the "
                      "times are those of the writers'\n"
                      "clocks. Entries without a user are failed attempts to unlock.\n"
                      "\n"
                      "Behind `audit show`, --user narrows the list down; say who you are before it: casevault --user "
                      "ANNA audit show --user BORIS.",
       .options = {{.name = "since", .value = "TIME", .help = "YYYY-MM-DD or YYYY-MM-DDThh:mm:ss, in UTC"},
                   {.name = "user", .value = "NAME", .help = "only what this user did", .key = kUserFilter},
                   {.name = "case", .value = "CASE", .help = "only about this case and its records"},
                   {.name = "action", .value = "NAME", .help = "only this action, as the column ACTION calls it"}},
       .statuses = kStatuses,
       .run = run_audit_show},
      {.name = "audit verify",
       .arguments = "",
       .max_arguments = 0,
       .summary = "check that the log was not changed",
       .description = "Computes the log's tree and compares it with everything in the vault that cites it; for owners "
                      "and auditors also opens each\n"
                      "entry and checks its signature. Status 15 when something does not fit.",
       .statuses = kStatuses,
       .run = run_audit_verify},
  };
}

}  // namespace casevault
