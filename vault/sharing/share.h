#pragma once
#include <functional>
#include <string>
#include <vector>

#include "vault/records/record.h"
#include "vault/storage/file.h"
#include "vault/vault.h"

namespace casevault {

inline constexpr std::size_t kMaxNoteToPartner = 10'000;  // bytes

struct ShareRequest {
  std::vector<ObjectName> objects;    // records, or cases for all their records
  std::vector<std::string> contacts;  // by name
  Path out;
  std::string note;          // to the partners, in the bundle only
  bool plain_names = false;  // "C-1/E-3.pdf" instead of the records' own names
};

struct Shared {
  std::string object;         // "C-1/E-3"
  std::string path;           // in the bag
  std::string original_name;  // what the record is called, where `path` had to differ from it, else empty
  std::uint64_t size = 0;     // bytes
};

struct ShareObserver {
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> progress;
};

struct ShareResult {
  std::string bundle;  // SHA-256 of tagmanifest-sha256.txt, hex
  std::vector<Shared> files;
  std::string sign;               // the key that partners check with: minisign -P
  bool events_disclosed = false;  // owners' bundles carry audit entries with proofs
  std::size_t proofs = 0;
};

/// Writes one bundle (docs/format.md section 12) for all the contacts: an age file around a bag of the newest versions.
/// What is shared with whom under which hash is in the audit log before the first byte is written; the file appears
/// whole or not at all, and nothing in the clear touches the disk. Streams. Owners and members who may read the
/// records.
/// @throws Error: kNotFound (record or contact), kUsage (the file exists; names that cannot stand in a bag),
/// kNotAllowed, kDamaged, kNoSpace, kInterrupted.
ShareResult share_records(Session& session, const ShareRequest& request, const ShareObserver& observer);

}  // namespace casevault
