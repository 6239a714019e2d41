#pragma once
#include <functional>

#include "crypto/oprf.h"
#include "vault/custody/client.h"
#include "vault/storage/catalog.h"
#include "vault/vault.h"

namespace casevault {

// What custodians add to the keys of users and cases (docs/custody-protocol.md section 6). Most of it asks them over
// the network.

/// The slot key under the custodians of `plan`, for opening: what the first that answer give, or, where that does not
/// open, what any choice of the others does. One that `opens` says no to: a wrong passphrase, as all that answered say.
/// @throws Error: kCustodiansRefused; kTooFewCustodians, also when they contradict each other and nothing opens;
/// kDestroyed.
SlotKey custody_slot_key(const Header& header, const CustodyPlan& plan, const std::string& user,
                         const PassphraseKey& stretched, CustodyClient& custodians,
                         const std::function<bool(const SlotKey&)>& opens);

/// The same for sealing: all that answer must agree, and they must be one more than the threshold, so that false
/// answers show; as many as there are where a plan needs all of them, which no answer can be checked by.
/// @throws Error: as above.
SlotKey agreed_slot_key(const Header& header, const CustodyPlan& plan, const std::string& user,
                        const PassphraseKey& stretched, CustodyClient& custodians);

/// This machine's way to the custodians of `plan`.
/// @throws Error{kNotAllowed} when this machine has no device key for the vault.
CustodyClient connect(const Header& header, const CustodyPlan& plan, const Environment& environment);
/// Of the session's vault, kept for the session. @throws also Error{kDamaged} when vault.json knows no such epoch.
CustodyClient& custodians_of(Session& session, std::uint32_t custody_epoch);

/// The plan in force, as whoever unlocked the vault may know it: in a decoy that of the vault around it. nullptr: none.
const CustodyPlan* shown_plan(Session& session);
/// Its custodians. @pre shown_plan(session)
CustodyClient& shown_custodians(Session& session);

/// The scalar as the key material that slots and databases take.
CustodyShare custody_share(const VaultId& vault, const Scalar& scalar);

/// What the custodians hold of the case's current epoch, checked against the catalogue's commitment; nullopt for a case
/// without custody. They log that this machine asked for it.
std::optional<CustodyShare> release_case_share(Session& session, const CaseEntry& entry);

/// Makes, deals and deposits the share of a new key epoch, and asks for it back before anything relies on it; nullopt
/// where the vault is not under custody.
struct NewCaseShare {
  CustodyShare share;
  Element commitment;
  std::uint32_t custody_epoch = 0;
  std::vector<MissedSeat> missed;  // to be announced with the case's new epoch: announce_missed
};
std::optional<NewCaseShare> deal_case_share(Session& session, std::int64_t number, std::uint32_t key_epoch);

/// The custodians' half of a new catalogue key (vault/access/handover.h), asked back before anything relies on it.
/// Returns who has no share of it.
std::vector<MissedSeat> deal_handover_share(Session& session, const Scalar& scalar, std::uint32_t catalog_epoch);
/// Before there is a session. Whichever custodians of `header` hold it. @throws as CustodyClient, and `connect`.
CustodyShare release_handover_share(const Header& header, const Environment& environment, std::uint32_t catalog_epoch);

/// For case_database_key, and into a `case-epoch` statement.
std::optional<CustodyShare> share_of(const std::optional<NewCaseShare>& dealt);
void put_share(nlohmann::json& statement, const std::optional<NewCaseShare>& dealt);

// What former keys hung on is to be destroyed at the custodians: announced in the same update as the change, so that a
// crash forgets nothing.
/// The share of the case's epoch before.
void announce_forgotten_share(Catalog::Update& update, const CaseEntry& before);
/// The half of the catalogue key as it is handed over up to now.
void announce_forgotten_handover(Catalog::Update& update);
/// What custodians of that epoch keep of a user, who opens with others' now, or with none's.
void announce_forgotten_user(Catalog::Update& update, std::uint32_t custody_epoch, const UserId& user);

/// What was announced and not every custodian has deleted, by custody epoch.
struct StillToForget {
  std::uint32_t custody_epoch = 0;
  std::vector<std::string> of;          // users' names, cases, "the catalogue", each once
  std::vector<std::string> custodians;  // who hold it, or some of it
};
std::vector<StillToForget> still_to_forget(Session& session);

/// Has the custodians delete what was announced. For owners; others leave it to the next owner who unlocks. What could
/// not be reached stays announced. Plans on which nothing hangs any more are dropped from vault.json.
/// Never throws for want of custodians.
void forget_announced_shares(Session& session);

}  // namespace casevault
