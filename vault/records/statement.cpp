#include "vault/records/statement.h"

#include <algorithm>
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

std::string json_string(std::string_view text) {
  const auto is_plain = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; };
  if (std::ranges::all_of(text, is_plain)) return '"' + std::string(text) + '"';
  return nlohmann::json(text).dump();
}

// By hand, keys in order: see encode_details.
std::string encode_statement(const CaseStatement& statement) {
  const bool is_version = statement.kind == CaseStatement::Kind::kVersion;
  std::string text = R"({"by":")" + to_hex(statement.by) + R"(","case":")" + to_hex(statement.case_id) + '"';
  if (is_version) text += R"(,"details":")" + to_hex(statement.details) + '"';
  text += R"(,"epoch":)" + std::to_string(statement.epoch) + R"(,"kind":")" +
          (is_version ? kVersionKind : kWithdrawKind) + R"(","log_root":")" + to_hex(statement.log.root) +
          R"(","log_size":)" + std::to_string(statement.log.size);
  if (!is_version) text += R"(,"reason":)" + json_string(statement.reason);
  text += R"(,"record":")" + to_string(statement.record) + R"(","time":)" + std::to_string(statement.time_ms);
  if (is_version) text += R"(,"version":)" + std::to_string(statement.version);
  return text + '}';
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
