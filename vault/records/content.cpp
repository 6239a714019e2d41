#include "vault/records/content.h"

#include <algorithm>

#include "vault/records/objects.h"

namespace casevault {

ContentReader ContentOpener::open(const OpenCase& open, const Version& version) {
  const auto label = record_label(open.number, version.record);
  try {
    return ContentReader(session_.environment(), version, label, open_content(open, version));
  } catch (const Error& error) {
    if (error.code() != Errc::kDamaged || std::string(error.what()).starts_with(label)) throw;
    throw Error(error.code(), label + ": " + error.what(), error.hint().empty() ? "casevault verify" : error.hint());
  }
}

ContentReader::Content ContentOpener::open_content(const OpenCase& open, const Version& version) {
  auto content = in_case(open.number, [&] { return open.store.content(version); });
  if (auto* bytes = std::get_if<Bytes>(&content)) return std::move(*bytes);
  const auto& body = std::get<BodyRef>(content);
  if (body.whole_size == 0 || version.details->size > kMaxInlineSize) {
    return session_.bodies().open(body, version.details->size);
  }
  auto part = read_part(body, version.details->size);
  if (sha256(part) != version.details->sha256) throw Error(Errc::kDamaged, "its content is not what was signed");
  return part;
}

Bytes ContentOpener::read_part(const BodyRef& part, std::uint64_t size) {
  if (pack_ != part.name || !reader_ || reader_->size() != part.whole_size) {
    reader_.reset();
    reader_ = session_.bodies().open({part.name, part.key.clone(), 0, 0}, part.whole_size);
    pack_ = part.name;
  }
  Bytes content(size);
  if (reader_->read_at(part.offset, content) != size) throw Error(Errc::kDamaged, "its content is cut short");
  return content;
}

std::size_t ContentReader::read_at(std::uint64_t offset, std::span<std::byte> out) {
  if (auto* body = std::get_if<BodyStore::Reader>(&content_)) {
    try {
      return body->read_at(offset, out);
    } catch (const Error& error) {
      if (error.code() != Errc::kDamaged) throw;
      fail(error.what());
    }
  }
  const auto& bytes = std::get<Bytes>(content_);
  if (offset >= bytes.size()) return 0;
  const auto part = ByteView(bytes).subspan(offset, std::min<std::uint64_t>(out.size(), bytes.size() - offset));
  copy_bytes(part, out);
  return part.size();
}

void ContentReader::read_all(HashingThread& hashing,
                             const std::function<void(std::uint64_t offset, ByteView block)>& block) {
  if (const auto* bytes = std::get_if<Bytes>(&content_)) return block(0, *bytes);
  std::uint64_t offset = 0;
  while (offset < size()) {
    stop_if_interrupted(environment_);
    const auto buffer = hashing.buffer();
    const std::size_t count = read_at(offset, buffer);
    if (count == 0) fail("its content is shorter than its record says");
    hashing.submit(count);
    block(offset, buffer.first(count));
    offset += count;
  }
  if (hashing.finish() != version_.details->sha256) fail("its content is not what was signed");
}

void ContentReader::fail(const std::string& why) const {
  throw Error(Errc::kDamaged, label_ + ": " + why, "casevault verify");
}

}  // namespace casevault
