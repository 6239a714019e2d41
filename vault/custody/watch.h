#pragma once
#include "vault/environment.h"
#include "vault/storage/file.h"

namespace casevault {

/// The guard's ear at the custodians, for a process of its own (Watcher in vault/raid/triggers.h): a long poll to each
/// of them, from which every order is checked against the cards in vault.json before it is obeyed. A destroy order that
/// is an hour past its time locks, and destroys once a threshold of custodians say that it is done there; a refusal,
/// which nobody signs, locks once the other custodians are too few to open anything (Hearsay). Writes `lock`,
/// `lock ORDER` or `destroy ORDER` to `demands`; reads the guard's receipts as lines of JSON from `receipts` and sends
/// them, signed with the device's key. Holds no secret but that key.
/// Orders about a user, a case or this machine lock too: what they mean is for the custodians to say.
/// Returns when vault.json names other custodians than before, or when the guard has ended.
int watch_custodians(const Path& folder, const Environment& environment, int demands, int receipts);

}  // namespace casevault
