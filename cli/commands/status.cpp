#include "cli/commands/commands.h"
#include "cli/json.h"
#include "cli/machine.h"
#include "cli/session.h"
#include "crypto/slip39.h"
#include "vault/access/cases.h"
#include "vault/access/session_keys.h"
#include "vault/access/trustees.h"
#include "vault/access/users.h"
#include "vault/audit/log.h"
#include "vault/custody/account.h"
#include "vault/custody/incomplete.h"
#include "vault/custody/shares.h"
#include "vault/custody/witness.h"
#include "vault/replica/recovery.h"
#include "vault/replica/replicate.h"
#include "vault/storage/catalog_state.h"

namespace casevault {
namespace {

constexpr std::int64_t kDayMs = 24 * 3600 * 1000LL;

std::string describe_recovery(const std::optional<RecoverySet>& set) {
  if (!set) return "none: when every owner has forgotten the passphrase, everything is lost";
  return "any " + std::to_string(set->threshold) + " of " + std::to_string(set->count) +
         " trustees, shares of the set \"" + slip39_set_name(set->identifier) + "\" of " +
         time_for_people(set->since_ms);
}

std::string describe_rehearsal(const Session& session, const RecoverySet& set) {
  if (set.rehearsed_ms == 0) return "never";
  return time_for_people(set.rehearsed_ms) + ", " + std::to_string(set.rehearsed_shares) + " shares, says " +
         user_name(session, set.rehearsed_by);
}

void advise_on_recovery(Invocation& call, const Session& session) {
  const auto& set = session.state().recovery();
  if (!set) return call.out().hint("casevault recovery renew --trustees 3/5 --shares sheets");
  if (set->used)
    return call.out().warning(
        "the trustees' shares were put together to recover this vault: make new ones, casevault recovery renew");
  for (const auto& waiting : cases_of_others(session, true)) {
    std::string names;
    for (const auto& name : waiting.who_can) names += (names.empty() ? "" : " or ") + name;
    call.out().warning("the trustees' sheets do not open " + case_name(waiting.number) + " yet; that changes when " +
                       (names.empty() ? "somebody may add to it and unlocks" : names + " next unlocks the vault"));
  }
  const auto last = std::max(set->rehearsed_ms, set->since_ms);
  if (session.environment().now_ms() - last > kRehearsalDays * kDayMs)
    call.out().warning("nobody has rehearsed recovery for half a year: casevault recovery check --note");
}

nlohmann::ordered_json recovery_json(const std::optional<RecoverySet>& set) {
  if (!set) return false;
  return {{"needed", set->threshold},
          {"shares", set->count},
          {"set", slip39_set_name(set->identifier)},
          {"since", iso_time(set->since_ms)},
          {"rehearsed", iso_time_or_empty(set->rehearsed_ms)}};
}

std::string lease_for_people(std::uint32_t hours, std::int64_t silence_ms) {
  const std::string lease = "after " + count_of(hours, "hour", "hours") + " in which no guard was heard";
  return silence_ms == 0 ? lease + "; when that is the custodians did not say"
                         : lease + ": on " + time_for_people(silence_ms) + ", if none is heard before";
}

constexpr std::int64_t kWeekMs = std::int64_t{7} * 24 * 60 * 60 * 1000;

std::string replica_for_people(const std::optional<LastReplica>& last) {
  if (!last) return "none: this folder is the only copy that casevault knows of";
  return "snapshot " + std::to_string(last->number) + " in " + last->label + ", " + time_for_people(last->time_ms);
}

int run_status(Invocation& call) {
  OpenVault vault(call);
  Session& session = vault.session();
  const auto cases = list_cases(session);  // logs the access before anything is shown
  const std::size_t waiting = session.role() == Role::kOwner ? pending_requests(session).size() : 0;
  witness_quietly(session);
  const auto witnessed = last_witnessed(session);
  const auto* plan = shown_plan(session);
  const std::int64_t silence = silence_locks_at(session);
  const std::int64_t now = call.process().environment.now_ms();
  const auto replica = last_replica(session);
  const CatalogState& state = session.state();
  const std::uint64_t entries = session.log().head().size;
  const auto& header = session.keys().shown_header();
  const std::string print = fingerprint(header.vault_id, header.root_key);
  if (call.json()) {
    call.out().object({{"vault", session.place().string()},
                       {"organisation", state.organisation()},
                       {"fingerprint", print},
                       {"user", session.user_name()},
                       {"role", to_string(session.role())},
                       {"users", state.active_users().size()},
                       {"requests", waiting},
                       {"cases", state.cases().size()},
                       {"readable_cases", cases.size()},
                       {"audit_entries", entries},
                       {"custody", plan != nullptr},
                       {"witnessed", witnessed ? iso_time(witnessed->time_ms) : ""},
                       {"lease_hours", plan != nullptr ? plan->lease_hours : 0},
                       {"silence_locks_at", iso_time_or_empty(silence)},
                       {"recovery", recovery_json(state.recovery())},
                       {"replicas", replica_places(session)},
                       {"last_replica", replica ? iso_time(replica->time_ms) : ""}});
    return 0;
  }
  Facts facts;
  facts.add("Vault", session.place().string());
  facts.add("Organisation", state.organisation());
  facts.add("Fingerprint", print);
  facts.add("You", session.user_name() + ", " + std::string(to_string(session.role())));
  facts.add("Users", std::to_string(state.active_users().size()) +
                         (waiting == 0 ? "" : ", and " + count_of(waiting, "request", "requests") + " to join"));
  facts.add("Cases", std::to_string(state.cases().size()) + ", of which you may read " + std::to_string(cases.size()));
  facts.add("Audit log", count_of(entries, "entry", "entries"));
  facts.add("Custody", plan != nullptr ? "custodians take part in every unlocking: casevault custody status"
                                       : "none: this disk and one passphrase are enough to read");
  if (plan != nullptr) {
    facts.add("Last witnessed", witnessed ? time_and_age(witnessed->time_ms, now) : "never: freshness is unknown");
    if (plan->lease_hours > 0) facts.add("Silence locks", lease_for_people(plan->lease_hours, silence));
  }
  facts.add("Recovery", describe_recovery(state.recovery()));
  if (state.recovery()) facts.add("Last rehearsal", describe_rehearsal(session, *state.recovery()));
  facts.add("Replicas", replica_for_people(replica));
  facts.print(call.out());
  for (const std::string& warning : machine_warnings(session.place().string())) call.out().warning(warning);
  for (const auto& incomplete : incomplete_deposits(session)) {
    call.out().warning((incomplete.custodian.empty() ? "some of the custodians have" : incomplete.custodian + " has") +
                       " no share of " + count_of(incomplete.of.size(), "key", "keys") + ": casevault custody status");
  }
  if (replica && call.process().environment.now_ms() - replica->time_ms > kWeekMs) {
    call.out().warning("no replica was made for more than a week: what was added since is on this disk alone");
    call.out().next("casevault replicate TARGET");
  }
  advise_on_recovery(call, session);
  if (waiting > 0) call.out().next("casevault user list");
  return 0;
}

}  // namespace

Command status_command() {
  return {
      .name = "status",
      .arguments = "",
      .max_arguments = 0,
      .summary = "what this vault is, and what protects it",
      .description =
          "Says whose vault this is, who you are in it, how many users and cases there are, and whether anything "
          "besides\n"
          "the disk and a passphrase is needed to read it.",
      .statuses = {Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed, Errc::kDamaged,
                   Errc::kAuditUnavailable, Errc::kInterrupted},
      .run = run_status,
      .in_guard = true,
  };
}

}  // namespace casevault
