#pragma once
#include "vault/custody/device.h"

namespace casevault {

// The key of this machine goes with its vault, but last: it signs the receipts. Should destroying be interrupted, the
// mark in the vault's folder says which vault it was; but anybody may have written that, so it counts only where a note
// beside the key says the same.

/// Makes the note, where this machine has a key for the vault. It is on the disk when this returns.
void condemn_device(const Environment& environment, const VaultId& vault);
bool is_device_condemned(const Environment& environment, const VaultId& vault);
/// As remove_device, and the note goes, too. False when there was no key.
bool remove_condemned_device(const Environment& environment, const VaultId& vault);

}  // namespace casevault
