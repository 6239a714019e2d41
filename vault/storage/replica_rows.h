#pragma once
#include <string>
#include <vector>

#include "vault/storage/catalog.h"

namespace casevault {

// What a catalogue remembers of replicas. Like the log's head it is not signed: whoever holds the catalogue key could
// change it. What it says of a manifest spares reading back what that names.

inline constexpr const char* kReplicaSchema =
    "CREATE TABLE replicas(target TEXT PRIMARY KEY, label TEXT NOT NULL, number INTEGER NOT NULL, manifest BLOB NOT "
    "NULL, time INTEGER NOT NULL) STRICT;";

/// The newest snapshot of the vault at one place.
struct ReplicaRow {
  std::string target;        // H256 of the place as it was given, in hex: the address may hold a password
  std::string label;         // what people call the place
  std::uint64_t number = 0;  // of the snapshot
  Sha256Digest manifest{};   // of its file
  std::int64_t time_ms = 0;  // when it was made
};
/// The newest first.
std::vector<ReplicaRow> read_replicas(const Catalog& catalog);
void put_replica(Catalog& catalog, const ReplicaRow& row);

}  // namespace casevault
