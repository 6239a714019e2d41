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
/// Has the custodians cosign the log's head as it is now. For owners and members; without custody, or where none is
/// reached, the note carries no cosignature. Never throws for want of custodians.
Witnessed witness_log(Session& session);

struct LastWitnessed {
  std::uint64_t size = 0;    // entries
  std::int64_t time_ms = 0;  // by the witness's clock
};
/// The newest cosignature that this vault remembers; nullopt when there is none.
std::optional<LastWitnessed> last_witnessed(Session& session);

/// `notes`: the newest checkpoints of this vault's log that custodians witnessed, as they say; others are ignored.
/// @throws Error{kDamaged} when the vault is behind one of them (rolled back) or beside it (forked).
/// Those that were given up when an older replica was restored are passed over.
void check_witnessed(Session& session, const std::vector<std::string>& notes);
/// The vault was put back to an older state on purpose: what these say of entries that are lost is given up.
void give_up_witnessed(Session& session, const std::vector<std::string>& notes);

}  // namespace casevault
