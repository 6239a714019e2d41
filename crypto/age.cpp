#include "crypto/age.h"

#include <algorithm>

#include "crypto/age_header.h"
#include "crypto/age_hybrid.h"

namespace casevault {
namespace {

constexpr std::size_t kInputSize = 4 * kSealedChunkSize;  // asked of the source at once

void check_recipients(std::span<const AgeRecipient> recipients) {
  if (recipients.empty()) throw Error(Errc::kUsage, "no recipients");
  const AgeKeyKind kind = recipients.front().kind();
  const bool mixed = !std::ranges::all_of(recipients, [&](const AgeRecipient& r) { return r.kind() == kind; });
  const bool passphrase =
      std::ranges::any_of(recipients, [](const AgeRecipient& r) { return r.kind() == AgeKeyKind::kPassphrase; });
  if (passphrase && recipients.size() > 1) throw Error(Errc::kUsage, "a passphrase has to be the only recipient");
  if (mixed) throw Error(Errc::kUsage, "post-quantum recipients (age1pq1…) do not mix with others");
  // Before the work of sealing; the size of the header is checked when it is encoded.
  if (recipients.size() > kAgeMaxStanzas) throw Error(Errc::kUsage, "too many recipients for one age file");
}

AgePayloadWriter start_writing(std::span<const AgeRecipient> recipients, Sink sink) {
  check_recipients(recipients);
  const FileKey file_key = FileKey::random();
  AgeHeader header;
  for (const AgeRecipient& recipient : recipients) header.stanzas.push_back(recipient.wrap(file_key));
  header.mac = age_header_mac(file_key, header);
  sink(as_bytes(encode_age_header(header)));
  return AgePayloadWriter(file_key, std::move(sink));
}

[[noreturn]] void fail_no_match(const AgeHeader& header, std::span<const AgeIdentity> identities) {
  const bool tried =
      std::ranges::any_of(identities, [](const AgeIdentity& i) { return i.kind() == AgeKeyKind::kPassphrase; });
  if (check_age_scrypt_is_alone(header.stanzas)) {
    if (tried) throw AgeError(AgeFault::kNoMatch, Errc::kWrongPassphrase, "wrong passphrase");
    throw AgeError(AgeFault::kNoMatch, Errc::kNotAllowed, "it opens with a passphrase, not with a key");
  }
  const bool hybrid =
      std::ranges::any_of(header.stanzas, [](const AgeStanza& s) { return s.type() == kAgeHybridType; });
  throw AgeError(AgeFault::kNoMatch, Errc::kNotAllowed, "not for any of these identities",
                 hybrid && !age_hybrid_is_available()
                     ? "some of its recipients are post-quantum; for those, casevault has to be built with libsodium "
                       "1.0.22 or newer"
                     : "");
}

FileKey find_file_key(const AgeHeader& header, std::span<const AgeIdentity> identities) {
  check_age_scrypt_is_alone(header.stanzas);
  for (const AgeIdentity& identity : identities) {
    if (auto file_key = identity.unwrap(header.stanzas)) return std::move(*file_key);
  }
  fail_no_match(header, identities);
}

AgePayloadReader start_reading(Source source, std::span<const AgeIdentity> identities) {
  BufferedSource input(std::move(source), kInputSize);
  const AgeHeader header = read_age_header(input);
  const FileKey file_key = find_file_key(header, identities);
  if (!equal_constant_time(age_header_mac(file_key, header), header.mac)) {
    throw AgeError(AgeFault::kMac, "the header was changed after it was written");
  }
  return AgePayloadReader(file_key, std::move(input));
}

}  // namespace

AgeWriter::AgeWriter(std::span<const AgeRecipient> recipients, Sink sink)
    : payload_(start_writing(recipients, std::move(sink))) {}

AgeReader::AgeReader(Source source, std::span<const AgeIdentity> identities)
    : payload_(start_reading(std::move(source), identities)) {}

}  // namespace casevault
