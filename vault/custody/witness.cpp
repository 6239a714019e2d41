#include "vault/custody/witness.h"

#include <sys/stat.h>

#include <algorithm>

#include "crypto/cosignature.h"
#include "vault/access/session_keys.h"
#include "vault/audit/log.h"
#include "vault/audit/proof.h"
#include "vault/custody/client.h"
#include "vault/custody/shares.h"
#include "vault/sharing/bundle.h"
#include "vault/sharing/contacts.h"
#include "vault/sharing/organisation.h"
#include "vault/storage/catalog.h"

namespace casevault {
namespace {

constexpr std::int64_t kSecondMs = 1000;

/// When the newest of the cosignatures in `note` was made.
std::int64_t newest_time_ms(const SignedNote& note, const std::vector<CustodianAddress>& witnesses) {
  std::int64_t newest = 0;
  for (const auto& witness : witnesses) {
    const auto signature =
        verify_cosignature(note, CosignatureVerifier(custodian_log_origin(witness.key), witness.key));
    if (signature) newest = std::max(newest, static_cast<std::int64_t>(signature->time) * kSecondMs);
  }
  return newest;
}

std::uint64_t place_of(const Session& session) {
  struct stat status {};
  return ::stat((session.folder() / "slots").c_str(), &status) == 0 ? status.st_ino : 0;
}

bool is_copy(Session& session) {
  const auto known = session.catalog().witnessed().place;
  return known != 0 && known != place_of(session);
}

/// What a custodian says that it witnessed. It may say what it likes; only what we signed counts.
struct Claim {
  std::optional<Checkpoint> ours;  // signed with the organisation's newest keys
  bool is_strange = false;         // names this log, and none of the organisation's keys signed it
};

Claim judge(const Session& session, const std::string& text) {
  const auto origin = log_origin(session.state().vault());
  const auto& keys = session.state().sharing().own_keys();
  try {
    const auto note = SignedNote::parse(text);
    const auto signed_by = [&](const OrganisationPublicKeys& own) {
      return verify_checkpoint(note, NoteVerifier(origin, own.sign));
    };
    if (auto checkpoint = signed_by(keys.back())) return {.ours = std::move(checkpoint)};
    return {.is_strange = text.starts_with(origin + "\n") &&
                          std::ranges::none_of(keys, [&](const auto& own) { return signed_by(own).has_value(); })};
  } catch (const Error&) {
    return {};
  }
}

[[noreturn]] void fail_as_other(const std::string& what) {
  throw Error(Errc::kDamaged, what,
              "restore the newest copy of the whole vault; where this is it: casevault restore with --older, then, by "
              "an owner: "
              "casevault custody accept");
}

}  // namespace

Witnessed witness_log(Session& session) {
  const auto ring = open_organisation_keys(session, "audit-checkpoint");
  session.log().refresh();
  const auto head = session.log().head();
  Witnessed witnessed{sign_log_head(session.state().vault(), head, ring.back().sign).encode()};
  const auto epoch = session.state().custody_epoch();
  if (epoch == 0) return witnessed;
  if (is_copy(session)) {
    session.warn(
        "this folder is a copy of the vault that custodians witness, so they are not told of what is done in it; "
        "where it is the one to go on with, an owner types: casevault custody accept");
    return witnessed;
  }
  const auto leaves = session.log().leaf_hashes().first(head.size);
  const auto prove = [&](std::uint64_t old_size) {
    if (old_size == 0 || old_size > head.size) return std::vector<ByteArray<32>>();
    return consistency_proof(leaves, old_size);
  };
  const auto known = last_witnessed(session);
  std::vector<CustodianAddress> witnesses;
  try {
    for (const auto& [custodian, line] :
         custodians_of(session, epoch).add_checkpoint(known ? known->size : 0, prove, witnessed.note)) {
      witnessed.note += line;
      witnesses.push_back(custodian);
    }
  } catch (const Error& error) {
    if (error.code() != Errc::kNotAllowed) throw;  // a machine that the custodians do not know
  }
  witnessed.witnesses = witnesses.size();
  if (!witnesses.empty())
    session.catalog().set_witnessed(
        {head.size, newest_time_ms(SignedNote::parse(witnessed.note), witnesses), place_of(session)});
  return witnessed;
}

namespace {

/// The same request about the log of the vault around a decoy: its newest note once more.
void witness_around(Session& session, const std::string& note) {
  const auto size = Checkpoint::parse(SignedNote::parse(note).unverified_text()).size;
  const CustodyClient::Prove prove = [](std::uint64_t) { return std::vector<ByteArray<32>>(); };
  auto cosigned = note;
  std::vector<CustodianAddress> witnesses;
  for (const auto& [custodian, line] : shown_custodians(session).add_checkpoint(size, prove, note)) {
    cosigned += line;
    witnesses.push_back(custodian);
  }
  if (witnesses.empty()) return;
  session.catalog().set_witnessed({session.log().head().size, newest_time_ms(SignedNote::parse(cosigned), witnesses)});
}

}  // namespace

void witness_quietly(Session& session) {
  if (shown_plan(session) == nullptr || session.role() == Role::kAuditor) return;
  const auto& around = session.keys().around;
  if (!around) {
    witness_log(session);
    return;
  }
  if (around->checkpoints.empty()) return;
  try {
    witness_around(session, around->checkpoints.front());
  } catch (const Error& error) {
    if (error.code() == Errc::kInterrupted) throw;
    // Nothing of it is needed, and a custodian may say what it likes.
  }
}

std::optional<LastWitnessed> last_witnessed(Session& session) {
  const auto last = session.catalog().witnessed();
  if (last.size == 0) return std::nullopt;
  return LastWitnessed{last.size, last.time_ms};
}

void check_witnessed(Session& session, const std::vector<std::string>& notes) {
  session.log().refresh();
  const auto size = session.log().head().size;
  std::size_t strange = 0;
  for (const auto& text : notes) {
    const auto claim = judge(session, text);
    if (claim.is_strange) ++strange;
    if (!claim.ours) continue;
    if (claim.ours->size > size) {
      fail_as_other("this vault is older than its custodians have seen it: the audit log had " +
                    std::to_string(claim.ours->size) + " entries, here are " + std::to_string(size) +
                    "; it was rolled back");
    }
    if (session.log().root_at(claim.ours->size) != claim.ours->root)
      fail_as_other("this vault is not the one that its custodians have seen: its audit log was forked");
  }
  const auto* plan = session.keys().header.custody_of(session.state().custody_epoch());
  if (plan != nullptr && strange >= plan->threshold)
    fail_as_other(
        "this vault is older than its custodians have seen it: they know newer keys of it; it was rolled back");
}

Accepted accept_history(Session& session) {
  if (session.role() != Role::kOwner) session.refuse("custody-accept", "", "only an owner of the vault may do this");
  const auto epoch = session.state().custody_epoch();
  const auto* plan = session.keys().header.custody_of(epoch);
  if (plan == nullptr) throw Error(Errc::kUsage, "this vault is not under custody, so nobody witnesses it");
  const auto id = custody_id(plan->salt, ScopeKind::kUser, session.user_name());
  auto accepted = is_copy(session) ? Accepted::kPlace : Accepted::kNothing;
  try {
    check_witnessed(session, custodians_of(session, epoch).confirm(id, session.identity().signing).checkpoints);
  } catch (const Error& error) {
    if (error.code() != Errc::kDamaged) throw;
    session.record("custody-accept", error.what());
    accepted = Accepted::kHistory;
  }
  if (accepted == Accepted::kNothing) return accepted;
  if (accepted == Accepted::kPlace) session.record("custody-accept", "a copy of the vault");
  session.catalog().set_witnessed({});
  if (accepted == Accepted::kHistory) renew_organisation_keys(session);
  witness_log(session);
  return accepted;
}

}  // namespace casevault
