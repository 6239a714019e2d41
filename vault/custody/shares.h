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

/// The scalar as the key material that slots and databases take.
CustodyShare custody_share(const VaultId& vault, const Scalar& scalar);

/// What a decoy asks custodians for wherever the vault that it stands for would ask for a case's share: the user's own,
/// which they give out under duress too, in a request and an answer of the same size.
struct Cover {
  CustodyClient custodians;
  SecretName own;
};
/// @throws as connect.
std::shared_ptr<Cover> make_cover(const Header& header, const CustodyPlan& plan, const Environment& environment,
                                  const std::string& user);

/// What the custodians hold of the case's current epoch, checked against the catalogue's commitment; nullopt for a case
/// without custody. They log that this machine asked for it.
std::optional<CustodyShare> release_case_share(Session& session, const CaseEntry& entry);

/// Makes, deals and deposits the share of a new key epoch, and asks for it back before anything relies on it; nullopt
/// where the vault is not under custody.
struct NewCaseShare {
  CustodyShare share;
  Element commitment;
  std::uint32_t custody_epoch = 0;
};
std::optional<NewCaseShare> deal_case_share(Session& session, std::int64_t number, std::uint32_t key_epoch);

/// For case_database_key, and into a `case-epoch` statement.
std::optional<CustodyShare> share_of(const std::optional<NewCaseShare>& dealt);
void put_share(nlohmann::json& statement, const std::optional<NewCaseShare>& dealt);

/// In the same update as the new epoch: the old one's share is to be destroyed at the custodians.
void announce_forgotten_share(Catalog::Update& update, const CaseEntry& before);
/// Has the custodians delete what was announced. For owners; others leave it to the next owner who unlocks. What could
/// not be reached stays announced. Never throws for want of custodians.
void forget_announced_shares(Session& session);

}  // namespace casevault
