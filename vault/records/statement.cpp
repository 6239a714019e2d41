#include "vault/records/statement.h"

#include <limits>

#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr const char* kVersionKind = "version";
constexpr const char* kWithdrawKind = "withdraw";

RecordId record_from_text(const std::string& text, const Fields& fields) {
  const auto object = parse_object_name("C-1/" + text);
  if (!object || !object->record) fields.fail();
  return *object->record;
}

std::uint32_t epoch_from(Fields& fields) {
  const std::uint64_t epoch = fields.count("epoch");
  if (epoch == 0 || epoch > std::numeric_limits<std::uint32_t>::max()) fields.fail();
  return static_cast<std::uint32_t>(epoch);
}

void read_version(Fields& fields, CaseStatement& statement) {
  statement.kind = CaseStatement::Kind::kVersion;
  statement.version = static_cast<std::int64_t>(fields.count("version"));
  if (statement.version < 1) fields.fail();
  statement.details = fields.hex<32>("details");
}

void read_withdrawal(Fields& fields, CaseStatement& statement) {
  statement.kind = CaseStatement::Kind::kWithdraw;
  statement.reason = fields.text("reason");
}

}  // namespace

std::string encode_statement(const CaseStatement& statement) {
  nlohmann::json object = {{"by", to_hex(statement.by)},
                           {"case", to_hex(statement.case_id)},
                           {"epoch", statement.epoch},
                           {"log_root", to_hex(statement.log.root)},
                           {"log_size", statement.log.size},
                           {"record", to_string(statement.record)},
                           {"time", statement.time_ms}};
  if (statement.kind == CaseStatement::Kind::kVersion) {
    object["kind"] = kVersionKind;
    object["version"] = statement.version;
    object["details"] = to_hex(statement.details);
  } else {
    object["kind"] = kWithdrawKind;
    object["reason"] = statement.reason;
  }
  return object.dump();
}

CaseStatement parse_statement(std::string_view text, const std::string& what) {
  const auto object = parse_canonical(text, what);
  Fields fields(object, what);
  CaseStatement statement;
  statement.by = fields.hex<16>("by");
  statement.case_id = fields.hex<16>("case");
  statement.epoch = epoch_from(fields);
  statement.log = {fields.count("log_size"), fields.hex<32>("log_root")};
  statement.record = record_from_text(fields.text("record"), fields);
  statement.time_ms = fields.time("time");
  const std::string kind = fields.text("kind");
  if (kind == kVersionKind) {
    read_version(fields, statement);
  } else if (kind == kWithdrawKind) {
    read_withdrawal(fields, statement);
  } else {
    fields.fail();
  }
  fields.end();
  return statement;
}

}  // namespace casevault
