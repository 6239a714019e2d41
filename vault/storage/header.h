#pragma once
#include "crypto/box.h"
#include "crypto/kdf.h"
#include "crypto/sign.h"
#include "vault/access/identity.h"
#include "vault/custody/plan.h"

namespace casevault {

inline constexpr int kFormatVersion = 1;
inline constexpr std::size_t kMaxCustodyPlans = 4;

/// `vault.json`, readable by anybody: what is needed before unlocking (docs/format.md section 3). Signed by the root
/// key, which proves it only to those who know the root key: after unlocking, the root key is compared with the one in
/// the slot and the file's hash with the one in the catalogue.
struct Header {
  VaultId vault_id{};
  ByteArray<16> salt{};
  Argon2Cost cost;
  BoxPublicKey audit_key;  // audit entries are sealed to it
  VerifyKey root_key;
  std::vector<CustodyPlan> custody;  // by epoch; the catalogue says which is in force, the others are being left
  /// nullptr when there is none of that epoch.
  const CustodyPlan* custody_of(std::uint32_t epoch) const;
};

Bytes encode_header(const Header& header, const SigningKey& root);
/// Strict: exactly the bytes encode_header makes, signature checked, cost within [floor, ceiling].
/// @throws Error: kDamaged, or kNoVault for a newer format.
Header parse_header(ByteView file, const Argon2Cost& floor);

}  // namespace casevault
