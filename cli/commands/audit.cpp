#include "cli/commands/commands.h"
#include "cli/commands/findings.h"
#include "cli/json.h"
#include "cli/session.h"
#include "vault/audit/proof.h"
#include "vault/custody/shares.h"
#include "vault/custody/witness.h"

namespace casevault {
namespace {

const std::vector<Errc> kStatuses = {Errc::kNoVault,    Errc::kBusy,    Errc::kWrongPassphrase,
                                     Errc::kNotAllowed, Errc::kDamaged, Errc::kAuditUnavailable,
                                     Errc::kInterrupted};

const std::vector<Errc> kProofStatuses = {Errc::kNoVault,          Errc::kBusy,     Errc::kWrongPassphrase,
                                          Errc::kNotAllowed,       Errc::kNotFound, Errc::kDamaged,
                                          Errc::kAuditUnavailable, Errc::kNoSpace,  Errc::kInterrupted};

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
  const auto witnessed = last_witnessed(vault.session());
  const int status = print_findings(call, result.findings);
  if (call.json()) {
    call.out().object({{"clean", status == 0},
                       {"entries", result.entries},
                       {"root", result.root_hex},
                       {"contents_checked", result.contents_checked},
                       {"witnessed", witnessed ? iso_time(witnessed->time_ms) : ""}});
    return status;
  }
  call.out().line("audit log: " + count_of(result.entries, "entry", "entries") + ", tree root " + result.root_hex);
  if (witnessed) {
    call.out().line(
        "last witnessed by a custodian: " + time_and_age(witnessed->time_ms, call.process().environment.now_ms()) +
        ", with " + count_of(witnessed->size, "entry", "entries"));
  } else if (shown_plan(vault.session()) != nullptr) {
    call.out().line("last witnessed by a custodian: never, so how fresh this is nobody can say");
  }
  if (!result.contents_checked)
    call.out().note("the entries themselves can be checked by owners and auditors only; the tree was");
  if (status == 0) call.out().line("nothing bad was found");
  return status;
}

/// To --out FILE, which must not exist, or to standard output.
void give_out(Invocation& call, const std::string& text) {
  const auto file = call.value("out");
  if (!file) return call.out().text(text);
  write_new_file(*file, as_bytes(text));
  call.out().note("written to " + *file);
}

int run_audit_checkpoint(Invocation& call) {
  OpenVault vault(call);
  give_out(call, make_checkpoint(vault.session()));
  return 0;
}

int run_audit_prove(Invocation& call) {
  const std::string& what = call.argument(0);
  const auto entry = parse_number(what);
  const auto record = entry ? ObjectName{} : record_argument(what);
  OpenVault vault(call);
  give_out(call, entry ? prove_entry(vault.session(), *entry) : prove_record(vault.session(), record));
  return 0;
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
       .run = run_audit_show,
       .in_guard = true},
      {.name = "audit verify",
       .arguments = "",
       .max_arguments = 0,
       .summary = "check that the log was not changed",
       .description = "Computes the log's tree and compares it with everything in the vault that cites it; for owners "
                      "and auditors also opens each\n"
                      "entry and checks its signature. Status 15 when something does not fit.",
       .statuses = kStatuses,
       .run = run_audit_verify,
       .in_guard = true},
      {.name = "audit checkpoint",
       .arguments = "",
       .max_arguments = 0,
       .summary = "sign the state of the log, for others to keep",
       .description = "Prints a C2SP checkpoint: the number of entries and the tree's root, signed with the "
                      "organisation's key. Whoever keeps\n"
                      "it can prove later that the log was cut or changed. It tells nothing of what the entries say.",
       .options = {{.name = "out", .value = "FILE", .help = "a new file, instead of standard output"}},
       .statuses = kProofStatuses,
       .run = run_audit_checkpoint,
       .in_guard = true},
      {.name = "audit prove",
       .arguments = "RECORD|ENTRY",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "disclose one entry, with a proof that it is in the log",
       .description = "For owners. Writes a C2SP log proof with the opened entry: of the entry with that number, or of "
                      "the one by which a record\n"
                      "came into the vault. Whoever has the organisation's log key (`contact self`) can check it "
                      "without casevault.",
       .options = {{.name = "out", .value = "FILE", .help = "a new file, instead of standard output"}},
       .statuses = kProofStatuses,
       .run = run_audit_prove,
       .in_guard = true},
  };
}

}  // namespace casevault
