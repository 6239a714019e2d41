#include "crypto/age_payload.h"

#include <algorithm>

#include "crypto/age_error.h"
#include "crypto/random.h"
#include "crypto/sodium_util.h"

namespace casevault {
namespace {

// Hands the nonce to the sink, and makes the cipher for what follows.
ChunkCipher start_payload(const FileKey& key, const Sink& sink) {
  const auto nonce = random_array<kPayloadNonceSize>();
  sink(nonce);
  return ChunkCipher(payload_key(key, nonce));
}

ChunkCipher start_payload(const FileKey& key, BufferedSource& input) {
  const ByteView nonce = input.take(kPayloadNonceSize);
  if (nonce.size() != kPayloadNonceSize) throw AgeError(AgeFault::kHeader, "it ends behind the header");
  return ChunkCipher(payload_key(key, to_array<kPayloadNonceSize>(nonce)));
}

[[noreturn]] void fail(const std::string& what) { throw AgeError(AgeFault::kPayload, "payload: " + what); }

}  // namespace

PlaintextBuffer::~PlaintextBuffer() { sodium_memzero(bytes_.data(), bytes_.size()); }

AgePayloadWriter::AgePayloadWriter(const FileKey& key, Sink sink)
    : sink_(std::move(sink)), cipher_(start_payload(key, sink_)), sealed_(kSealedChunkSize), open_(true) {}

void AgePayloadWriter::write(ByteView plain) {
  require(open_, "age: written to after the end, or after a failure");
  while (!plain.empty()) {
    if (pending_size_ == kChunkSize) {
      emit(pending_.span(), false);
      pending_size_ = 0;
    }
    if (pending_size_ == 0 && plain.size() > kChunkSize) {  // straight from the caller: more follows
      emit(plain.first(kChunkSize), false);
      plain = plain.subspan(kChunkSize);
      continue;
    }
    const std::size_t size = std::min(plain.size(), kChunkSize - pending_size_);
    copy_bytes(plain.first(size), pending_.span().subspan(pending_size_));
    pending_size_ += size;
    plain = plain.subspan(size);
  }
}

void AgePayloadWriter::finish() {
  require(open_, "age: finished twice, or after a failure");
  emit(pending_.span().first(pending_size_), true);
  open_ = false;
}

// A number is used up before the sink is called, and no second chunk is made once the sink has thrown.
void AgePayloadWriter::emit(ByteView plain, bool last) {
  const auto sealed = std::span(sealed_).first(plain.size() + kChunkTagSize);
  cipher_.seal(number_++, last, plain, sealed);
  open_ = false;
  sink_(sealed);
  open_ = true;
}

AgePayloadReader::AgePayloadReader(const FileKey& key, BufferedSource input)
    : input_(std::move(input)), cipher_(start_payload(key, input_)) {}

std::size_t AgePayloadReader::read(std::span<std::byte> out) {
  require(!broken_, "age: read after a failure");
  if (out.empty()) return 0;
  broken_ = true;  // until this call has gone well
  if (held_begin_ == held_end_ && out.size() < kChunkSize) {
    held_begin_ = 0;
    held_end_ = open_next(held_.span());
  }
  std::size_t size = std::min(out.size(), held_end_ - held_begin_);
  if (size > 0) {
    copy_bytes(held_.span().subspan(held_begin_, size), out);
    held_begin_ += size;
  } else if (out.size() >= kChunkSize) {
    size = open_next(out.first(kChunkSize));
  }
  broken_ = false;
  return size;
}

// The number of plaintext bytes of the next chunk; 0 at the end.
std::size_t AgePayloadReader::open_next(std::span<std::byte> out) {
  if (last_seen_) {
    if (!input_.at_end()) fail("something follows its end");
    return 0;
  }
  const ByteView sealed = input_.take(kSealedChunkSize);
  if (sealed.size() < kChunkTagSize) fail("it is cut off");
  if (sealed.size() == kChunkTagSize && number_ > 0) fail("its last chunk is empty");
  return open(sealed, out.first(sealed.size() - kChunkTagSize));
}

std::size_t AgePayloadReader::open(ByteView sealed, std::span<std::byte> plain) {
  // A full chunk may be the last or not; a shorter one cannot but be the last.
  const bool middle = sealed.size() == kSealedChunkSize && cipher_.open(number_, false, sealed, plain);
  last_seen_ = !middle && cipher_.open(number_, true, sealed, plain);
  if (!middle && !last_seen_) fail("a chunk is damaged, or not at its place");
  ++number_;
  return plain.size();
}

}  // namespace casevault
