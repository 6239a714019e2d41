#pragma once
#include "vault/vault.h"

namespace casevault {

/// The way from a slot key to an unlocked session: lock, all slots, catalogue key (own or handed over),
/// catalogue replayed, the files outside it compared with what it says, the audit log compared with what the catalogue
/// last saw and the other way round. Logged whether it succeeds or not.
std::unique_ptr<SessionParts> unlock_vault(const Path& folder, const Header& header, const Environment& environment,
                                           const SlotAccess& access);

/// Argon2id, then the way that opens a slot or a request to join: the passphrase alone (also of slots from before
/// custody), else with the custodians, the newest first. When none does, the last one tried; the session will say so.
/// @throws Error: kCustodiansRefused and kTooFewCustodians (logged), kDestroyed.
SlotAccess find_slot_access(const Path& folder, const Header& header, const Environment& environment,
                            const std::string& user, const SecretBytes& passphrase);

/// After the first session of a passphrase: tells the custodians that it was the right one, logs the tries that were
/// not, and re-seals the slot where the vault's custody is another than the slot's. Where they cannot be reached the
/// latter waits for another time, and the session says so.
/// `alarm`: the key that confirms an unlocking under duress; then the session is the decoy's.
void follow_custody(Session& session, SlotAccess& access, const SigningKey* alarm);

/// The session's user's slot key under a new passphrase, under the custody in force.
SlotAccess new_slot_key(Session& session, const SecretBytes& passphrase);

}  // namespace casevault
