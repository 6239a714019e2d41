#pragma once
#include "vault/vault.h"

namespace casevault {

/// The way from a passphrase to an unlocked session: lock, Argon2id, all slots, catalogue key (own or handed over),
/// catalogue replayed, the files outside it compared with what it says, the audit log compared with what the catalogue
/// last saw and the other way round. Logged whether it succeeds or not.
std::unique_ptr<SessionParts> unlock_vault(const Path& folder, const Header& header, const Environment& environment,
                                           const std::string& user, const SecretBytes& passphrase);

}  // namespace casevault
