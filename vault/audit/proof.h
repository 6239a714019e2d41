#pragma once
#include <string>
#include <vector>

#include "crypto/checkpoint.h"
#include "crypto/tlog_proof.h"
#include "vault/access/role_keys.h"
#include "vault/audit/log.h"
#include "vault/records/record.h"
#include "vault/vault.h"

namespace casevault {

/// The head of the vault's audit log, signed with the organisation's key under the log's origin: a C2SP checkpoint
/// (signed note). Owners and members. Logged; the checkpoint covers that entry too.
std::string make_checkpoint(Session& session);

/// Proves entries of the log under one checkpoint, each with the key that opens it. Needs the audit keys.
class EntryProver {
 public:
  /// Signs the head of the log as it is now. What is given must outlive the object.
  EntryProver(Session& session, const RoleKeys& keys, const SigningKey& organisation);
  const SignedNote& checkpoint() const { return checkpoint_; }
  const LogCite& head() const { return head_; }
  /// A C2SP tlog-proof with the disclosed entry (audit/disclosure.h) as extra data.
  /// @throws Error{kDamaged} when the entry does not open. @pre index < head().size
  std::string prove(std::uint64_t index) const;

 private:
  Session& session_;
  const RoleKeys& keys_;
  LogCite head_;
  SignedNote checkpoint_;
};

/// Signs `head` as the log's.
SignedNote sign_log_head(const VaultId& vault, const LogCite& head, const SigningKey& organisation);

/// `audit prove`, for owners: the proof for entry `index`, or for the entry by which a record came into the vault.
/// Logged. @throws Error{kNotFound} when there is no such entry.
std::string prove_entry(Session& session, std::uint64_t index);
std::string prove_record(Session& session, const ObjectName& record);

}  // namespace casevault
