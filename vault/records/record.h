#pragma once
#include <optional>
#include <string>
#include <vector>

#include "crypto/hash.h"
#include "vault/access/identity.h"

namespace casevault {

/// The person whom the words belong to and the terms on which they were given.
struct TestimonyFacts {
  std::string witness;   // alias
  std::string language;  // BCP 47 primary tag, two or three letters
  std::string taken_at;  // YYYY-MM-DD
  std::string place;
  std::string consent;
  bool operator==(const TestimonyFacts&) const = default;
};

enum class RecordKind : char { kEvidence = 'E', kTestimony = 'T' };

/// `E-3` within its case.
struct RecordId {
  RecordKind kind = RecordKind::kEvidence;
  std::int64_t number = 0;
  auto operator<=>(const RecordId&) const = default;
};
std::string to_string(RecordId id);

/// `C-1` or `C-1/E-3` as people write it.
struct ObjectName {
  std::int64_t case_number = 0;
  std::optional<RecordId> record;
};
/// nullopt when malformed (`C-01`, `c-1`, `C-0`, trailing text…).
std::optional<ObjectName> parse_object_name(std::string_view text);
std::string to_string(const ObjectName& name);

/// What a version is, beyond who and when: erased with its content when the record is withdrawn.
struct VersionDetails {
  std::string name;        // file name, UTF-8; may hold "/" where a folder was added
  std::string name_bytes;  // the original bytes where they were not UTF-8, else empty
  std::string title;
  std::vector<std::string> tags;
  std::string media_type;
  std::uint64_t size = 0;  // bytes
  Sha256Digest sha256{};
  std::int64_t modified_ms = 0;  // of the file added, Unix milliseconds; 0 when there is none
  std::optional<TestimonyFacts> testimony;
  std::optional<Sha256Digest> origin;  // of what other organisations say of it (Origin::hops); none for our own
  bool operator==(const VersionDetails&) const = default;
};

/// Where a version that came in a bundle comes from (docs/format.md section 12): canonical JSON texts, kept with it.
struct Origin {
  std::string hops;    // its hash is in the signed details
  std::string vaults;  // certificates, which carry their own signatures
};

/// One version of a record as the case's chain tells it.
struct Version {
  RecordId record;
  std::int64_t number = 0;   // from 1
  std::uint64_t change = 0;  // its place in the case's chain
  UserId added_by{};
  std::int64_t added_ms = 0;              // Unix milliseconds, UTC, by the adder's clock
  std::optional<VersionDetails> details;  // none once withdrawn
};

struct Withdrawal {
  UserId by{};
  std::int64_t time_ms = 0;
  std::string reason;
  std::uint64_t change = 0;  // its place in the case's chain
};

struct Record {
  RecordId id;
  std::vector<Version> versions;  // oldest first, never empty
  std::optional<Withdrawal> withdrawal;
  const Version& newest() const { return versions.back(); }
};

}  // namespace casevault
