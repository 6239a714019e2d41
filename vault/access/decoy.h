#pragma once
#include <optional>

#include "vault/storage/catalog.h"
#include "vault/storage/slots.h"
#include "vault/vault.h"

namespace casevault {

// Duress. Every vault has a folder `spare` with another whole vault in it, which nobody can open until a user sets a
// duress passphrase: it opens a slot like any other, and that slot leads there. So neither the folder nor the slot
// shows whether there is one. Whoever compares the size of `spare` with what a coerced unlocking shows can guess.

inline constexpr const char* kSpare = "spare";

/// A new vault in `place`, with an owner who knows nothing of it; returns the key of its one slot.
SlotKey make_spare(const Path& place, const NewVault& choices, const Environment& environment);

/// Sets, or replaces, the passphrase that under duress opens the decoy in place of the vault and, with custody, has the
/// custodians lock all the rest and raise the alarm; without custody it destroys every other slot.
/// `prepared`: the folder of a vault that the user made as decoy, with the same user name and this passphrase; it is
/// copied. Without it the decoy is an empty vault. Logged as a change of passphrase.
/// @throws Error: kUsage (the present passphrase; the prepared vault does not open with it), kTooFewCustodians.
void set_duress_passphrase(Session& session, const SecretBytes& passphrase, const std::optional<Path>& prepared);

// For when custody changes, which would leave a slot that opens the old way and alarms nobody.
/// In `update`: the session's user has no duress passphrase any more, and is told. False when there was none. Its slot
/// is a stale one from then on: tidy_slots overwrites it.
bool end_duress_passphrase(Session& session, Catalog::Update& update);
/// The same at once, and overwritten.
void drop_duress_passphrase(Session& session);

}  // namespace casevault
