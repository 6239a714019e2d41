#pragma once
#include <nlohmann/json_fwd.hpp>
#include "vault/storage/header.h"
#include "vault/storage/slots.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vault/vault.h"

namespace casevault {

class CustodyClient;

/// Of a decoy: the vault around it, as which it passes.
struct Around {
  Header header;
  std::vector<std::string> checkpoints;  // of its log, as custodians told; none where they were not asked
};

/// The secrets of an unlocked session and the files they hang on; for the modules of the vault only.
struct SessionKeys {
  Header header;
  Slots slots;
  SlotKey slot_key;
  std::uint32_t slot_custody = 0;  // the custody epoch that slot_key opens under; 0: none
  std::size_t slot = 0;            // where the slot that was opened lies
  std::uint32_t generation = 0;    // its
  std::uint32_t slot_epoch = 0;    // the catalogue epoch it holds the key of; behind catalog_epoch after a rotation
  CatalogKey catalog_key;
  std::uint32_t catalog_epoch = 0;
  StateKey state_key;                                                  // follows from catalog_key
  int exclusive_depth = 0;                                             // ExclusiveAccess may nest
  std::map<std::uint32_t, std::shared_ptr<CustodyClient>> custodians;  // by custody epoch, once they were needed
  std::optional<Around> around;
  /// What the vault's header is to whoever unlocked it.
  const Header& shown_header() const { return around ? around->header : header; }
};

StateKey state_key_of(const CatalogKey& key, const VaultId& vault);
/// What the session's own slot should hold now.
SlotContents slot_contents(Session& session);

/// No other process works in the vault while this lives: for changing keys. The session's catalogue is refreshed.
/// @throws Error{kBusy} when others are at work for longer than `timeout_ms`, or changed the keys meanwhile.
class ExclusiveAccess {
 public:
  explicit ExclusiveAccess(Session& session, int timeout_ms = 10'000);
  ~ExclusiveAccess();
  ExclusiveAccess(const ExclusiveAccess&) = delete;
  ExclusiveAccess& operator=(const ExclusiveAccess&) = delete;

 private:
  void release() noexcept;
  Session& session_;
};

/// @throws Error{kDamaged} when the audit log is shorter than `size`: a statement made now could not be believed later.
void require_log_grown(Session& session, std::uint64_t size);

/// A catalogue statement of this kind by this user now; the caller adds the rest. @pre the catalogue's write lock is
/// held, so that statements cite the log in their own order.
nlohmann::json new_statement(Session& session, std::string_view kind);

/// Mends what a crash left in `slots`, and takes a catalogue key that was handed over into the user's own slot.
void tidy_slots(Session& session);

/// Writes the session's slot anew into a free place under `key`, opens it once, makes the catalogue point to it, then
/// overwrites the old one. The session goes on with that key.
/// @pre ExclusiveAccess
void reseal_slot(Session& session, SlotKey key, std::uint32_t custody_epoch);

/// Puts a changed audit key into the session: entries are sealed to the new one from now on.
void reopen_log(Session& session);
/// After the catalogue's key was rotated and the new file stands in place.
void reopen_catalog(Session& session, CatalogKey key, std::uint32_t epoch);

}  // namespace casevault
