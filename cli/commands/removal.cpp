#include "cli/commands/removal.h"

#include "cli/format.h"
#include "cli/session.h"

namespace casevault {
namespace {

std::string case_names(const std::vector<std::int64_t>& numbers) {
  std::string text;
  for (const std::int64_t number : numbers) text += (text.empty() ? "" : ", ") + case_name(number);
  return text;
}

void print_opened(Output& out, const std::string& user, const RemovalReport& report) {
  if (report.opened.empty()) {
    out.line("the audit log shows nothing that " + user + " had opened there");
    return;
  }
  out.line(user + " had already opened:");
  for (const OpenedBefore& before : report.opened) {
    std::string records;
    for (const std::string& record : before.records) records += (records.empty() ? "" : ", ") + record;
    out.line("  " + case_name(before.case_number) + (records.empty() ? "" : ": " + records));
  }
}

void print_for_people(Output& out, const std::string& user, const RemovalReport& report) {
  if (!report.rotated.empty()) out.line("re-keyed now: " + case_names(report.rotated));
  if (!report.to_be_rotated.empty()) {
    out.line("still to be re-keyed: " + case_names(report.to_be_rotated) +
             "; that happens when somebody who may write to them next does");
  }
  if (report.audit_readable) print_opened(out, user, report);
}

}  // namespace

void print_removal(Invocation& call, const std::string& user, const RemovalReport& report, const std::string& filter) {
  Output& out = call.out();
  if (!call.json()) print_for_people(out, user, report);
  out.note("what " + user + " has already seen or copied cannot be taken back");
  if (!report.audit_readable) {
    out.note("you may not read the audit log, so what " + user + " had opened is not told here");
    out.hint("ask an owner or auditor to run: casevault audit show --user " + shell_word(user) + filter);
  }
}

}  // namespace casevault
