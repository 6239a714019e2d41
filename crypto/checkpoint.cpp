#include "crypto/checkpoint.h"

#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/error.h"
#include "crypto/text_lines.h"

namespace casevault {
namespace {

bool is_line(std::string_view text) { return !text.empty() && text.find('\n') == std::string_view::npos; }

[[noreturn]] void bad_checkpoint(const char* why) {
  throw Error(Errc::kDamaged, std::string("the checkpoint is damaged: ") + why);
}

std::string_view take_line(LineReader& lines) {
  const auto line = lines.next();
  if (!line || line->empty()) bad_checkpoint("a line is missing or empty");
  return *line;
}

}  // namespace

std::string Checkpoint::encode() const {
  require(is_line(origin) && std::ranges::all_of(extensions, is_line), "checkpoint: wrong line");
  std::string text = origin + "\n" + std::to_string(size) + "\n" + to_base64(root) + "\n";
  for (const std::string& line : extensions) text += line + "\n";
  return text;
}

Checkpoint Checkpoint::parse(std::string_view text) {
  LineReader lines(text);
  Checkpoint checkpoint;
  checkpoint.origin = take_line(lines);
  const auto size = from_decimal(take_line(lines));
  const auto root = array_from_base64<sizeof(TreeHash)>(take_line(lines));
  if (!size || !root) bad_checkpoint("its size or its root is malformed");
  checkpoint.size = *size;
  checkpoint.root = *root;
  while (!lines.rest().empty()) checkpoint.extensions.emplace_back(take_line(lines));
  return checkpoint;
}

SignedNote sign_checkpoint(const Checkpoint& checkpoint, const SigningKey& key) {
  return SignedNote::sign(checkpoint.encode(), checkpoint.origin, key);
}

std::optional<Checkpoint> verify_checkpoint(const SignedNote& note, const NoteVerifier& log) {
  const auto verified = note.verify(std::span(&log, 1));
  if (!verified) return std::nullopt;
  auto checkpoint = Checkpoint::parse(verified->text);
  if (checkpoint.origin != log.name()) bad_checkpoint("it is of another log than the key");
  return checkpoint;
}

}  // namespace casevault
