#pragma once
#include <vector>

#include "crypto/age_keys.h"
#include "crypto/sign.h"
#include "vault/storage/catalog.h"

namespace casevault {

class Session;

/// The secret half of what partners know of an organisation: it opens bundles (age, X25519) and signs them (minisign,
/// Ed25519). Owners and members hold it; auditors do not.
struct OrganisationKeys {
  AgeSecretKey age;
  SigningKey sign;
  static OrganisationKeys random() { return {AgeSecretKey::random(), SigningKey::random()}; }
  AgeIdentity identity() const { return AgeIdentity::from_key(AgeKeyKind::kX25519, age); }
  OrganisationPublicKeys public_keys() const { return {identity().recipient().text(), sign.verify_key()}; }
};

/// Oldest first: old ones still open bundles that were sent to them.
using OrganisationKeyRing = std::vector<OrganisationKeys>;

/// Sealed to a user's box key; named by its hash in a signed statement, which alone makes it trustworthy.
Bytes seal_organisation_keys(const OrganisationKeyRing& ring, const BoxPublicKey& to);

/// @throws Error{kDamaged} when it is missing, not sealed to `to`, or not the keys that the catalogue names.
OrganisationKeyRing unseal_organisation_keys(const std::optional<Bytes>& sealed, const BoxKeyPair& to,
                                             const SharingState& sharing);

/// @throws Error{kUsage} for a vault of a development version, which has none.
void require_organisation_keys(const Session& session);

/// The newest is the last. @throws Error: kNotAllowed for auditors; kDamaged when they are lost or not those that the
/// catalogue names.
OrganisationKeyRing open_organisation_keys(Session& session, std::string_view action);

/// Appends the statement that makes the last of `ring` the organisation's keys, sealed to everybody who may hold them.
/// @pre the statement's common fields are in `statement`, and its author is an owner
void put_organisation_keys(Catalog::Update& update, nlohmann::json statement, const OrganisationKeyRing& ring,
                           const SigningKey& author);

}  // namespace casevault
