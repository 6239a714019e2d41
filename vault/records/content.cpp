#include "vault/records/content.h"

#include <algorithm>

#include "vault/records/objects.h"

namespace casevault {
namespace {

std::variant<Bytes, BodyStore::Reader> open_content(const Session& session, const OpenCase& open,
                                                    const Version& version) {
  auto content = in_case(open.number, [&] { return open.store.content(version); });
  if (auto* bytes = std::get_if<Bytes>(&content)) return std::move(*bytes);
  return session.bodies().open(std::get<BodyRef>(content), version.details->size);
}

}  // namespace

ContentReader::ContentReader(const Session& session, const OpenCase& open, const Version& version) try
    : environment_(session.environment()),
      version_(version),
      label_(record_label(open.number, version.record)),
      content_(open_content(session, open, version)) {
} catch (const Error& error) {
  const auto label = record_label(open.number, version.record);
  if (error.code() != Errc::kDamaged || std::string(error.what()).starts_with(label)) throw;
  throw Error(error.code(), label + ": " + error.what(), "casevault verify");
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
  std::ranges::copy(part, out.begin());
  return part.size();
}

void ContentReader::read_all(HashingThread& hashing,
                             const std::function<void(std::uint64_t offset, ByteView block)>& block) {
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
