#include "cli/commands/commands.h"
#include "cli/commands/drill.h"
#include "cli/guarded.h"
#include "cli/json.h"
#include "cli/passphrase.h"
#include "vault/custody/device.h"
#include "vault/raid/holders.h"
#include "vault/raid/wipe.h"
#include "vault/vault.h"

namespace casevault {
namespace {

constexpr int kGraceMs = 250;       // of commands that run without a guard
constexpr int kPatienceMs = 2'000;  // with a guard that is to lock; then it is killed

std::optional<std::string> named_vault(Invocation& call) {
  try {
    return call.vault_folder();
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::optional<VaultId> vault_in(Invocation& call, const std::string& folder) {
  try {
    return Vault::open(folder, call.process().environment).header().vault_id;
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// The vault's own guard; where no vault was named, or the header cannot be read, all guards of this user, none of
/// which is ended: locking does no harm. Returns whether a guard held a key, as far as it is known.
bool lock_guards(Invocation& call, const std::optional<std::string>& folder, bool ends) {
  const auto sockets = SocketFolder::find(socket_places(call.process()));
  if (!sockets) return false;
  const auto own = folder ? vault_in(call, *folder) : std::nullopt;
  bool was_unlocked = false;
  for (const auto& vault : own ? std::vector{*own} : sockets->vaults()) {
    auto socket = sockets->connect(vault);
    if (!socket) continue;
    GuardClient guard(std::move(*socket));
    const auto locked = guard.lock(ends && own, kPatienceMs);
    if (locked == GuardClient::Locked::kNoAnswer) guard.kill_guard();
    was_unlocked |= locked != GuardClient::Locked::kWasLocked;
  }
  return was_unlocked;
}

void print_stage(Invocation& call, const DestroyReceipt& receipt) {
  if (call.json()) {
    call.out().object({{"stage", to_string(receipt.stage)},
                       {"time", iso_time(receipt.time_ms)},
                       {"microseconds", receipt.since_begin.count()},
                       {"not_reached", receipt.not_reached},
                       {"cannot_promise", receipt.cannot_promise}});
    return;
  }
  const std::string when = " (" + duration_for_people(receipt.since_begin) + ")";
  switch (receipt.stage) {
    case DestroyStage::kReceived:
      call.out().line("begun" + when);
      break;
    case DestroyStage::kKeysDestroyed:
      call.out().line("keys destroyed" + when);
      break;
    case DestroyStage::kRestRemoved:
      call.out().line("rest removed" + when);
      for (const auto& name : receipt.not_reached) call.out().line("not reached: " + name);
      for (const auto& limit : receipt.cannot_promise) call.out().note(limit);
  }
}

/// Where a link was named, the folder that it leads to: that is asked about, and destroyed.
std::string folder_itself(const std::string& folder) {
  std::error_code error;
  const auto itself = std::filesystem::canonical(folder, error);
  return error ? folder : itself.native();
}

/// False when it stays.
bool forget(Invocation& call, const DestroyReceipt& last) {
  try {
    if (forget_machine(last, call.process().environment)) {
      call.out().note(
          "this machine's key at the custodians was removed; if there is another copy of the vault here, "
          "enrol anew: casevault custody enroll-device");
    }
    return true;
  } catch (const Error& error) {
    call.out().error(std::string("this machine's key at the custodians was NOT removed: ") + error.what());
    return false;
  }
}

/// Before it is asked: the key is one for all copies of a vault.
void warn_of_machine_key(Invocation& call, const std::string& folder) {
  const auto& environment = call.process().environment;
  const auto vault = vault_in(call, folder);
  std::error_code error;
  if (!vault || environment.state_folder.empty() || !std::filesystem::exists(device_file(environment, *vault), error))
    return;
  call.out().warning(
      "this machine's key at the custodians goes with it: another copy of the vault here, too, opens only after "
      "casevault custody enroll-device");
}

int destroy(Invocation& call, const std::string& folder) {
  warn_of_machine_key(call, folder);
  confirm(call, "Destroy the vault " + folder + " on this machine, for ever?", "nothing was destroyed");
  bool keys_destroyed = false;
  lock_guards(call, folder, true);
  end_sessions(folder, 0);
  const auto last = destroy_vault(folder, call.process().environment, "", [&](const DestroyReceipt& receipt) {
    keys_destroyed |= receipt.stage == DestroyStage::kKeysDestroyed;
    print_stage(call, receipt);
    call.out().flush();  // as it comes
  });
  const bool is_forgotten = forget(call, last);
  if (!keys_destroyed) {
    call.out().error("the keys were NOT destroyed: " + last.not_reached.front());
    return static_cast<int>(Errc::kPartial);
  }
  return last.not_reached.empty() && is_forgotten ? 0 : static_cast<int>(Errc::kPartial);
}

int run_panic(Invocation& call) {
  if (call.has("drill")) return run_drill(call);
  if (call.has("destroy")) return destroy(call, folder_itself(call.vault_folder()));
  const auto folder = named_vault(call);
  const bool was_unlocked = lock_guards(call, folder, false);
  const std::size_t ended = folder ? end_sessions(*folder, kGraceMs) : 0;
  if (call.json()) {
    call.out().object({{"locked", true}, {"was_unlocked", was_unlocked}, {"ended", ended}});
  } else {
    call.out().line(was_unlocked || ended > 0 ? "locked" : "nothing was unlocked");
    if (ended > 0) call.out().note(count_of(ended, "other command", "other commands") + " ended");
  }
  if (!folder) {
    call.out().note("no vault was named: all that you had unlocked is locked, commands without a guard go on");
    call.out().next("casevault panic --vault DIR");
  }
  return 0;
}

}  // namespace

Command panic_command() {
  return {
      .name = "panic",
      .arguments = "",
      .max_arguments = 0,
      .summary = "lock now, or destroy now; works without unlocking",
      .description =
          "Locks at once, also where the guard hangs or the vault is damaged, and ends commands of yours that run "
          "without a guard.\n"
          "Needs no passphrase and no network. Where no vault is named, it locks all that you have unlocked.\n"
          "\n"
          "With --destroy it asks first (--yes answers), then locks, overwrites all keys of the vault on this machine, "
          "and removes\n"
          "the rest. It says what it did not reach. If it is interrupted, the next casevault command on this vault "
          "goes "
          "on. What\n"
          "was copied from this disk before, and whose passphrase is known, still opens: against that only custody "
          "helps.\n"
          "Locking is enough against almost everything, and nobody can be asked to undo what was destroyed.",
      .options = {{.name = "destroy", .value = nullptr, .help = "destroy the vault on this machine"},
                  {.name = "drill", .value = nullptr, .help = "rehearse destroying, beside the vault, with timings"}},
      .statuses = {Errc::kNoVault, Errc::kNotAllowed, Errc::kDamaged, Errc::kDestroyed, Errc::kNoSpace},
      .run = run_panic,
  };
}

}  // namespace casevault
