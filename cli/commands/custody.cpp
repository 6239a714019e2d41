#include "vault/custody/enrolment.h"

#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/passphrase.h"
#include "cli/session.h"
#include "cli/statement.h"
#include "vault/custody/account.h"
#include "vault/custody/machines.h"
#include "vault/custody/witness.h"
#include "vault/storage/catalog_state.h"

namespace casevault {
namespace {

const std::vector<Errc> kStatuses = {Errc::kNoVault,           Errc::kBusy,
                                     Errc::kWrongPassphrase,   Errc::kNotAllowed,
                                     Errc::kDamaged,           Errc::kAuditUnavailable,
                                     Errc::kCustodiansRefused, Errc::kTooFewCustodians,
                                     Errc::kDestroyed,         Errc::kNoSpace,
                                     Errc::kInterrupted};

std::uint32_t number_option(Invocation& call, const char* name, std::uint32_t max) {
  const auto text = call.value(name);
  if (!text) throw Error(Errc::kUsage, std::string("--") + name + " is missing", help_hint(call.command()));
  const bool digits = !text->empty() && text->size() < 6 && text->find_first_not_of("0123456789") == text->npos;
  const auto number = digits ? std::stoul(*text) : max + 1ul;
  if (number > max)
    throw Error(Errc::kUsage, "'" + *text + "' is not a number that --" + name + " can be", help_hint(call.command()));
  return static_cast<std::uint32_t>(number);
}

/// Says which one is at fault.
std::vector<Invitation> invitations_in(Invocation& call) {
  std::vector<Invitation> invitations;
  for (const auto& word : call.positional()) {
    try {
      invitations.push_back(Invitation::parse(word));
    } catch (const Error& error) {
      if (call.positional().size() == 1) throw;
      throw Error(error.code(), "invitation " + std::to_string(invitations.size() + 1) + ": " + error.what(),
                  error.hint());
    }
  }
  return invitations;
}

/// Before the passphrase is asked.
void check_cards_folder(Invocation& call, const Path& out) {
  if (std::filesystem::exists(out))
    throw Error(Errc::kUsage, "the folder for the cards is there already: " + out.string(),
                "name a new one with --out DIR");
  const auto above = std::filesystem::absolute(out).lexically_normal().parent_path();
  if (!std::filesystem::is_directory(above))
    throw Error(Errc::kUsage, "there is no folder " + above.string() + " to put the cards into",
                "mkdir -p " + above.string());
  const Path vault = std::filesystem::weakly_canonical(call.vault_folder());
  const Path resolved = std::filesystem::weakly_canonical(out);
  if (std::ranges::mismatch(vault, resolved).in1 == vault.end())
    throw Error(Errc::kUsage, "the folder for the cards would be in the vault", "name another one with --out DIR");
}

void warn_of_choices(Invocation& call, const EnrolRequest& request) {
  if (request.quorum == 1)
    call.out().warning("with a quorum of 1, each single card can destroy this vault; better: --quorum 2");
  if (request.threshold == 1)
    call.out().warning("with a threshold of 1, each single custodian is enough to open; better: --threshold 2");
  if (request.lease_hours > 0) {
    call.out().warning("the vault locks itself after " + count_of(request.lease_hours, "hour", "hours") +
                       " in which no guard was heard, also at night and in holidays; only the cards open it again");
  }
}

EnrolRequest request_of(Invocation& call) {
  EnrolRequest request;
  request.invitations = invitations_in(call);
  request.threshold = number_option(call, "threshold", kMaxCustodians);
  request.cards = number_option(call, "cards", kMaxCards);
  request.quorum = number_option(call, "quorum", kMaxCards);
  if (call.has("lease")) request.lease_hours = number_option(call, "lease", 24 * 365);
  if (!call.has("out"))
    throw Error(Errc::kUsage, "--out is missing: where shall the cards go?", help_hint(call.command()));
  request.out = *call.value("out");
  check_cards_folder(call, request.out);
  request.label = call.value_or("label", "");
  request.one_place = call.has("one-place");
  check_enrolment(request);
  return request;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::vector<std::string> names_of(const std::vector<std::int64_t>& cases) {
  std::vector<std::string> names;
  for (const auto number : cases) names.push_back(case_name(number));
  return names;
}

void report_incomplete(Invocation& call, const Incomplete& incomplete) {
  const auto of = joined(incomplete.of);
  if (incomplete.custodian.empty()) {
    call.out().warning("some of the custodians may have nothing of " + of +
                       ", and no passphrase tells: it is mended when custody moves, casevault help custody enroll");
    return;
  }
  call.out().warning(incomplete.custodian + " has no share of " + of +
                     ", so that one custodian fewer may fail; it is brought there by itself when an owner, or who "
                     "manages the case, next unlocks and " +
                     incomplete.custodian + " answers");
}

void report_progress(Invocation& call, const CustodyProgress& progress) {
  if (!progress.users_waiting.empty())
    call.out().note("each of them follows when they next unlock, best today: " + joined(progress.users_waiting));
  if (!progress.cases_waiting.empty()) {
    call.out().note("re-keyed when somebody who may add to them next does: " +
                    joined(names_of(progress.cases_waiting)));
  }
  for (const auto& incomplete : progress.incomplete) report_incomplete(call, incomplete);
  for (const auto& waiting : progress.to_forget) {
    call.out().note("to be deleted at " + joined(waiting.custodians) +
                    " when an owner next unlocks and reaches all of them, what they kept of: " + joined(waiting.of));
  }
}

nlohmann::ordered_json to_json(const std::vector<StillToForget>& waiting) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& some : waiting) list.push_back({{"custodians", some.custodians}, {"of", some.of}});
  return list;
}

nlohmann::ordered_json to_json(const std::vector<Incomplete>& incomplete) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& some : incomplete) list.push_back({{"custodian", some.custodian}, {"of", some.of}});
  return list;
}

/// Where it breaks off, the cards are on the disk: somebody may take them for good ones, or throw good ones away.
EnrolResult enrol(Invocation& call, Session& session, const EnrolRequest& request, const EnrolObserver& observer) {
  const auto before = session.state().custody_epoch();
  try {
    return enrol_custody(session, request, observer);
  } catch (const Error&) {
    if (session.state().custody_epoch() != before) {
      call.out().warning("it is not finished, but the cards in " + request.out.string() +
                         " are the ones in force: keep them; go on with casevault custody enroll");
    } else if (std::filesystem::exists(request.out)) {
      call.out().warning("nothing changed; the cards in " + request.out.string() + " are worth nothing: delete them");
    }
    throw;
  }
}

int run_enroll(Invocation& call) {
  const auto observer = [&](const std::string& step) { call.out().note(step); };
  if (call.positional().empty()) {
    OpenVault vault(call);
    report_progress(call, continue_custody(vault.session(), observer));
    return 0;
  }
  const EnrolRequest request = request_of(call);
  for (const auto& invitation : request.invitations) {
    call.out().note(invitation.custodian.name + ", " +
                    (invitation.custodian.place.empty() ? "place not named" : invitation.custodian.place) + ", " +
                    invitation.custodian.address);
  }
  warn_of_choices(call, request);
  OpenVault vault(call);
  const EnrolResult result = enrol(call, vault.session(), request, observer);
  for (const auto& card : result.cards) {
    if (call.json()) {
      call.out().object({{"card", card.string()}});
    } else {
      call.out().line(card.string());
    }
  }
  report_progress(call, result.progress);
  call.out().warning(
      "print the cards, give each to somebody outside the office, then destroy the files: they can lock and, " +
      (request.quorum == 1 ? "each" : std::to_string(request.quorum) + " together") + ", destroy this vault");
  call.out().warning("copies of the disk from before today still open with the old way: a passphrase alone");
  call.out().next("casevault custody status");
  return 0;
}

int run_status(Invocation& call) {
  OpenVault vault(call);
  const CustodyAccount account = custody_account(vault.session());
  Table table({{"CUSTODIAN"}, {"PLACE"}, {"ADDRESS"}, {"STATE"}});
  for (const auto& custodian : account.custodians) {
    if (call.json()) {
      call.out().object({{"custodian", custodian.name},
                         {"place", custodian.place},
                         {"address", custodian.address},
                         {"reached", custodian.reached},
                         {"state", custodian.state},
                         {"silence_locks_at", iso_time_or_empty(custodian.silence_ms)}});
      continue;
    }
    table.add({custodian.name, custodian.place, custodian.address, custodian.state});
  }
  table.print(call.out());
  if (call.json()) {
    call.out().object({{"threshold", account.threshold},
                       {"quorum", account.quorum},
                       {"cards", account.cards},
                       {"lease_hours", account.lease_hours},
                       {"device", account.device},
                       {"users_waiting", account.progress.users_waiting},
                       {"cases_waiting", names_of(account.progress.cases_waiting)},
                       {"incomplete", to_json(account.progress.incomplete)},
                       {"to_forget", to_json(account.progress.to_forget)}});
    return 0;
  }
  if (account.threshold == 0) {
    call.out().line("this vault is not under custody");
    call.out().next("casevault help custody enroll");
  } else {
    Facts facts;
    facts.add("Threshold", std::to_string(account.threshold) + " of " + std::to_string(account.custodians.size()));
    facts.add("Cards", std::to_string(account.cards) + ", of which unlock, destroy and burn take " +
                           std::to_string(account.quorum));
    facts.add("Lease",
              account.lease_hours == 0
                  ? "none: silence locks nothing"
                  : "locks itself after " + count_of(account.lease_hours, "hour", "hours") + " without a sign of life");
    facts.add("This machine", account.device);
    facts.print(call.out());
  }
  report_progress(call, account.progress);
  return 0;
}

int run_statement(Invocation& call) {
  const Interval interval = interval_option(call);
  OpenVault vault(call);
  const auto statement =
      custody_statement(vault.session(), interval.from_ms, interval.until_ms, call.value_or("out", ""));
  return print_statement(call, interval, statement);
}

int run_enroll_device(Invocation& call) {
  const auto name = call.value("name");
  if (call.positional().empty()) {
    const Vault vault = Vault::open(call.vault_folder(), call.process().environment);
    const std::string request = device_request(vault, name);
    call.out().line(request);
    call.out().next("on a machine that opens the vault, an owner types: casevault custody enroll-device " + request);
    call.out().next(
        "or ask each custodian for an invitation, then type here: casevault custody enroll-device INVITATION...");
    return 0;
  }
  if (call.argument(0).starts_with("casevault-custodian:")) {
    const auto invitations = invitations_in(call);
    const Vault vault = Vault::open(call.vault_folder(), call.process().environment);
    call.out().line("this machine is known to the custodians as " + enrol_this_machine(vault, invitations, name));
    return 0;
  }
  OpenVault vault(call);
  const std::string enrolled = enrol_machine(vault.session(), call.argument(0));
  call.out().line("the machine " + enrolled + " is known to the custodians now");
  return 0;
}

int run_leave(Invocation& call) {
  OpenVault vault(call);
  if (vault.session().state().custody_epoch() == 0)
    throw Error(Errc::kUsage, "this vault is not under custody", "casevault custody status");
  confirm(call, "Without custody a stolen disk and one passphrase are enough to read. End it?", "custody stays");
  report_progress(call, leave_custody(vault.session(), [&](const std::string& step) { call.out().note(step); }));
  return 0;
}

int run_accept(Invocation& call) {
  confirm(call,
          "What was done in the vault after this state of it is not here. Is this the newest copy that there is, and "
          "shall everybody go on with it?",
          "nothing was changed");
  Environment environment = call.process().environment;
  environment.accepts_older = true;
  OpenVault vault(call, Vault::open(call.vault_folder(), environment));
  switch (accept_history(vault.session())) {
    case Accepted::kNothing:
      call.out().line("this vault is as its custodians have seen it: there is nothing to accept");
      break;
    case Accepted::kPlace:
      call.out().line("the custodians witness this folder from now on");
      break;
    case Accepted::kHistory:
      call.out().line("the custodians witness this vault from here on, under new keys of the organisation");
      call.out().note("partners refuse your bundles until they have removed and added you again");
      call.out().next("casevault contact self");
  }
  return 0;
}

}  // namespace

std::vector<Command> custody_commands() {
  return {
      {.name = "custody enroll",
       .arguments = "[INVITATION...]",
       .max_arguments = kAnyNumber,
       .summary = "put the vault under custodians abroad",
       .description =
           "Every unlocking and every opening of a case then takes THRESHOLD of the custodians, who each gave you an "
           "invitation.\n"
           "Writes the cards that orders are signed with. For owners. Users follow at their next unlocking, cases at "
           "once or when\n"
           "somebody next adds to them. Given again with new invitations, custody moves to them. Without any "
           "invitation:\n"
           "goes on with what was not finished.",
       .options = {{.name = "threshold", .value = "T", .help = "how many custodians it takes to open anything"},
                   {.name = "cards", .value = "N", .help = "how many cards to write"},
                   {.name = "quorum", .value = "Q", .help = "how many cards unlock, destroy and burn take"},
                   {.name = "out", .value = "DIR", .help = "a new folder for the cards"},
                   {.name = "lease",
                    .value = "HOURS",
                    .help = "the vault locks itself when no guard was heard for so long"},
                   {.name = "label", .value = "TEXT", .help = "how the cards call the office; nothing if not given"},
                   {.name = "one-place", .value = nullptr, .help = "T custodians in one place are accepted"}},
       .statuses = kStatuses,
       .run = run_enroll,
       .in_guard = true},
      {.name = "custody status",
       .arguments = "",
       .max_arguments = 0,
       .summary = "the custodians, and what is not under custody yet",
       .description = "Asks every custodian how the vault stands with it.",
       .options = {},
       .statuses = kStatuses,
       .run = run_status,
       .in_guard = true},
      {.name = "custody statement",
       .arguments = "",
       .max_arguments = 0,
       .summary = "what the custodians released, and that it was all",
       .description =
           "Asks every custodian for its signed account of the time, checks it against its log, and says which cases' "
           "keys were\n"
           "released. Without --from: the last 24 hours. For owners. When the vault is locked or destroyed by an "
           "order, "
           "a card\n"
           "gives the same: casevault order statement.",
       .options = statement_options(),
       .statuses = kStatuses,
       .run = run_statement,
       .in_guard = true},
      {.name = "custody enroll-device",
       .arguments = "[REQUEST|INVITATION...]",
       .max_arguments = kAnyNumber,
       .summary = "let another machine in",
       .description =
           "On the new machine, without arguments: prints a request. On a machine that opens the vault, an owner gives "
           "that request.\n"
           "Where no machine is left: invitations, one from each custodian, on the new machine.",
       .options = {{.name = "name", .value = "NAME", .help = "how orders call the machine; else its host name"}},
       .statuses = kStatuses,
       .run = run_enroll_device},
      {.name = "custody accept",
       .arguments = "",
       .max_arguments = 0,
       .summary = "go on with an older copy of the vault",
       .description =
           "After a seizure, with last night's copy: the vault refuses to open because its custodians have seen a "
           "newer "
           "state of it.\n"
           "This makes the copy the vault that everybody goes on with. It is written into the audit log and into those "
           "of the custodians.\n"
           "For owners.",
       .options = {},
       .statuses = kStatuses,
       .run = run_accept},
      {.name = "custody leave",
       .arguments = "",
       .max_arguments = 0,
       .summary = "end custody",
       .description = "Cases are re-keyed without custodians, users follow at their next unlocking. For owners.",
       .options = {},
       .statuses = kStatuses,
       .run = run_leave,
       .in_guard = true},
  };
}

}  // namespace casevault
