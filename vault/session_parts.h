#pragma once
#include "vault/access/session_keys.h"
#include "vault/audit/log.h"
#include "vault/storage/bodies.h"
#include "vault/storage/catalog.h"

namespace casevault {

/// What an unlocked session consists of. The order matters: the catalogue and the log are closed before the lock on
/// `slots` goes.
struct SessionParts {
  Path folder;
  Environment environment;
  std::string user_name;
  SessionKeys keys;
  Identity identity;
  BodyStore bodies;
  AuditLog log;
  Catalog catalog;
  bool log_matches = true;  // else the catalogue keeps the head it had: the mismatch must not be forgotten
  std::vector<std::string> warnings;
  Path place;                       // the vault as people name it; another than `folder` for a decoy
  std::optional<SigningKey> alarm;  // what confirms an unlocking under duress
};

}  // namespace casevault
