#pragma once
#include <optional>
#include <string>
#include <vector>

#include "crypto/merkle.h"
#include "vault/access/identity.h"
#include "vault/storage/sharing_state.h"

namespace casevault {

class CatalogState;
class Session;

/// A file of the vault, cut into chunks of kReplicaChunkSize; each is an object.
struct ReplicaFile {
  std::string name;  // in the vault
  std::uint64_t size = 0;
  Sha256Digest hash{};
  std::vector<Sha256Digest> chunks;
};

/// A body, kept under its own name.
struct ReplicaBody {
  ByteArray<16> id{};
  std::uint64_t size = 0;
  Sha256Digest hash{};
  bool is_hash_known = true;  // false where the list that it stood in is lost
};

/// One object that lists the bodies whose names begin alike.
struct BodyList {
  Sha256Digest hash{};
  std::uint64_t size = 0;   // of the list, bytes
  std::uint64_t count = 0;  // of bodies
  std::uint64_t bytes = 0;  // of bodies
};

/// One snapshot (docs/format.md section 15): names every object that makes up the vault as it was. Whoever reads it
/// without the vault's keys learns what the vault's folder shows, and when the snapshot was made.
struct Manifest {
  VaultId vault{};
  std::uint64_t number = 0;            // from 1
  std::int64_t time_ms = 0;            // by the clock of who made it
  LogCite log;                         // the audit log as far as it is in it
  std::string previous;                // SHA-256 in hex of the snapshot before it; empty for none
  std::vector<ReplicaFile> files;      // by name
  std::vector<BodyList> bodies;        // by the names of the bodies in them
  std::vector<BodyList> spare_bodies;  // of the vault in spare/
  Bytes seal;                          // who signed it, sealed: see seal_manifest

  std::uint64_t body_count() const;
  std::uint64_t body_bytes() const;
};

/// One line of canonical JSON and a newline.
Bytes encode_manifest(const Manifest& manifest);
/// Strict: what parses encodes back to the same bytes. Believes nothing: a replica's holder can have written it.
/// @throws Error{kDamaged} naming `what`.
Manifest parse_manifest(ByteView file, const std::string& what);

/// Signs everything in it but the seal with the user's key; the signature and who made it are sealed under the
/// catalogue key, so that a replica does not tell how many people an office has.
void seal_manifest(Manifest& manifest, Session& session);
/// Whose signature it carries, as far as this session's catalogue knows; nullopt when it opens under another key, or
/// the signature is not that of a user who was in the vault.
std::optional<std::string> signer_of(const Manifest& manifest, Session& session);
/// The same without a session, for whoever has the catalogue that is in the snapshot.
std::optional<std::string> signer_of(const Manifest& manifest, const CatalogKey& key, const CatalogState& users);

/// Bodies by name, one to a line.
std::string encode_body_list(const std::vector<ReplicaBody>& bodies);
/// Strict. @throws Error{kDamaged} naming `what`.
std::vector<ReplicaBody> parse_body_list(std::string_view text, const std::string& what);

}  // namespace casevault
