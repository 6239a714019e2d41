#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "vault/records/record.h"

namespace casevault {

// The details of a version as they are kept (docs/format.md section 8): a canonical JSON object with the keys
// "media_type", "modified", "name", "name_bytes", "origin", "salt", "sha256", "size", "tags", "testimony" (null for
// evidence) and "title". Its SHA-256 stands in the signed statement; the random salt keeps that hash from confirming a
// guess once the details are erased.

// Bytes of UTF-8 each.
inline constexpr std::size_t kMaxNameSize = 16384;
inline constexpr std::size_t kMaxTitleSize = 1000;
inline constexpr std::size_t kMaxTagSize = 200;
inline constexpr std::size_t kMaxTags = 64;
inline constexpr std::size_t kMaxFactSize = 2000;

/// Why these details cannot be kept, for people; nullopt when they can.
std::optional<std::string> find_fault(const VersionDetails& details);

/// The canonical JSON, with a fresh salt. @throws Error{kUsage} for details that cannot be kept.
std::string encode_details(const VersionDetails& details);
/// Strict: what encode_details writes and nothing else. @throws Error{kDamaged} naming `what`.
VersionDetails parse_details(std::string_view json, const std::string& what);

/// A version made ready for the case database, so that another thread than the database's can do it.
struct PreparedVersion {
  std::string details;  // JSON
  Sha256Digest details_hash{};
  Sha256Digest sha256{};            // of the content
  std::string index_text;           // folded words of the details and of the content
  bool has_text = false;            // some of `index_text` is of the content
  std::optional<std::string> text;  // the content's searchable text, where the content is in a body
  std::optional<Origin> origin;     // of what came in a bundle: its hops are those that the details name
};
/// `text` is what of the content can be searched, beyond the details; may be empty. @throws Error{kUsage} as
/// encode_details.
PreparedVersion prepare_version(const VersionDetails& details, std::string_view text, bool is_inline);

/// What of a version goes into the full-text index.
std::string index_text(const VersionDetails& details, std::string_view text);

}  // namespace casevault
