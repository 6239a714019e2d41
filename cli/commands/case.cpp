#include "vault/access/cases.h"

#include "cli/commands/commands.h"
#include "cli/commands/removal.h"
#include "cli/json.h"
#include "cli/passphrase.h"
#include "cli/session.h"
#include "vault/access/users.h"

namespace casevault {
namespace {

const std::vector<Errc> kStatuses = {Errc::kNoVault,          Errc::kBusy,     Errc::kWrongPassphrase,
                                     Errc::kNotAllowed,       Errc::kNotFound, Errc::kDamaged,
                                     Errc::kAuditUnavailable, Errc::kNoSpace,  Errc::kInterrupted};

int run_case_new(Invocation& call) {
  OpenVault vault(call);
  const std::string name = case_name(new_case(vault.session(), call.argument(0)));
  if (call.json()) {
    call.out().object({{"case", name}, {"title", call.argument(0)}});
  } else {
    call.out().line(name);
    call.out().next("put something into it: casevault add " + name + " PATH...");
  }
  return 0;
}

int run_case_list(Invocation& call) {
  OpenVault vault(call);
  const auto cases = list_cases(vault.session());
  Table table({{"CASE"}, {"RIGHT"}, {"CREATED"}, {"BY"}, {"STATE"}, {"TITLE"}});
  for (const CaseSummary& summary : cases) {
    if (call.json()) {
      call.out().object(to_json(summary));
    } else {
      table.add({case_name(summary.number), std::string(to_string(summary.my_right)),
                 time_for_people(summary.created_ms), summary.created_by, summary.closed ? "closed" : "open",
                 summary.title});
    }
  }
  table.print(call.out());
  if (cases.empty()) call.out().note("there is no case that you may read");
  return 0;
}

nlohmann::ordered_json details_to_json(const CaseDetails& details) {
  auto json = to_json(details.summary);
  json["records"] = details.records;
  json["withdrawn"] = details.withdrawn;
  json["key_epoch"] = details.key_epoch;
  json["members"] = nlohmann::ordered_json::array();
  for (const CaseMember& member : details.members) {
    json["members"].push_back({{"user", member.name},
                               {"right", to_string(member.right)},
                               {"granted_by", member.granted_by},
                               {"since", iso_time(member.since_ms)}});
  }
  return json;
}

int run_case_show(Invocation& call) {
  const std::int64_t number = case_argument(call.argument(0));
  OpenVault vault(call);
  const CaseDetails details = show_case(vault.session(), number);
  if (call.json()) {
    call.out().object(details_to_json(details));
    return 0;
  }
  Facts facts;
  facts.add("Case", case_name(number));
  facts.add("Title", details.summary.title);
  facts.add("State", details.summary.closed ? "closed" : "open");
  facts.add("Created", time_for_people(details.summary.created_ms) + " by " + details.summary.created_by);
  facts.add("Your right", std::string(to_string(details.summary.my_right)));
  facts.add("Records",
            std::to_string(details.records) +
                (details.withdrawn == 0 ? "" : ", of which " + std::to_string(details.withdrawn) + " withdrawn"));
  facts.add("Key epoch", std::to_string(details.key_epoch));
  facts.print(call.out());
  call.out().text("\n");
  Table table({{"MEMBER"}, {"RIGHT"}, {"SINCE"}, {"GRANTED BY"}});
  for (const CaseMember& member : details.members) {
    table.add({member.name, std::string(to_string(member.right)), time_for_people(member.since_ms), member.granted_by});
  }
  table.print(call.out());
  return 0;
}

int run_case_grant(Invocation& call) {
  const std::int64_t number = case_argument(call.argument(0));
  const std::string& user = call.argument(1);
  const std::string right_text = *call.value("right");
  const auto right = parse_right(right_text);
  if (!right)
    throw Error(Errc::kUsage, "'" + right_text + "' is not a right: read, add or manage", help_hint(call.command()));
  OpenVault vault(call);
  grant_case(vault.session(), number, user, *right);
  if (call.json()) {
    call.out().object({{"case", case_name(number)}, {"user", user}, {"right", to_string(*right)}});
  } else {
    call.out().line(user + " may " + std::string(to_string(*right)) + " " + case_name(number));
  }
  return 0;
}

int run_case_revoke(Invocation& call) {
  const std::int64_t number = case_argument(call.argument(0));
  const std::string& user = call.argument(1);
  confirm(call, "Take " + case_name(number) + " away from " + user + " and give it a new key?",
          "nothing was taken away");
  OpenVault vault(call);
  const RemovalReport report = revoke_case(vault.session(), number, user);
  if (call.json()) {
    nlohmann::ordered_json json = {{"case", case_name(number)}, {"user", user}};
    json.update(to_json(report));
    call.out().object(json);
  } else {
    call.out().line(user + " can no longer open " + case_name(number));
  }
  print_removal(call, user, report, " --case " + case_name(number));
  return 0;
}

int run_case_close(Invocation& call) {
  const std::int64_t number = case_argument(call.argument(0));
  confirm(call, "Close " + case_name(number) + "? Nothing can be added to it any more, and it cannot be opened again.",
          case_name(number) + " was not closed");
  OpenVault vault(call);
  close_case(vault.session(), number);
  if (call.json()) {
    call.out().object({{"case", case_name(number)}, {"closed", true}});
  } else {
    call.out().line(case_name(number) + " is closed: it can be read, exported and withdrawn from, not added to");
  }
  return 0;
}

}  // namespace

std::vector<Command> case_commands() {
  return {
      {.name = "case new",
       .arguments = "TITLE",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "open a case",
       .description = "Makes a case and prints its name, such as C-1. You may manage it; nobody else sees even its "
                      "title until you grant it.\n"
                      "Owners and members may open cases, auditors may not.",
       .statuses = kStatuses,
       .run = run_case_new,
       .in_guard = true},
      {.name = "case list",
       .arguments = "",
       .max_arguments = 0,
       .summary = "the cases you may read",
       .description = "Lists every case that was granted to you, with your right in it.",
       .statuses = kStatuses,
       .run = run_case_list,
       .in_guard = true},
      {.name = "case show",
       .arguments = "CASE",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "one case: its members and how much is in it",
       .description = "Shows a case's title and state, who may do what in it, since when and by whom.",
       .statuses = kStatuses,
       .run = run_case_show,
       .in_guard = true},
      {.name = "case grant",
       .arguments = "CASE USER",
       .min_arguments = 2,
       .max_arguments = 2,
       .summary = "let somebody into a case",
       .description =
           "read: see and export everything. add: also add and update records. manage: also grant, revoke, withdraw "
           "and close.\n"
           "\n"
           "A right that is lowered takes nothing away that was already seen; to take a case away, revoke it.",
       .options = {{.name = "right", .value = "read|add|manage", .help = "what the user may do", .required = true}},
       .statuses = kStatuses,
       .run = run_case_grant,
       .in_guard = true},
      {.name = "case revoke",
       .arguments = "CASE USER",
       .min_arguments = 2,
       .max_arguments = 2,
       .summary = "take a case away from somebody",
       .description = "Gives the case a new key that the user does not get, and says what the user had opened, if you "
                      "may read the audit log.\n"
                      "What somebody has already seen or copied cannot be taken back. Asks first; --yes answers.",
       .statuses = kStatuses,
       .run = run_case_revoke,
       .in_guard = true},
      {.name = "case close",
       .arguments = "CASE",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "close a case for good",
       .description =
           "A closed case can be read, exported and withdrawn from, not added to. Asks first; --yes answers.",
       .statuses = kStatuses,
       .run = run_case_close,
       .in_guard = true},
  };
}

}  // namespace casevault
