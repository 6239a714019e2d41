#include "vault/audit/disclosure.h"

#include "crypto/encoding.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr const char* kKind = "audit-entry";
constexpr const char* kWhat = "disclosed audit entry";

}  // namespace

std::string encode_disclosed(const DisclosedEntry& entry) {
  const nlohmann::json object = {{"casevault", kKind},
                                 {"entry_key", to_hex(entry.entry_key)},
                                 {"index", entry.index},
                                 {"record", to_base64(entry.record)},
                                 {"user", entry.user ? user_to_json(*entry.user) : nlohmann::json()},
                                 {"vault", to_hex(entry.vault)}};
  return object.dump();
}

DisclosedEntry parse_disclosed(std::string_view text) {
  const auto object = parse_canonical(text, kWhat);
  Fields fields(object, kWhat);
  if (fields.text("casevault") != kKind) fields.fail();
  DisclosedEntry entry;
  entry.entry_key = fields.hex<AuditEntryKey::kSize>("entry_key");
  entry.index = fields.count("index");
  const auto record = from_base64(fields.text("record"));
  if (!record || record->size() != kAuditRecordSize) fields.fail();
  entry.record = to_array<kAuditRecordSize>(*record);
  const auto& user = fields.any("user");
  if (!user.is_null()) entry.user = user_from_json(user, kWhat);
  entry.vault = fields.hex<16>("vault");
  fields.end();
  return entry;
}

}  // namespace casevault
