#pragma once
#include <span>

#include "crypto/age_error.h"
#include "crypto/age_keys.h"
#include "crypto/age_payload.h"
#include "crypto/buffered_source.h"

namespace casevault {

// age v1 files (C2SP age.md, https://c2sp.org/age), binary; crypto/age_armor.h is for those in ASCII. Memory does not
// depend on the size of the file: a header of at most 1 MiB, and a few chunks.

/// Writes an age file. It keeps the content secret from all but the recipients, and no change goes unnoticed; but it
/// does not say who wrote it: whoever knows a public key can write for it. (A passphrase shows that the writer knew
/// it.)
class AgeWriter {
 public:
  /// Makes a new file key, and writes the header at once. @throws Error{kUsage} for no recipients, a passphrase among
  /// others, post-quantum recipients among others (the others would undo what they are for), or more than fit a header;
  /// Error{kInternal} when there is no memory for scrypt; what the sink throws.
  AgeWriter(std::span<const AgeRecipient> recipients, Sink sink);
  /// Any size; chunks go to the sink as they fill. What the sink throws ends the writer.
  void write(ByteView plain) { payload_.write(plain); }
  /// Writes the last chunk; only then is there an age file. Without it readers report a file that is cut off.
  void finish() { payload_.finish(); }

 private:
  AgePayloadWriter payload_;
};

/// Reads an age file, strictly: what does not conform is refused.
class AgeReader {
 public:
  /// Reads the header, and finds the file key. The identities are tried in their order and not kept.
  /// @throws AgeError{kHeader, kNoMatch, kMac}; of kNoMatch the code is kWrongPassphrase when a passphrase was tried,
  /// else kNotAllowed. Error{kInternal} when there is no memory for scrypt; what the source throws.
  AgeReader(Source source, std::span<const AgeIdentity> identities);
  /// Puts the next plaintext, at most a chunk of 64 KiB, at the start of `out`, and tells its size. Every byte is
  /// authentic, but that the content is whole shows only at the end: 0, after the last chunk and at the true end of the
  /// input. So nothing that was read counts before. Quickest with room for a whole chunk. The caller wipes `out`.
  /// @throws AgeError{kPayload}; what the source throws. After that the reader cannot be used.
  std::size_t read(std::span<std::byte> out) { return payload_.read(out); }

 private:
  AgePayloadReader payload_;
};

}  // namespace casevault
