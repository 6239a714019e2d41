#include "vault/records/record.h"

#include <charconv>

namespace casevault {
namespace {

// `<letter>-<number>` and nothing else; numbers from 1 to 2^63 - 1 as people write them, so no leading zero and no
// sign.
std::optional<std::int64_t> parse_numbered(char letter, std::string_view text) {
  if (text.size() < 3 || text[0] != letter || text[1] != '-' || text[2] < '1' || text[2] > '9') return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<RecordId> parse_record_id(std::string_view text) {
  for (const RecordKind kind : {RecordKind::kEvidence, RecordKind::kTestimony}) {
    if (const auto number = parse_numbered(static_cast<char>(kind), text)) return RecordId{kind, *number};
  }
  return std::nullopt;
}

}  // namespace

std::string to_string(RecordId id) { return static_cast<char>(id.kind) + ("-" + std::to_string(id.number)); }

std::optional<ObjectName> parse_object_name(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto case_number = parse_numbered('C', text.substr(0, slash));
  if (!case_number) return std::nullopt;
  if (slash == std::string_view::npos) return ObjectName{*case_number, std::nullopt};
  const auto record = parse_record_id(text.substr(slash + 1));
  if (!record) return std::nullopt;
  return ObjectName{*case_number, *record};
}

std::string to_string(const ObjectName& name) {
  const std::string text = "C-" + std::to_string(name.case_number);
  return name.record ? text + "/" + to_string(*name.record) : text;
}

}  // namespace casevault
