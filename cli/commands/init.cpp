#include "cli/commands/commands.h"
#include "cli/commands/trustees.h"
#include "cli/json.h"
#include "cli/machine.h"
#include "cli/passphrase.h"
#include "vault/vault.h"

namespace casevault {
namespace {

/// Before a passphrase is asked twice. Vault::create looks again, and at whatever else is in the way.
void refuse_existing_vault(Invocation& call, const std::string& folder) {
  try {
    Vault::open(folder, call.process().environment);
  } catch (const Error& error) {
    if (error.code() == Errc::kDamaged) throw;
    return;
  }
  throw Error(Errc::kUsage, "there is a vault already in " + folder, "casevault status --vault " + shell_word(folder));
}

/// nullopt: without recovery.
std::optional<TrusteePlan> recovery_choice(Invocation& call) {
  const bool has_trustees = call.has("trustees") || call.has("shares");
  if (has_trustees && call.has("no-recovery"))
    throw Error(Errc::kUsage, "--no-recovery and --trustees say the opposite of each other", help_hint(call.command()));
  if (has_trustees) return trustee_plan(call);
  if (call.has("no-recovery")) return std::nullopt;
  throw Error(
      Errc::kUsage,
      "say how the vault is brought back when the machine and all passphrases are gone: by people whom you trust, "
      "each with a sheet of words, or not at all",
      "add --trustees 3/5 --shares sheets (any three of five people together), or --no-recovery");
}

int run_init(Invocation& call) {
  const auto trustees = recovery_choice(call);
  const std::string folder = call.vault_folder();
  const std::string user = call.user();
  const std::string organisation = *call.value("organisation");
  refuse_existing_vault(call, folder);
  const SecretBytes passphrase =
      new_passphrase(call, "passphrase-file", "New passphrase of " + user, {user, organisation});
  Vault::create(folder, {.organisation = organisation, .user = user, .trustees = trustees}, passphrase,
                call.process().environment);

  const Vault vault = Vault::open(folder, call.process().environment);
  const std::string print = fingerprint(vault.header().vault_id, vault.header().root_key);
  if (call.json()) {
    call.out().object({{"vault", folder}, {"organisation", organisation}, {"owner", user}, {"fingerprint", print}});
  } else {
    call.out().line("made the vault " + folder + "; its owner is " + user);
    call.out().line("fingerprint of the vault: " + print);
  }
  if (trustees) {
    report_sheets(call, sheets_of(*trustees), *trustees);
  } else {
    call.out().warning(
        "there is no recovery: when every owner has forgotten the passphrase, everything in this vault is lost");
    call.out().hint("casevault recovery renew --trustees 3/5 --shares sheets");
  }
  call.out().warning(
      "there is no custody: whoever has this disk and one passphrase can read what its user may read; "
      "to set it up: casevault help custody enroll");
  for (const std::string& warning : machine_warnings(folder)) call.out().warning(warning);
  call.out().next("open a case: casevault case new TITLE; let a colleague in: casevault user join NAME");
  return 0;
}

}  // namespace

Command init_command() {
  return {
      .name = "init",
      .arguments = "",
      .max_arguments = 0,
      .summary = "make a vault",
      .description =
          "Makes a new vault in the folder that --vault names, which must be missing or empty, and makes you (--user) "
          "its\n"
          "first owner. Asks for your passphrase twice; a weak one is refused. The vault appears whole or not at all.\n"
          "\n"
          "With --trustees K/N a sheet of words is written for each of N people; any K of them, with a copy of the "
          "vault, can\n"
          "bring it back when the machine, the custodians and all passphrases are gone. Without (--no-recovery) it is "
          "lost then.",
      .options =
          {{.name = "organisation", .value = "NAME", .help = "whose vault it is; kept encrypted", .required = true},
           {.name = "trustees", .value = "K/N", .help = "shares for N people, of whom any K can recover it"},
           {.name = "shares", .value = "DIR", .help = "a new folder for the trustees' sheets"},
           {.name = "no-recovery", .value = nullptr, .help = "nobody can ever recover it"}},
      .statuses = {Errc::kNotAllowed, Errc::kNoSpace, Errc::kInterrupted},
      .run = run_init,
  };
}

}  // namespace casevault
