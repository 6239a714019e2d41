#pragma once
#include <string>
#include <vector>

#include "crypto/hash.h"
#include "crypto/sign.h"
#include "vault/storage/database.h"

namespace casevault {

/// How far a chain goes: the number of its changes and the hash of the last one (32 zero bytes when there is none).
struct ChainHead {
  std::uint64_t count = 0;
  Sha256Digest hash{};
  bool operator==(const ChainHead&) const = default;
};

/// One signed change. `statement` is a JSON object, stored and signed as these very bytes.
/// hash = SHA-256("casevault/v1/change" ‖ 0x00 ‖ previous hash ‖ be64(number) ‖ SHA-256(statement)); the signature,
/// Ed25519 by the person named in the statement over (domain "casevault/v1/change", scope ‖ be64(number) ‖ hash), so
/// covers every change before it too.
struct Change {
  std::uint64_t number = 0;  // from 1
  std::string statement;
  Signature signature{};
  Sha256Digest hash{};
  ChainHead head() const { return {number, hash}; }
};

/// The vault id or the case id: a change of one chain is none of another.
using ChainScope = ByteArray<16>;

Change sign_change(const ChainScope& scope, const ChainHead& previous, std::string statement, const SigningKey& key);
/// A change as somebody else tells it: the hash follows from what it links to. Authenticates nothing.
Change link_change(const ChainHead& previous, std::string statement, const Signature& signature);
[[nodiscard]] bool verify_change(const ChainScope& scope, const Change& change, const VerifyKey& key);

/// The table `changes` of a database. Reading checks that the hashes link, not the signatures.
inline constexpr const char* kChainSchema =
    "CREATE TABLE changes(number INTEGER PRIMARY KEY, statement TEXT NOT NULL, signature BLOB NOT NULL, hash BLOB NOT "
    "NULL) STRICT;";

ChainHead chain_head(const Database& database);
/// Changes after `after`, in order, each linked to the one before. @throws Error{kDamaged} when one is missing or does
/// not link.
std::vector<Change> read_chain(const Database& database, const ChainHead& after = {});
/// The hash of change `number`; nullopt when there is none.
std::optional<Sha256Digest> chain_hash_at(const Database& database, std::uint64_t number);
/// @pre in a transaction; change.number follows the head.
void append_change(const Database& database, const Change& change);

}  // namespace casevault
