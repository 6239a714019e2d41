#pragma once
#include <functional>
#include <string>
#include <vector>

#include "vault/vault.h"

namespace casevault {

struct JoinRequest {
  UserKeys keys;
  std::int64_t time_ms = 0;  // Unix milliseconds, UTC, by the asker's clock
  std::string fingerprint;
};

/// Owners only. Requests that cannot be read are left out (`verify` names them).
std::vector<JoinRequest> pending_requests(Session& session);

/// Certifies the keys of the one pending request by `name`, gives it a slot, hands it the catalogue key. `confirm` sees
/// the request with its fingerprint; false leaves everything as it was (then returns false).
/// @throws Error: kNotAllowed (owners only), kNotFound (no such request), kUsage (name taken, two requests of that
/// name, all slots taken).
bool approve_user(Session& session, const std::string& name, Role role,
                  const std::function<bool(const JoinRequest&)>& confirm);

/// One case of which the audit log tells what a person had opened.
struct OpenedBefore {
  std::int64_t case_number = 0;
  std::vector<std::string> records;  // "C-1/E-3": shown, read or exported, from the audit log; each once
};

/// What taking access away did, told truthfully.
struct RemovalReport {
  bool declined = false;                    // nobody was removed: requests to join were deleted
  bool knew_organisation_keys = false;      // so new ones should be made
  std::vector<std::int64_t> rotated;        // cases re-keyed now
  std::vector<std::int64_t> to_be_rotated;  // cases the caller cannot re-key: the next person who writes to them does
  bool audit_readable = false;              // the caller may read the log, so `opened` is told from it
  std::vector<OpenedBefore> opened;
};

/// Cases that only this user manages: without them nobody could grant, re-key or withdraw there any more.
std::vector<std::int64_t> cases_managed_only_by(const Session& session, const std::string& name);

/// Owners only; not oneself. A name that only asks to join has its requests deleted instead. Cases
/// that nobody else can open are lost only with `even_if_cases_are_lost`, else @throws Error{kUsage} naming them.
/// Rotates the catalogue key, the audit key when the person could read the log, and every case key the person held that
/// the caller can rotate.
RemovalReport remove_user(Session& session, const std::string& name, bool even_if_cases_are_lost = false);

/// Re-seals one's own slot. The new slot is opened once before the old one is overwritten.
void change_passphrase(Session& session, const SecretBytes& new_passphrase);

/// What the audit log says `user` opened in `case_number` (0: in all cases). Only for those who may read the log.
std::vector<OpenedBefore> opened_by(Session& session, UserId user, std::int64_t case_number);

}  // namespace casevault
