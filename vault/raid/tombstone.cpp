#include "vault/raid/tombstone.h"

#include <algorithm>

#include "crypto/error.h"
#include "vault/storage/json.h"

namespace casevault {
namespace {

constexpr std::string_view kBegins = R"({"casevault":"destroyed",)";  // no header begins so: its keys are sorted, too

}  // namespace

Bytes encode_tombstone(const Tombstone& tombstone, std::size_t size) {
  const nlohmann::json fields = {{"casevault", "destroyed"},       {"device", tombstone.device},
                                 {"finished", tombstone.finished}, {"inode", tombstone.inode},
                                 {"order", tombstone.order},       {"time", tombstone.time_ms},
                                 {"vault", tombstone.vault}};
  auto text = fields.dump();
  require(text.starts_with(kBegins), "a tombstone begins differently");
  if (text.size() + 1 < size) text.resize(size - 1, ' ');
  text += '\n';
  return {as_bytes(text).begin(), as_bytes(text).end()};
}

std::optional<Tombstone> parse_tombstone(ByteView file) {
  const auto text = as_text(file);
  if (!text.starts_with(kBegins)) return std::nullopt;
  try {
    const auto parsed = parse_canonical(text.substr(0, text.find('}') + 1), "vault.json");
    Fields fields(parsed, "vault.json");
    const Tombstone tombstone{.order = fields.text("order"),
                              .time_ms = fields.time("time"),
                              .device = fields.count("device"),
                              .inode = fields.count("inode"),
                              .vault = fields.text("vault"),
                              .finished = fields.any("finished") == true};
    if (std::ranges::equal(encode_tombstone(tombstone, file.size()), file)) return tombstone;
  } catch (const Error&) {
  }
  return Tombstone();
}

}  // namespace casevault
