#pragma once
#include <functional>

#include "vault/storage/case_store.h"
#include "vault/storage/catalog_state.h"
#include "vault/vault.h"

namespace casevault {

/// A case opened by one who may. Keeps its database open.
struct OpenCase {
  std::int64_t number = 0;  // C-n
  Right right = Right::kRead;
  std::uint32_t epoch = 0;
  CaseStore store;
};

/// Finds the case, checks the user's grant and that it covers `needed`, opens the database with the granted key, and
/// checks that its chain holds the head that the catalogue knows: an older database, or one with lost rows, is refused.
/// Logs refusals (as `action` on `object`); the caller logs what it then does, before it shows anything.
/// @throws Error: kNotFound (also for a case that the user has no grant for: it says "no such case, or not for you" and
/// is logged as refused), kNotAllowed, kDamaged.
OpenCase open_case(Session& session, std::int64_t number, Right needed, std::string_view action,
                   std::string_view object);

/// With secrets that came another way than by a grant: from the trustees. The same checks of the database.
/// @pre the session's user has a grant
OpenCase open_case_with(Session& session, std::int64_t number, const CaseKey& key,
                        const std::optional<CustodyShare>& share);

/// As open_case with Right::kAdd, for an open (not closed) case, ready for writing: if a removed user still holds the
/// case's key, it is rotated first.
OpenCase open_case_for_adding(Session& session, std::int64_t number, std::string_view action, std::string_view object);

/// What a statement made now is stamped with. @pre in a transaction on the case, so that statements cite the log in
/// their own order.
CaseStamp case_stamp(Session& session, const OpenCase& open);

/// After the case transaction is committed: puts the new head, signed, into the catalogue. Call before reporting
/// success.
void publish_case_head(Session& session, const OpenCase& open);

/// Checks that a change was signed by whom it names and that they had the right for it then. @throws Error{kDamaged}
/// naming `object`.
void check_case_change(const CatalogState& state, const CaseStore& store, const Change& change,
                       std::string_view object);

/// A new key epoch: the database is copied under a new key into a new file (without `left_out`'s content), the new key
/// sealed to all whose grants stay, all in one catalogue transaction; then the old file and the bodies left without a
/// record are removed. Users that were removed from the vault lose the case. `extra`, when given, may append changes to
/// the new database before it counts.
/// @pre the caller checked the right. Afterwards `open` is the new database.
struct Rotation {
  std::optional<UserId> without_user;
  std::optional<RecordId> left_out;
  std::function<void(CaseStore& target, const CaseStamp& stamp)> extra;
};
void rotate_case(Session& session, OpenCase& open, const Rotation& rotation);

/// A new epoch because somebody of before knew the key. False where the caller cannot, or not now: it is done before
/// anything is added to the case.
bool rekey_case(Session& session, std::int64_t number);

}  // namespace casevault
