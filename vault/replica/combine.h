#pragma once
#include <functional>
#include <string>
#include <vector>

#include "vault/access/identity.h"
#include "vault/replica/recovery.h"
#include "vault/replica/restore.h"
#include "vault/vault.h"
#include "vault/verify.h"

namespace casevault {

struct CombineRequest {
  RestoreRequest source;  // a replica, or the folder of a copy; its slots may have been destroyed
  RcloneSettings rclone;
  Path folder;       // for the recovered vault: missing or empty
  std::string user;  // the new owner
};

/// Never sealed to these trustees, or damaged.
struct LostCase {
  std::int64_t number = 0;
  std::vector<std::string> who_could;  // users who could open it in the copy
};

struct CombineResult {
  std::uint32_t threshold = 0;  // of the trustees, as it was
  std::uint32_t count = 0;
  std::string organisation;
  std::string fingerprint;          // of the vault, to be compared with the sheets
  std::vector<std::int64_t> cases;  // recovered and re-keyed
  std::vector<LostCase> lost;
  std::vector<std::string> put_out;  // names of those who were in the vault
  bool was_under_custody = false;
  std::uint64_t audit_entries = 0;    // in the copy, as it came
  std::int64_t newest_ms = 0;         // when the copy's catalogue was last changed
  bool was_rolled_back = false;       // the log tells of changes that the catalogue of the copy does not have
  std::vector<std::string> warnings;  // plain sentences
  VerifyResult verification;          // of the recovered vault, everything read
};

/// What can be said before the trustees type. @throws Error: kUsage, kNoVault, and what ReplicaStore says.
void check_combine(const CombineRequest& request, const Environment& environment);

/// A working vault again, from a copy and the trustees' key: nobody of before is in it, the new owner is, with the
/// right to manage every case that was sealed to the trustees. Custody is ended. Everything that somebody with an older
/// image of the disk and a passphrase could know is replaced: the slots, the vault's salt, the catalogue key, the audit
/// key, every case key (docs/decisions/015-recovery.md). The audit log goes on. The vault appears in `folder` once all
/// of it was read and checked, or not at all; the source is only read.
/// @throws Error: kWrongPassphrase when these trustees' shares do not open this copy; kUsage, kNoVault, kDestroyed,
/// kDamaged, kNoSpace.
CombineResult combine_vault(const CombineRequest& request, const RecoverySeed& seed, const SecretBytes& passphrase,
                            const Environment& environment, const RecoveryObserver& observer,
                            const RestoreProgress& progress);

}  // namespace casevault
