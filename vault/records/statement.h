#pragma once
#include <string>
#include <string_view>

#include "vault/records/record.h"
#include "vault/storage/catalog_state.h"

namespace casevault {

/// A signed change of a case, read (docs/format.md section 8).
struct CaseStatement {
  enum class Kind { kVersion, kWithdraw };
  Kind kind = Kind::kVersion;
  CaseId case_id{};
  std::uint32_t epoch = 0;
  RecordId record;
  std::int64_t version = 0;  // kVersion only
  Sha256Digest details{};    // kVersion only
  std::string reason;        // kWithdraw only
  UserId by{};
  std::int64_t time_ms = 0;  // Unix milliseconds, UTC
  LogCite log;
};

/// A string as our canonical JSON writes it. @pre UTF-8
std::string json_string(std::string_view text);

std::string encode_statement(const CaseStatement& statement);
/// Strict: what encode_statement writes and nothing else. Authenticates nothing. @throws Error{kDamaged} naming `what`.
CaseStatement parse_statement(std::string_view text, const std::string& what);

}  // namespace casevault
