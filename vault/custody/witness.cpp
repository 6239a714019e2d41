#include "vault/custody/witness.h"

#include <algorithm>

#include "crypto/cosignature.h"
#include "vault/audit/log.h"
#include "vault/audit/proof.h"
#include "vault/custody/client.h"
#include "vault/custody/shares.h"
#include "vault/sharing/bundle.h"
#include "vault/sharing/organisation.h"
#include "vault/storage/catalog.h"
#include "vault/storage/replica_rows.h"

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

/// What the organisation signed, under any of its keys; nullopt for anything else.
std::optional<Checkpoint> own_checkpoint(const Session& session, const std::string& text) {
  try {
    const auto note = SignedNote::parse(text);
    for (const auto& keys : session.state().sharing().own_keys()) {
      const auto checkpoint = verify_checkpoint(note, NoteVerifier(log_origin(session.state().vault()), keys.sign));
      if (checkpoint) return checkpoint;
    }
  } catch (const Error&) {
    // A custodian may say what it likes; only what we signed counts.
  }
  return std::nullopt;
}

}  // namespace

Witnessed witness_log(Session& session) {
  const auto ring = open_organisation_keys(session, "audit-checkpoint");
  session.log().refresh();
  const auto head = session.log().head();
  Witnessed witnessed{sign_log_head(session.state().vault(), head, ring.back().sign).encode()};
  const auto epoch = session.state().custody_epoch();
  if (epoch == 0) return witnessed;
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
    session.catalog().set_witnessed({head.size, newest_time_ms(SignedNote::parse(witnessed.note), witnesses)});
  return witnessed;
}

std::optional<LastWitnessed> last_witnessed(Session& session) {
  const auto last = session.catalog().witnessed();
  if (last.size == 0) return std::nullopt;
  return LastWitnessed{last.size, last.time_ms};
}

void check_witnessed(Session& session, const std::vector<std::string>& notes) {
  session.log().refresh();
  const auto size = session.log().head().size;
  const auto given_up = read_given_up(session.catalog());
  for (const auto& text : notes) {
    const auto checkpoint = own_checkpoint(session, text);
    if (!checkpoint || checkpoint->size <= given_up) continue;
    if (checkpoint->size > size) {
      throw Error(Errc::kDamaged,
                  "this vault is older than its custodians have seen it: the audit log had " +
                      std::to_string(checkpoint->size) + " entries, here are " + std::to_string(size) +
                      "; it was rolled back",
                  "restore the newest copy of the whole vault; where it is lost: casevault restore SOURCE --older");
    }
    if (session.log().root_at(checkpoint->size) != checkpoint->root) {
      throw Error(Errc::kDamaged, "this vault is not the one that its custodians have seen: its audit log was forked",
                  "restore the newest copy of the whole vault");
    }
  }
}

void give_up_witnessed(Session& session, const std::vector<std::string>& notes) {
  auto newest = read_given_up(session.catalog());
  for (const auto& text : notes) {
    const auto checkpoint = own_checkpoint(session, text);
    if (checkpoint) newest = std::max(newest, checkpoint->size);
  }
  if (newest > read_given_up(session.catalog())) put_given_up(session.catalog(), newest);
}

}  // namespace casevault
