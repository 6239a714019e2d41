#include <algorithm>

#include "cli/commands/commands.h"
#include "cli/commands/removal.h"
#include "cli/guarded.h"
#include "cli/json.h"
#include "cli/passphrase.h"
#include "cli/session.h"
#include "vault/access/decoy.h"
#include "vault/access/users.h"
#include "vault/storage/catalog_state.h"

namespace casevault {
namespace {

const std::vector<Errc> kStatuses = {Errc::kNoVault,          Errc::kBusy,     Errc::kWrongPassphrase,
                                     Errc::kNotAllowed,       Errc::kNotFound, Errc::kDamaged,
                                     Errc::kAuditUnavailable, Errc::kNoSpace,  Errc::kInterrupted};

int run_user_join(Invocation& call) {
  const std::string& name = call.argument(0);
  if (!is_valid_user_name(name)) {
    throw Error(Errc::kUsage,
                "'" + name +
                    "' cannot be the name of a user: 1 to 64 bytes of UTF-8 without control characters, slashes or "
                    "spaces at the ends",
                "casevault user join NAME");
  }
  Vault vault = Vault::open(call.vault_folder(), call.process().environment);
  const SecretBytes passphrase = new_passphrase(call, "passphrase-file", "New passphrase of " + name, {name});
  const std::string print = vault.request_to_join(name, passphrase);
  const std::string vault_print = fingerprint(vault.header().vault_id, vault.header().root_key);
  if (call.json()) {
    call.out().object({{"user", name}, {"fingerprint", print}, {"vault_fingerprint", vault_print}});
    return 0;
  }
  call.out().line("asked to be let in as " + name);
  call.out().line("your fingerprint:         " + print);
  call.out().line("the vault's fingerprint:  " + vault_print);
  call.out().note(
      "read your fingerprint aloud to an owner, in person or by telephone, and let them read the vault's to you");
  call.out().next("an owner then runs: casevault user approve " + shell_word(name));
  return 0;
}

/// The one request by `name`; nullopt when there is none or more than one, which approve_user explains.
std::optional<JoinRequest> request_by(Session& session, const std::string& name) {
  std::optional<JoinRequest> found;
  for (JoinRequest& request : pending_requests(session)) {
    if (request.keys.name != name) continue;
    if (found) return std::nullopt;
    found = std::move(request);
  }
  return found;
}

Role role_option(Invocation& call) {
  const std::string text = call.value_or("role", "member");
  const auto role = parse_role(text);
  if (!role)
    throw Error(Errc::kUsage, "'" + text + "' is not a role: owner, member or auditor", help_hint(call.command()));
  return *role;
}

int run_user_approve(Invocation& call) {
  const std::string& name = call.argument(0);
  const Role role = role_option(call);
  OpenVault vault(call);
  // Asked before approve_user locks anything: comparing aloud takes its time.
  const auto request = request_by(vault.session(), name);
  if (request) {
    if (call.has("yes")) call.out().note("fingerprint of " + name + ": " + request->fingerprint);
    confirm(call,
            "The fingerprint of " + name + " is " + request->fingerprint +
                ". Have them read theirs aloud to you, in person or by telephone: " +
                "is it the same, and shall they be " + std::string(to_string(role)) + "?",
            name + " was not approved");
  }
  const auto is_the_one = [&](const JoinRequest& asked) {
    return request && asked.fingerprint == request->fingerprint;
  };
  if (!approve_user(vault.session(), name, role, is_the_one)) {
    throw Error(Errc::kUsage, "the request of " + name + " changed while it was compared; not approved",
                "casevault user approve " + shell_word(name));
  }
  if (call.json()) {
    call.out().object({{"user", name}, {"role", to_string(role)}, {"fingerprint", request->fingerprint}});
  } else {
    call.out().line(name + " is now " + std::string(to_string(role)));
  }
  if (role != Role::kAuditor)
    call.out().next("let them into a case: casevault case grant CASE " + shell_word(name) + " --right read|add|manage");
  return 0;
}

struct Row {
  std::string name;
  const char* state;
  std::string role;
  std::int64_t since_ms;
  std::string fingerprint;
};

std::vector<Row> rows_of(Session& session) {
  std::vector<Row> rows;
  for (const auto& [id, user] : session.state().users()) {
    rows.push_back({user.keys.name, user.active ? "active" : "removed", std::string(to_string(user.role)),
                    user.since_ms, fingerprint(session.state().vault(), user.keys)});
  }
  if (session.role() == Role::kOwner) {
    for (const JoinRequest& request : pending_requests(session)) {
      rows.push_back({request.keys.name, "asks", "", request.time_ms, request.fingerprint});
    }
  }
  std::ranges::stable_sort(rows, {}, &Row::name);
  return rows;
}

int run_user_list(Invocation& call) {
  OpenVault vault(call);
  vault.session().record("user-list", "");
  Table table({{"USER"}, {"STATE"}, {"ROLE"}, {"SINCE"}, {"FINGERPRINT"}});
  for (const Row& row : rows_of(vault.session())) {
    if (call.json()) {
      call.out().object({{"user", row.name},
                         {"state", row.state},
                         {"role", row.role},
                         {"since", iso_time(row.since_ms)},
                         {"fingerprint", row.fingerprint}});
    } else {
      table.add({row.name, row.state, row.role, time_for_people(row.since_ms), row.fingerprint});
    }
  }
  table.print(call.out());
  return 0;
}

int run_user_remove(Invocation& call) {
  const std::string& name = call.argument(0);
  confirm(call, "Remove " + name + " from the vault and re-key what they could open?", name + " was not removed");
  OpenVault vault(call);
  const auto* user = vault.session().state().find_user(name);
  const auto& trustees = vault.session().state().recovery();
  const bool made_shares = user != nullptr && trustees && trustees->by == user->keys.id;
  const RemovalReport report = remove_user(vault.session(), name, call.has("abandon-cases"));
  if (report.declined) {
    call.json() ? call.out().object({{"user", name}, {"declined", true}})
                : call.out().line("the request of " + name + " to join is declined");
    return 0;
  }
  if (call.json()) {
    nlohmann::ordered_json json = {{"user", name}};
    json.update(to_json(report));
    call.out().object(json);
  } else {
    call.out().line(name + " is removed and can no longer unlock this vault");
  }
  print_removal(call, name, report, "");
  if (made_shares)
    call.out().warning(
        name + " made the trustees' shares and may have a copy of them; make new ones: casevault recovery renew");
  if (report.knew_organisation_keys) {
    call.out().next(name + " knew the organisation's keys for sharing; make new ones: casevault contact self --renew");
  }
  return 0;
}

/// Before any question: what is typed next may become the passphrase.
void check_decoy(Invocation& call) {
  const auto folder = call.value("decoy");
  if (!folder) return;
  if (!call.has("duress"))
    throw Error(Errc::kUsage, "--decoy goes with --duress; nothing was changed",
                "casevault user passphrase --duress --decoy " + *folder);
  if (!std::filesystem::exists(*folder + "/vault.json"))
    throw Error(Errc::kNoVault, "--decoy names no vault: " + *folder,
                "make the decoy first: casevault init --vault " + *folder);
}

int run_duress(Invocation& call, Session& session) {
  if (session.state().custody_epoch() == 0) {
    confirm(call,
            "Without custody, whoever types this passphrase destroys everybody's access to the vault, at once and for "
            "good. Set it?",
            "no duress passphrase was set");
  }
  const SecretBytes passphrase = new_passphrase(call, "new-passphrase-file", "New passphrase for duress",
                                                {session.user_name(), session.state().organisation()});
  std::optional<Path> prepared;
  if (const auto folder = call.value("decoy")) prepared = *folder;
  set_duress_passphrase(session, passphrase, prepared);
  call.out().line("the duress passphrase of " + session.user_name() + " is set");
  call.out().warning(session.state().custody_epoch() > 0
                         ? "typed instead of yours, it opens the decoy while the custodians lock all the rest"
                         : "typed instead of yours, it opens the decoy and destroys all other access to this vault");
  return 0;
}

int run_user_passphrase(Invocation& call) {
  check_decoy(call);
  OpenVault vault(call);
  if (call.has("duress")) return run_duress(call, vault.session());
  const std::string user = vault.session().user_name();
  const SecretBytes passphrase = new_passphrase(call, "new-passphrase-file", "New passphrase of " + user,
                                                {user, vault.session().state().organisation()});
  change_passphrase(vault.session(), passphrase);
  if (call.json()) {
    call.out().object({{"user", user}, {"changed", true}});
  } else {
    call.out().line("the passphrase of " + user + " is changed");
  }
  call.out().note("a copy of this disk made before today still opens with the old passphrase");
  if (lock_guard(call)) call.out().note("the vault was locked: the guard held what the old passphrase opens");
  return 0;
}

int run_user_fingerprint(Invocation& call) {
  OpenVault vault(call);
  Session& session = vault.session();
  const std::string name = call.positional().empty() ? session.user_name() : call.argument(0);
  session.record("user-fingerprint", name);
  std::string print;
  if (const User* user = session.state().find_user(name)) {
    print = fingerprint(session.state().vault(), user->keys);
  } else if (const auto request = session.role() == Role::kOwner ? request_by(session, name) : std::nullopt) {
    print = request->fingerprint;
  } else {
    throw Error(Errc::kNotFound, "no user " + name, "casevault user list");
  }
  if (call.json()) {
    call.out().object({{"user", name}, {"fingerprint", print}});
  } else {
    call.out().line(print);
  }
  return 0;
}

}  // namespace

std::vector<Command> user_commands() {
  return {
      {.name = "user join",
       .arguments = "NAME",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "ask to be let into the vault",
       .description = "Run by the new colleague. Makes their keys, which nobody else ever sees, asks for a new "
                      "passphrase twice, and leaves a\n"
                      "request that owners can read. Prints a fingerprint to be read aloud to the owner who approves.",
       .statuses = kStatuses,
       .run = run_user_join},
      {.name = "user approve",
       .arguments = "NAME",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "let a colleague in, after comparing the fingerprint",
       .description =
           "Owners only. Shows the fingerprint of the request and asks whether it is the one that the colleague reads "
           "aloud; without\n"
           "this comparison somebody who can write to the folder could be let in instead. --yes says it was compared.\n"
           "\n"
           "owner: lets people in and out. member: opens cases. auditor: reads the audit log, no cases.",
       .options = {{.name = "role", .value = "owner|member|auditor", .help = "what they will be; member if not given"}},
       .statuses = kStatuses,
       .run = run_user_approve,
       .in_guard = true},
      {.name = "user list",
       .arguments = "",
       .max_arguments = 0,
       .summary = "who is in the vault, and who asks to be",
       .description = "Lists users with role and fingerprint; owners also see who asks to join.",
       .statuses = kStatuses,
       .run = run_user_list,
       .in_guard = true},
      {.name = "user remove",
       .arguments = "NAME",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "take all access away from somebody",
       .description =
           "Owners only. Gives the catalogue, and each case that they could open and you can re-key, a new "
           "key; says which cases somebody\n"
           "else must still re-key, and what the user had already opened. What somebody has seen or copied "
           "cannot be taken\n"
           "back. Where nobody else manages a case, nothing is done unless --abandon-cases says that it may be lost. "
           "A name that only asks to\njoin has its request deleted. Asks first; --yes answers.",
       .options = {{.name = "abandon-cases", .help = "go on although nobody else manages some case"}},
       .statuses = kStatuses,
       .run = run_user_remove,
       .in_guard = true},
      {.name = "user passphrase",
       .arguments = "",
       .max_arguments = 0,
       .summary = "change your passphrase",
       .description = "Asks for the present passphrase, then twice for the new one. The new one is tried before the "
                      "old one stops working.",
       .options =
           {{.name = "new-passphrase-file", .value = "FILE", .help = "the new passphrase is the first line of FILE"},
            {.name = "duress", .value = nullptr, .help = "set another one, for when you are forced to type it"},
            {.name = "decoy", .value = "DIR", .help = "with --duress: a vault that you prepared, which it opens"}},
       .statuses = kStatuses,
       .run = run_user_passphrase},
      {.name = "user fingerprint",
       .arguments = "[NAME]",
       .max_arguments = 1,
       .summary = "your fingerprint, or a colleague's",
       .description = "Prints eight words to be compared aloud.",
       .statuses = kStatuses,
       .run = run_user_fingerprint,
       .in_guard = true},
  };
}

}  // namespace casevault
