#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vault/access/identity.h"
#include "vault/environment.h"
#include "vault/raid/tombstone.h"
#include "vault/storage/file.h"

namespace casevault {

// Destroying a vault on this machine. Up to "keys destroyed" it takes the same time whatever the vault's size: two
// small files are overwritten in place, synced and read back past the cache. It waits for no lock, needs no key, no
// passphrase, no database, no free space and no network. The custodians' shares are the guarantee; this is what the
// disk allows.

enum class DestroyStage {
  kReceived,       ///< the intent is on the disk: whatever happens now, the next start of any command goes on
  kKeysDestroyed,  ///< all 64 slots are overwritten, synced, and read back as overwritten
  kRestRemoved,    ///< databases, bodies and the rest are unlinked, but for what is named
};
std::string_view to_string(DestroyStage stage);  // "received", "keys-destroyed", "rest-removed"

struct DestroyReceipt {
  DestroyStage stage = DestroyStage::kReceived;
  std::int64_t time_ms = 0;                   // Unix milliseconds, UTC
  std::chrono::microseconds since_begin{};    // by the monotonic clock
  std::vector<std::string> not_reached;       // so far: names in the vault and why, at most kMaxNotReached
  std::vector<std::string> cannot_promise{};  // of kRestRemoved: plain sentences, also on what no wipe reaches
  std::optional<VaultId> vault{};             // of kRestRemoved: for forget_machine, where it is certain
};
inline constexpr std::size_t kMaxNotReached = 20;

/// kTrim: free space is trimmed, in a process that outlives this one, where the system lets one.
enum class AfterDestroying { kTrim, kNothing };

using DestroyObserver = std::function<void(const DestroyReceipt&)>;

/// Tells `observer` of each stage once it is reached, and returns the receipt of the last: kRestRemoved, with
/// everything that was not reached. A stage that was not reached is not told of: where the slots cannot be overwritten
/// there is no kKeysDestroyed. The keys in memory are the caller's to wipe, before. What lies in the folder and is not
/// the vault's stays, and is named. Nothing outside the folder is touched: links are removed, not followed, and a file
/// that has another name is not overwritten; both are named. May be interrupted anywhere, also by kill -9, and
/// repeated.
/// @throws Error: kNoVault when there is nothing of a vault in `folder`; kUsage when it is a link (whoever means what
/// it leads to resolves it before); kNotAllowed when it cannot be opened.
DestroyReceipt destroy_vault(const Path& folder, const Environment& environment, std::string_view order,
                             const DestroyObserver& observer, AfterDestroying after = AfterDestroying::kTrim);

/// The last of all, once nothing is to be signed any more: overwrites and removes the key that this machine has for the
/// custodians of the vault. False when there was none. @throws Error when it could not be removed, naming it.
bool forget_machine(const DestroyReceipt& last, const Environment& environment);

/// For whoever finds a tombstone instead of a header. Goes on where destroying was interrupted, if it is certain that
/// it was interrupted in this very folder: the mark is whole and names device and inode of `slots`, which has no other
/// name, and both files belong to the user who runs this. Else nothing is touched: the mark may be torn, forged, or
/// have come with a copy. @throws Error{kDestroyed} always.
[[noreturn]] void refuse_destroyed(const Path& folder, const Tombstone& tombstone, const Environment& environment);

}  // namespace casevault
