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
  if (name.ends_with(".html"))
    throw Error(Errc::kUsage, name + " is the page for printing",
                "name the text file beside it, trustee-N.txt, or type the words: leave the names out");
  if (std::filesystem::is_directory(name))
    throw Error(Errc::kUsage, name + " is a folder: name the sheets in it", "ls " + shell_word(name));
  auto content = read_text_input(
      name, {kMaxSheetFile, "this is longer than a trustee's sheet", "name the file trustee-N.txt, or type the words"},
      call.process().environment);
  auto words = words_in_sheet(content);
  wipe(content);
  return words;
}

/// The words of one sheet as they are typed: on one line or several, numbered or not.
class TypedWords {
 public:
  TypedWords() = default;
  TypedWords(const TypedWords&) = delete;
  TypedWords& operator=(const TypedWords&) = delete;
  ~TypedWords() {
    for (auto& word : words_) wipe_text(word);
  }

  /// Lines until there are all words of a sheet, or an empty one.
  void ask(Terminal& terminal, const std::string& question) {
    terminal.show(question);
    while (words_.size() < kSlip39Words256) {
      const auto before = words_.size();
      take(terminal.ask(std::to_string(kSlip39Words256 - before) + " to go: ", Terminal::TypedAhead::kTaken));
      if (words_.size() == before) return;
    }
  }

  /// "16 academic": that word instead. False when nothing was typed.
  bool correct(Terminal& terminal) {
    auto line = terminal.ask(
        "To correct one word type its number and the word, as: 16 academic (nothing: begin this sheet again): ");
    const auto number = parse_number(line.substr(0, line.find(' ')));
    const auto behind = std::min(line.find(' '), line.size());
    if (number && *number >= 1 && *number <= words_.size() && behind + 1 < line.size()) {
      wipe_text(words_[*number - 1]);
      words_[*number - 1] = line.substr(behind + 1);
    }
    const bool typed = !line.empty();
    wipe_text(line);
    return typed;
  }

  bool empty() const { return words_.empty(); }
  SecretBytes joined() const {
    std::string text;
    text.reserve(words_.size() * kMaxWord);
    for (const auto& word : words_) text += word + " ";
    auto words = SecretBytes::copy_of(as_bytes(text));
    wipe_text(text);
    return words;
  }

 private:
  static constexpr std::size_t kMaxWord = 32;

  static void wipe_text(std::string& text) { wipe(std::as_writable_bytes(std::span(text))); }
  static bool is_separator(char c) {
    return std::string_view(" \t\r,;:.)0123456789").find(c) != std::string_view::npos;
  }

  void take(std::string line) {
    std::string word;
    for (const char c : line) {
      if (!is_separator(c)) {
        word += c;
      } else if (!word.empty()) {
        words_.push_back(std::exchange(word, {}));
      }
    }
    if (!word.empty()) words_.push_back(std::move(word));
    wipe_text(line);
  }

  std::vector<std::string> words_;
};

/// One sheet, asked for until it is right. nullopt when nothing is typed.
std::optional<Slip39Share> ask_share(Terminal& terminal, std::size_t number) {
  for (;;) {
    TypedWords typed;
    typed.ask(terminal, "Sheet " + std::to_string(number) + ": its " + std::to_string(kSlip39Words256) +
                            " words, down the columns, on one line or several (nothing: that was all):\n");
    if (typed.empty()) return std::nullopt;
    do {
      try {
        return Slip39Share::parse(typed.joined());
      } catch (const Error& error) {
        terminal.show(std::string("That was not right: ") + error.what() + ".\n");
      }
    } while (typed.correct(terminal));
  }
}

/// Until there are enough, or nothing is typed.
std::vector<Slip39Share> ask_shares(Invocation& call) {
  auto terminal = Terminal::open(call.process().terminal, call.process().environment.interrupted);
  if (!terminal)
    throw Error(Errc::kUsage, "no sheets were given, and there is no terminal to ask for their words",
                "name the files: casevault recovery check trustee-1.txt trustee-2.txt");
  std::vector<Slip39Share> shares;
  while (shares.empty() || slip39_missing(shares)) {
    auto share = ask_share(*terminal, shares.size() + 1);
    if (!share) break;
    shares.push_back(std::move(*share));
    try {
      slip39_missing(shares);
    } catch (const Error& error) {
      shares.pop_back();
      terminal->show(std::string("That was not right: ") + error.what() + ".\n");
    }
  }
  terminal->show("What was typed stays in this window: close it afterwards.\n");
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
      report_share(call, "typed sheet " + std::to_string(i + 1), given.sound[i]);
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
  const auto seed = combine_shares(given.sound);
  std::optional<Identity> trustees;
  if (vault) trustees = recovery_identity(seed, vault->header().vault_id, vault->header().root_key);
  const bool opens = vault && opens_for_trustees(vault->folder(), vault->header().vault_id, *trustees);
  if (call.json()) {
    call.out().object({{"set", set.name},
                       {"missing", 0},
                       {"compared", vault.has_value()},
                       {"opens", opens},
                       {"key", trustees ? to_hex(trustees->box.public_key.bytes) : ""}});
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
    note_in_vault(call, set, *trustees);
  } else if (vault) {
    call.out().next("to have it noted as a rehearsal: the same with --note, which asks for your passphrase");
  }
  return 0;
}

/// --- recovery renew, shred ---

/// "C-3 (boris), C-5 (boris, vera)"
std::string cases_and_users(const std::vector<UncoveredCase>& cases) {
  std::string text;
  for (const auto& uncovered : cases) {
    text += (text.empty() ? "" : ", ") + case_name(uncovered.number) + " (" +
            (uncovered.who_can.empty() ? "nobody may add to it" : joined(uncovered.who_can)) + ")";
  }
  return text;
}

void confirm_renewal(Invocation& call, const Session& session) {
  const auto others = cases_of_others(session, false);
  if (others.empty() || !session.state().recovery()) return;
  confirm(call,
          "You may not add to " + cases_and_users(others) +
              ": the new sheets open that only after the user named there unlocked the vault, and until then only the "
              "sheets of before do. Make new ones now?",
          "the sheets of before stay in force");
}

int run_renew(Invocation& call) {
  const auto plan = trustee_plan(call);
  OpenVault vault(call);
  confirm_renewal(call, vault.session());
  const auto observer = [&](const std::string& step) { call.out().note(step); };
  const auto result = renew_recovery(vault.session(), plan, observer);
  report_sheets(call, result.sheets, plan);
  if (call.json()) {
    std::vector<std::int64_t> waiting;
    for (const auto& uncovered : result.waiting) waiting.push_back(uncovered.number);
    call.out().object({{"set", result.set}, {"covered", result.covered}, {"waiting", waiting}});
  } else {
    call.out().line("in force: the set \"" + result.set + "\", any " + std::to_string(plan.threshold) + " of " +
                    std::to_string(plan.count));
  }
  if (!result.waiting.empty()) {
    call.out().warning(
        "these sheets do not open yet: " + cases_and_users(result.waiting) +
        "; that changes when the user named there next unlocks the vault" +
        (result.replaced ? ". Keep the sheets of before until casevault status says nothing of it" : ""));
  } else if (result.replaced) {
    call.out().warning(
        "copies of the vault from before now still open with the sheets of before: collect and burn them");
  }
  if (result.replaced)
    call.out().warning(
        "whoever put the sheets of before together with a copy can read what partners send: renew the keys "
        "that they know, casevault contact self --renew");
  call.out().next("now a copy that these sheets open: casevault replicate TARGET");
  return 0;
}

int run_shred(Invocation& call) {
  const Path folder = call.argument(0);
  confirm(call, "Are all sheets in " + folder.string() + " printed and checked? They are overwritten and deleted.",
          "the sheets stay where they are");
  const auto shredded = shred_sheets(folder);
  if (call.json()) {
    call.out().object({{"shredded", shredded.files}, {"left", shredded.left}});
  } else {
    call.out().line("overwrote and deleted " + count_of(shredded.files, "file", "files"));
  }
  if (!shredded.left.empty()) call.out().warning("not a trustee's sheet, so it stays: " + joined(shredded.left));
  call.out().warning("a disk may keep what was overwritten, and printers keep what they printed");
  return 0;
}

/// --- recovery combine ---

std::vector<std::int64_t> lost_numbers(const CombineResult& result) {
  std::vector<std::int64_t> numbers;
  for (const auto& lost : result.lost) numbers.push_back(lost.number);
  return numbers;
}

void report_lost(Invocation& call, const CombineRequest& request, const CombineResult& result) {
  if (result.lost.empty()) return;
  call.out().warning("not recovered, because these sheets do not open it in this copy or it is damaged there: " +
                     case_names(lost_numbers(result)) + "; keep this copy");
  for (const auto& lost : result.lost) {
    if (lost.who_could.empty()) continue;
    call.out().warning(case_name(lost.number) + ": in the copy it opens for " + joined(lost.who_could) +
                       ", who may still know the passphrase");
    call.out().hint("casevault restore " + shell_word(request.source.source) + " --vault " +
                    shell_word(request.folder.string() + ".before") + " --user " + shell_word(lost.who_could.front()) +
                    "; then export the case from there and add it here");
  }
}

/// What is to be done now, in that order.
void advise_after_combining(Invocation& call, const CombineResult& result) {
  for (const auto& warning : result.warnings) call.out().warning(warning);
  call.out().warning("compare the fingerprint with the trustees' papers; if it is another, this is another vault");
  call.out().warning(
      "what was added after the copy was made is not in it; passphrases and sheets of before still open "
      "that copy and older ones");
  call.out().warning("the sheets were put together on this machine: make new ones");
  call.out().hint("casevault recovery renew --trustees " + std::to_string(result.threshold) + "/" +
                  std::to_string(result.count) + " --shares sheets");
  if (result.was_under_custody)
    call.out().warning("custody has ended: casevault custody enroll, with custodians who are invited anew");
  call.out().next(
      "then let colleagues in again, at this machine: casevault user join NAME; and make a new copy: casevault "
      "replicate TARGET");
}

void report_combined(Invocation& call, const CombineRequest& request, const CombineResult& result) {
  if (call.json()) {
    call.out().object({{"vault", request.folder.string()},
                       {"owner", request.user},
                       {"organisation", result.organisation},
                       {"fingerprint", result.fingerprint},
                       {"cases", result.cases},
                       {"lost", lost_numbers(result)},
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
  const CombineRequest request{replica_source(call, *call.value("from")), rclone_settings(call.process()),
                               call.vault_folder(), call.user()};
  check_combine(request, call.process().environment);
  const auto seed = combine_shares(read_all(call));
  const SecretBytes passphrase =
      new_passphrase(call, "passphrase-file", "New passphrase of " + request.user, {request.user});
  std::string doing;
  const auto observer = [&](const std::string& step) {
    call.out().end_progress();
    call.out().note(step);
    doing = step;
  };
  const auto result =
      combine_vault(request, seed, passphrase, call.process().environment, observer,
                    [&](std::uint64_t done, std::uint64_t total) { call.out().progress(doing, done, total); });
  call.out().end_progress();
  report_combined(call, request, result);
  if (!result.verification.clean()) print_findings(call, result.verification.findings);
  report_lost(call, request, result);
  advise_after_combining(call, result);
  if (!result.verification.clean() || result.was_rolled_back) return static_cast<int>(Errc::kDamaged);
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
           "Of a damaged copy comes what is whole; the rest is named (15), as are cases that were never sealed to "
           "these\n"
           "trustees (3). Without SHARE the words are asked for on the terminal.",
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
           "Writes a sheet for each trustee into a new folder, to be printed and handed out, then puts them in force,\n"
           "with new keys: sheets of before open no copy that is made afterwards. Every case that you may add to is\n"
           "covered at once, the others when a user who may add to them next unlocks. For owners.",
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
