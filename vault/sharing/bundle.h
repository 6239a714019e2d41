#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "crypto/minisign.h"
#include "vault/sharing/provenance.h"
#include "vault/sharing/share.h"

namespace casevault {

// What casevault itself puts into a bag, beside what BagIt wants (docs/format.md section 12): `casevault/bundle.json`.

inline constexpr std::string_view kBundlePath = "casevault/bundle.json";
inline constexpr std::string_view kCheckpointPath = "casevault/checkpoint";
inline constexpr std::string_view kCustodyJsonPath = "casevault/custody.jsonld";
inline constexpr std::string_view kCustodyPagePath = "casevault/custody.html";
inline constexpr std::string_view kProofsFolder = "casevault/proofs/";
/// The organisation's minisign signature of the tag manifest; the one file that no manifest lists.
inline constexpr std::string_view kTagSignaturePath = "tagmanifest-sha256.txt.minisig";
inline constexpr std::size_t kMaxBundleRecords = 10'000;

/// The id in an organisation's minisign keys: the first 8 bytes of BLAKE2b-128("casevault/v1/minisign-id" ‖ key).
MinisignPublicKey minisign_key(const VerifyKey& key);
/// Whether either of these keys is, or was, the organisation's own.
bool is_own_key(const SharingState& sharing, std::string_view age, std::string_view sign);
/// Eight words for reading aloud, of what partners know of an organisation: BLAKE2b-128 of
/// "casevault/v1/contact-fingerprint" ‖ age recipient ‖ 0x00 ‖ minisign key.
std::string contact_fingerprint(std::string_view age, std::string_view sign);
/// The origin of a vault's checkpoints and the name of the key that signs them: "casevault/<vault id>".
std::string log_origin(const VaultId& vault);

/// Tells a recipient that a bundle was made for them without telling them for whom else: BLAKE2b-256 of
/// "casevault/v1/bundle-recipient" ‖ salt ‖ age recipient.
ByteArray<32> recipient_mark(const ByteArray<16>& salt, std::string_view age);

struct BundleRecord {
  std::string path;       // in the bag
  std::vector<Hop> hops;  // oldest first; the last one is the sender's
};

struct Bundle {
  UserId by{};  // who shared it; certified in `vault`
  std::int64_t time_ms = 0;
  LogCite log;  // the sender's audit log before it
  VaultId vault{};
  std::string age;   // the sender's recipient
  std::string sign;  // the sender's minisign key
  std::string note;  // to the partner
  ByteArray<16> salt{};
  std::vector<ByteArray<32>> recipients;  // recipient_mark of each, sorted
  std::vector<VaultCertificates> vaults;  // of all vaults that hops speak of
  std::vector<BundleRecord> records;
};

/// A bundle.json as it is written: canonical JSON.
struct SignedBundle {
  Bundle bundle;
  Signature signature{};  // of `bundle.by`
};
SignedBundle sign_bundle(Bundle bundle, const SigningKey& key);
std::string encode_bundle(const SignedBundle& bundle);
/// Strict: what encode_bundle writes and nothing else. Authenticates nothing. @throws Error{kDamaged}
SignedBundle parse_bundle(std::string_view text);

/// A bundle.json that was checked in itself.
struct CheckedBundle {
  Bundle bundle;
  std::map<VaultId, ForeignVault> vaults;
  const ForeignVault& sender() const { return vaults.at(bundle.vault); }
  ForeignVault& sender_to_update() { return vaults.at(bundle.vault); }
};
/// Checks the certificates and the signature of who shared it. What it does not check: whose keys these are, the hops
/// of the records, whether that person had been removed. @throws Error{kDamaged}
CheckedBundle check_bundle(SignedBundle bundle);

}  // namespace casevault
