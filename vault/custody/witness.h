#pragma once
#include <optional>
#include <string>
#include <vector>

#include "vault/vault.h"

namespace casevault {

// Custodians as witnesses of the vault's audit log (C2SP tlog-witness): what they have cosigned once, no vault put back
// to an older state gets past them.

struct Witnessed {
  std::string note;  // the signed checkpoint, with the cosignatures that could be had
  std::size_t witnesses = 0;
};
/// Has the custodians cosign the log's head as it is now. For owners and members; without custody, where none is
/// reached, or in a copy of the folder that is witnessed (the session says so), the note carries no cosignature. Never
/// throws for want of custodians.
Witnessed witness_log(Session& session);

/// The same by the way, where there are custodians and this user may: for `status` and the guard. In a decoy they are
/// asked likewise, about what they know already.
void witness_quietly(Session& session);

struct LastWitnessed {
  std::uint64_t size = 0;    // entries
  std::int64_t time_ms = 0;  // by the witness's clock
};
/// The newest cosignature that this vault remembers; nullopt when there is none.
std::optional<LastWitnessed> last_witnessed(Session& session);

/// `notes`: the newest checkpoints of this vault's log that custodians witnessed, as they say; those that are not
/// signed with the organisation's newest keys are ignored, unless the threshold brings some with keys that nobody here
/// knows.
/// @throws Error{kDamaged} when the vault is behind one of them (rolled back) or beside it (forked).
void check_witnessed(Session& session, const std::vector<std::string>& notes);

enum class Accepted { kNothing, kPlace, kHistory };
/// Goes on with this folder as the vault, though it is a copy of the one that is witnessed (kPlace), or older than or
/// beside what custodians have witnessed (kHistory): then the log goes on under new keys of the organisation, which the
/// custodians begin to witness anew. Nothing where all fits. Logged here and there. For owners.
/// @pre environment().accepts_older
/// @throws Error: kNotAllowed; kUsage without custody; kTooFewCustodians when none answers.
Accepted accept_history(Session& session);

}  // namespace casevault
