#include "vault/raid/tombstone.h"

#include "crypto/error.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::string_view kBegins = R"({"casevault":"destroyed",)";  // no header begins so: its keys are sorted, too

}  // namespace

Bytes encode_tombstone(const Tombstone& tombstone, std::size_t size) {
  const nlohmann::json fields = {{"casevault", "destroyed"},
                                 {"finished", tombstone.finished},
                                 {"order", tombstone.order},
                                 {"place", tombstone.place},
                                 {"time", tombstone.time_ms}};
  auto text = fields.dump();
  require(text.starts_with(kBegins), "a tombstone begins differently");
  if (text.size() + 1 < size) text.resize(size - 1, ' ');
  text += '\n';
  return {as_bytes(text).begin(), as_bytes(text).end()};
}

std::optional<Tombstone> parse_tombstone(ByteView file) {
  const auto text = as_text(file);
  if (!text.starts_with(kBegins)) return std::nullopt;
  const auto end = text.find('}');
  if (end == text.npos) return Tombstone();
  try {
    const auto parsed = parse_canonical(text.substr(0, end + 1), "vault.json");
    Fields fields(parsed, "vault.json");
    return Tombstone{.order = fields.text("order"),
                     .time_ms = fields.time("time"),
                     .place = fields.count("place"),
                     .finished = fields.any("finished") == true};
  } catch (const Error&) {
    return Tombstone();  // torn: destroying begins again
  }
}

}  // namespace casevault
