#include "vault/replica/recovery.h"

#include "cli/commands/commands.h"
#include "cli/commands/findings.h"
#include "cli/commands/trustees.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/passphrase.h"
#include "cli/rclone.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "cli/text_input.h"
#include "crypto/encoding.h"
#include "vault/replica/combine.h"
#include "vault/replica/sheet.h"

namespace casevault {
namespace {

const std::vector<Errc> kStatuses = {
    Errc::kNoVault,   Errc::kBusy,     Errc::kWrongPassphrase,  Errc::kNotAllowed,
    Errc::kDamaged,   Errc::kNotFound, Errc::kAuditUnavailable, Errc::kTooFewCustodians,
    Errc::kDestroyed, Errc::kNoSpace,  Errc::kInterrupted};

std::string case_names(const std::vector<std::int64_t>& numbers) {
  std::string text;
  for (const auto number : numbers) text += (text.empty() ? "" : ", ") + case_name(number);
  return text;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

/// --- Shares as people give them ---

SecretBytes read_words(Invocation& call, const std::string& name) {
  auto content = read_text_input(
      name, {kMaxSheetFile, "this is longer than a trustee's share", "name the file trustee-N.txt, or type the words"},
      call.process().environment);
  auto words = words_in_sheet(content);
  wipe(content);
  return words;
}

SecretBytes ask_words(Terminal& terminal, std::size_t number) {
  auto typed = terminal.ask("Words of share " + std::to_string(number) + " (nothing: that was all): ");
  auto words = SecretBytes::copy_of(as_bytes(typed));
  wipe(std::as_writable_bytes(std::span(typed)));
  return words;
}

/// Until there are enough, or nothing is typed; a share that is not right is explained and asked for again.
std::vector<Slip39Share> ask_shares(Invocation& call) {
  auto terminal = Terminal::open(call.process().terminal, call.process().environment.interrupted);
  if (!terminal)
    throw Error(Errc::kUsage, "no shares were given, and there is no terminal to ask for them",
                "name the files: casevault recovery check trustee-1.txt trustee-2.txt");
  std::vector<Slip39Share> shares;
  while (shares.empty() || slip39_missing(shares)) {
    const auto words = ask_words(*terminal, shares.size() + 1);
    if (words.empty()) break;
    try {
      shares.push_back(Slip39Share::parse(words));
      slip39_missing(shares);
    } catch (const Error& error) {
      if (error.code() == Errc::kUsage) shares.pop_back();
      terminal->show(std::string("That was not right: ") + error.what() + ".\n");
    }
  }
  return shares;
}

struct GivenShares {
  std::vector<Slip39Share> sound;
  bool all_sound = true;
};

void report_share(Invocation& call, const std::string& name, const Slip39Share& share) {
  const auto set = slip39_set_name(share.identifier, share.extendable, share.iteration_exponent);
  const unsigned number = share.member_index + 1U;
  const unsigned needed = share.member_threshold;
  if (call.json()) {
    call.out().object({{"share", name}, {"intact", true}, {"number", number}, {"set", set}, {"needed", needed}});
  } else {
    call.out().line(name + ": intact; share " + std::to_string(number) + " of the set \"" + set + "\", of which " +
                    std::to_string(needed) + " are needed");
  }
}

void report_bad_share(Invocation& call, const std::string& name, const std::string& why) {
  if (call.json()) {
    call.out().object({{"share", name}, {"intact", false}, {"why", why}});
  } else {
    call.out().line(name + ": NOT INTACT: " + why);
  }
}

/// Each is reported, also behind one that is not intact.
GivenShares check_each(Invocation& call) {
  GivenShares given;
  if (call.positional().empty()) {
    given.sound = ask_shares(call);
    for (std::size_t i = 0; i < given.sound.size(); ++i) {
      report_share(call, "typed share " + std::to_string(i + 1), given.sound[i]);
    }
    return given;
  }
  for (const auto& name : call.positional()) {
    try {
      auto share = Slip39Share::parse(read_words(call, name));
      report_share(call, name, share);
      given.sound.push_back(std::move(share));
    } catch (const Error& error) {
      if (error.code() != Errc::kDamaged) throw;
      report_bad_share(call, name, error.what());
      given.all_sound = false;
    }
  }
  return given;
}

std::vector<Slip39Share> read_all(Invocation& call) {
  if (call.positional().empty()) return ask_shares(call);
  std::vector<Slip39Share> shares;
  for (const auto& name : call.positional()) {
    try {
      shares.push_back(Slip39Share::parse(read_words(call, name)));
    } catch (const Error& error) {
      if (error.code() != Errc::kDamaged) throw;
      throw Error(Errc::kDamaged, name + ": " + error.what(), "casevault recovery check " + shell_word(name));
    }
  }
  return shares;
}

/// --- recovery check ---

/// nullopt when none is named, or when it is gone, which is why somebody may look at their share now.
std::optional<Vault> vault_at_hand(Invocation& call) {
  if (!call.has("vault") && !call.process().variable("CASEVAULT_DIR")) return std::nullopt;
  try {
    return Vault::open(call.vault_folder(), call.process().environment);
  } catch (const Error& error) {
    if (error.code() != Errc::kNoVault && error.code() != Errc::kDestroyed) throw;
    call.out().note("not compared with a vault: " + std::string(error.what()));
    return std::nullopt;
  }
}

int report_too_few(Invocation& call, const ShareSet& set) {
  const auto more = std::to_string(set.missing);
  if (call.json()) {
    call.out().object({{"set", set.name}, {"missing", set.missing}, {"compared", false}});
  } else {
    call.out().line(more + " more " + (set.missing == 1 ? "share is" : "shares are") +
                    " needed to tell whether they would open the vault");
  }
  if (call.has("note")) throw Error(Errc::kUsage, "a rehearsal takes all the shares that are needed: it is not noted");
  call.out().note("status names the set in force; compare it with \"" + set.name + "\"");
  return 0;
}

void note_in_vault(Invocation& call, const ShareSet& set, const Identity& trustees) {
  OpenVault vault(call);
  note_rehearsal(vault.session(), set, trustees);
  call.out().note("noted as a rehearsal in the vault");
}

int run_check(Invocation& call) {
  const auto vault = vault_at_hand(call);
  if (call.has("note") && !vault) throw Error(Errc::kUsage, "--note needs the vault", "name it with --vault DIR");
  const auto given = check_each(call);
  if (!given.all_sound) return static_cast<int>(Errc::kDamaged);
  if (given.sound.empty()) throw Error(Errc::kUsage, "no share was given", help_hint(call.command()));
  const auto set = share_set(given.sound);
  if (set.missing > 0) return report_too_few(call, set);
  const auto trustees = combine_shares(given.sound);
  const bool opens = vault && opens_for_trustees(vault->folder(), vault->header().vault_id, trustees);
  if (call.json()) {
    call.out().object({{"set", set.name},
                       {"missing", 0},
                       {"compared", vault.has_value()},
                       {"opens", opens},
                       {"key", to_hex(trustees.box.public_key.bytes)}});
  } else if (!vault) {
    call.out().line("they fit together; not compared with a vault: name one with --vault DIR");
  } else if (opens) {
    call.out().line("they fit together and would open the vault in " + vault->folder().string() +
                    "; nothing was opened");
  }
  if (vault && !opens)
    throw Error(Errc::kWrongPassphrase,
                "these shares fit together, but are not the ones in force of the vault in " + vault->folder().string(),
                "compare the set's name with: casevault status");
  if (call.has("note")) {
    note_in_vault(call, set, trustees);
  } else if (vault) {
    call.out().next("to have it noted as a rehearsal: the same with --note, which asks for your passphrase");
  }
  return 0;
}

/// --- recovery renew, shred ---

int run_renew(Invocation& call) {
  const auto plan = trustee_plan(call);
  OpenVault vault(call);
  const auto observer = [&](const std::string& step) { call.out().note(step); };
  const auto result = renew_recovery(vault.session(), plan, observer);
  report_sheets(call, result.sheets, plan);
  if (call.json()) {
    call.out().object({{"set", result.set}, {"covered", result.covered}, {"waiting", result.waiting}});
  } else {
    call.out().line("in force: the set \"" + result.set + "\", any " + std::to_string(plan.threshold) + " of " +
                    std::to_string(plan.count));
  }
  if (!result.waiting.empty()) {
    call.out().warning("these shares do not open yet: " + case_names(result.waiting) +
                       "; that changes when somebody next adds to them");
  }
  call.out().warning("copies of the vault from before now still open with the shares of before: collect and burn them");
  return 0;
}

int run_shred(Invocation& call) {
  const Path folder = call.argument(0);
  confirm(call, "Overwrite and delete the trustees' shares in " + folder.string() + "?",
          "the shares stay where they are");
  const auto shredded = shred_sheets(folder);
  if (call.json()) {
    call.out().object({{"shredded", shredded.files}, {"left", shredded.left}});
  } else {
    call.out().line("overwrote and deleted " + count_of(shredded.files, "file", "files"));
  }
  if (!shredded.left.empty()) call.out().warning("not a trustee's share, so it stays: " + joined(shredded.left));
  call.out().warning("a disk may keep what was overwritten, and printers keep what they printed");
  return 0;
}

/// --- recovery combine ---

void report_combined(Invocation& call, const CombineRequest& request, const CombineResult& result) {
  if (call.json()) {
    call.out().object({{"vault", request.folder.string()},
                       {"owner", request.user},
                       {"organisation", result.organisation},
                       {"fingerprint", result.fingerprint},
                       {"cases", result.cases},
                       {"lost", result.lost},
                       {"put_out", result.put_out},
                       {"copy_ends", iso_time(result.newest_ms)},
                       {"records", result.verification.versions_checked},
                       {"audit_entries", result.verification.audit_entries}});
    return;
  }
  Facts facts;
  facts.add("Recovered", request.folder.string());
  facts.add("Organisation", result.organisation);
  facts.add("Fingerprint", result.fingerprint);
  facts.add("Owner", request.user);
  facts.add("Cases", result.cases.empty() ? "none" : case_names(result.cases));
  facts.add("Checked", count_of(result.verification.versions_checked, "version", "versions") + ", " +
                           count_of(result.verification.audit_entries, "entry", "entries") + " of the audit log");
  facts.add("The copy ends", time_for_people(result.newest_ms));
  facts.add("No longer in it", joined(result.put_out));
  facts.print(call.out());
}

int run_combine(Invocation& call) {
  if (!call.has("from"))
    throw Error(Errc::kUsage, "--from is missing: where is the copy of the vault?", help_hint(call.command()));
  RestoreRequest source{.source = *call.value("from"), .older = call.has("older")};
  if (const auto text = call.value("snapshot")) {
    source.snapshot = parse_number(*text);
    if (!source.snapshot) throw Error(Errc::kUsage, "--snapshot takes a number", help_hint(call.command()));
  }
  const CombineRequest request{std::move(source), rclone_settings(call.process()), call.vault_folder(), call.user()};
  check_combine(request);
  const auto trustees = combine_shares(read_all(call));
  const SecretBytes passphrase =
      new_passphrase(call, "passphrase-file", "New passphrase of " + request.user, {request.user});
  const auto observer = [&](const std::string& step) { call.out().note(step); };
  const auto result = combine_vault(request, trustees, passphrase, call.process().environment, observer);
  report_combined(call, request, result);
  if (!result.verification.clean()) print_findings(call, result.verification.findings);
  call.out().warning("compare the fingerprint with the trustees' papers; if it is another, this is another vault");
  if (!result.lost.empty())
    call.out().warning("the trustees' shares do not open, in this copy: " + case_names(result.lost));
  if (result.was_under_custody)
    call.out().warning("custody has ended: casevault custody enroll, with custodians who are invited anew");
  call.out().warning("the shares were put together on this machine: make new ones");
  call.out().next("casevault recovery renew --trustees K/N --shares DIR; then let colleagues in: casevault user join");
  if (!result.verification.clean()) return static_cast<int>(Errc::kDamaged);
  return static_cast<int>(result.lost.empty() ? Errc{} : Errc::kPartial);
}

}  // namespace

std::vector<Command> recovery_commands() {
  return {
      {.name = "recovery check",
       .arguments = "[SHARE...]",
       .min_arguments = 0,
       .max_arguments = kMaxSlip39Shares,
       .summary = "whether trustees' shares are intact and would open the vault",
       .description =
           "A rehearsal: tells of each share whether its words are as they were written, pointing at one that is not,\n"
           "and of which set it is. Where enough are given, it puts them together in memory; with --vault it also "
           "says\n"
           "whether they would open that vault (exit status 12 when not). It opens nothing, and needs no passphrase.\n"
           "SHARE is a file trustee-N.txt, a file with the words, or - for standard input; without any the words are\n"
           "asked for on the terminal.",
       .options = {{.name = "note",
                    .value = nullptr,
                    .help = "sign for the rehearsal in the vault; asks your passphrase"}},
       .statuses = kStatuses,
       .run = run_check},
      {.name = "recovery combine",
       .arguments = "[SHARE...]",
       .min_arguments = 0,
       .max_arguments = kMaxSlip39Shares,
       .summary = "make a vault again from trustees' shares and a copy",
       .description =
           "From a replica or another copy of a vault and enough shares makes a vault in --vault, with --user as its "
           "one owner and a new\n"
           "passphrase. No passphrase of before and no custodian is needed. Everybody of before is out of it, custody\n"
           "is ended, and all keys are new; the audit log goes on. Everything is read and checked before it appears.\n"
           "With too few shares nothing happens (exit status 2); with shares that do not open this copy neither (12).\n"
           "Exit status 3: some cases were never sealed to these trustees, and are named.",
       .options = {{.name = "from", .value = "SOURCE", .help = "a replica, or a folder with a copy; it is only read"},
                   {.name = "snapshot", .value = "N", .help = "this snapshot of a replica, not the newest"},
                   {.name = "older", .value = nullptr, .help = "an older snapshot than is known of will do"}},
       .statuses = kStatuses,
       .run = run_combine},
      {.name = "recovery renew",
       .arguments = "",
       .max_arguments = 0,
       .summary = "make shares for trustees, in place of those before",
       .description =
           "Writes a sheet for each trustee into a new folder, to be printed and handed out, then puts the set in\n"
           "force: every case that you can open is sealed to it at once, the others when somebody next adds to them.\n"
           "For owners.",
       .options = {{.name = "trustees", .value = "K/N", .help = "any K of N shares, 2 to 16"},
                   {.name = "shares", .value = "DIR", .help = "a new folder for the sheets"}},
       .statuses = kStatuses,
       .run = run_renew,
       .in_guard = true},
      {.name = "recovery shred",
       .arguments = "DIR",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "overwrite and delete the sheets, once they are handed out",
       .description = "Overwrites every trustee-N.txt and trustee-N.html in DIR, syncs, and deletes them.",
       .options = {},
       .statuses = {Errc::kNotFound, Errc::kNotAllowed, Errc::kInterrupted},
       .run = run_shred},
  };
}

}  // namespace casevault
