#include "vault/sharing/receipt.h"

#include <array>
#include <charconv>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "vault/sharing/bundle.h"

namespace casevault {
namespace {

constexpr std::string_view kTitle = "casevault receipt v1";

[[noreturn]] void fail() { throw Error(Errc::kDamaged, "this is not a receipt for a bundle, or it is damaged"); }

std::string text_of(const Receipt& receipt) {
  std::string text(kTitle);
  text += "\nbundle " + to_hex(receipt.bundle);
  text += "\nreceiver " + to_hex(receipt.receiver);
  text += "\nsender " + receipt.sender;
  text += "\nrecords " + std::to_string(receipt.records);
  text += "\ntime " + std::to_string(receipt.time_ms);
  text += "\nlog " + std::to_string(receipt.log.size) + " " + to_base64(receipt.log.root);
  return text + "\n";
}

/// Takes the lines of a receipt one by one.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  std::string_view value(std::string_view label) {
    const auto end = rest_.find('\n');
    if (end == std::string_view::npos) fail();
    auto line = rest_.substr(0, end);
    rest_ = rest_.substr(end + 1);
    if (!line.starts_with(label)) fail();
    return line.substr(label.size());
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

template <typename Number>
Number number_from(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) fail();
  return value;
}

template <std::size_t N>
ByteArray<N> bytes_from(std::string_view hex) {
  const auto bytes = array_from_hex<N>(hex);
  if (!bytes) fail();
  return *bytes;
}

Receipt receipt_from(std::string_view text) {
  Lines lines(text);
  if (!lines.value(kTitle).empty()) fail();
  Receipt receipt;
  receipt.bundle = bytes_from<32>(lines.value("bundle "));
  receipt.receiver = bytes_from<16>(lines.value("receiver "));
  receipt.sender = lines.value("sender ");
  receipt.records = number_from<std::uint64_t>(lines.value("records "));
  receipt.time_ms = number_from<std::int64_t>(lines.value("time "));
  const auto log = lines.value("log ");
  const auto space = log.find(' ');
  const auto root = space == std::string_view::npos ? std::nullopt : from_base64(log.substr(space + 1));
  if (!root || root->size() != 32 || !lines.at_end()) fail();
  receipt.log = {number_from<std::uint64_t>(log.substr(0, space)), to_array<32>(*root)};
  if (text_of(receipt) != text) fail();
  return receipt;
}

}  // namespace

std::string encode_receipt(const Receipt& receipt, const SigningKey& key) {
  return SignedNote::sign(text_of(receipt), log_origin(receipt.receiver), key).encode();
}

std::optional<Receipt> parse_receipt(std::string_view text, const VerifyKey& key) {
  if (text.size() > kMaxReceiptSize) fail();
  const auto note = SignedNote::parse(text);
  const auto receipt = receipt_from(note.unverified_text());
  const std::array known{NoteVerifier(log_origin(receipt.receiver), key)};
  if (!note.verify(known)) return std::nullopt;
  return receipt;
}

}  // namespace casevault
