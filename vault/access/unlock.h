#pragma once
#include "vault/vault.h"

namespace casevault {

/// The way from a slot key to an unlocked session: lock, all slots, catalogue key (own or handed over),
/// catalogue replayed, the files outside it compared with what it says, the audit log compared with what the catalogue
/// last saw and the other way round. Logged whether it succeeds or not.
std::unique_ptr<SessionParts> unlock_vault(const Path& folder, const Header& header, const Environment& environment,
                                           const SlotAccess& access);

}  // namespace casevault
