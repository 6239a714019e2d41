#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "crypto/bytes.h"

namespace casevault {

/// Secret bytes of any length in `sodium_malloc` memory: guarded, locked if the limit allows, out of core dumps, wiped
/// on destruction. Move-only; every copy is a visible `clone`. No operator<<, no formatter: logging one does not
/// compile.
class SecretBytes {
 public:
  SecretBytes() = default;
  /// `size` zero bytes. @throws Error{kInternal} when memory cannot be had.
  explicit SecretBytes(std::size_t size);
  static SecretBytes copy_of(ByteView bytes);
  /// Moved from, it is empty.
  SecretBytes(SecretBytes&& other) noexcept : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  std::size_t size() const { return size_; }  // bytes
  bool empty() const { return size_ == 0; }
  /// Keeps the first `size` bytes. @pre size <= this->size()
  void truncate(std::size_t size) { size_ = size; }

  /// The only ways to the bytes; the span must not outlive the object.
  ByteView expose_secret() const { return {data_.get(), size_}; }
  std::span<std::byte> expose_secret_for_writing() { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

/// A secret for one purpose, in guarded memory, wiped on destruction. Passing a key of one purpose for another does not
/// compile.
template <typename Purpose, std::size_t Size = 32>
class Key {
 public:
  static constexpr std::size_t kSize = Size;  // bytes
  static Key random();
  static Key from_bytes(std::span<const std::byte, Size> bytes) { return Key(SecretBytes::copy_of(bytes)); }
  /// Zero bytes, to be filled through expose_secret_for_writing.
  static Key zero() { return Key(SecretBytes(Size)); }
  Key clone() const { return from_bytes(expose_secret()); }

  /// The only ways to the bytes; the span must not outlive the key.
  std::span<const std::byte, Size> expose_secret() const {
    return std::span<const std::byte, Size>(bytes_.expose_secret().data(), Size);
  }
  std::span<std::byte, Size> expose_secret_for_writing() {
    return std::span<std::byte, Size>(bytes_.expose_secret_for_writing().data(), Size);
  }

 private:
  explicit Key(SecretBytes bytes) : bytes_(std::move(bytes)) {}
  SecretBytes bytes_;
};

/// In constant time.
template <typename Purpose, std::size_t Size>
bool equal_constant_time(const Key<Purpose, Size>& a, const Key<Purpose, Size>& b) {
  return equal_constant_time(ByteView(a.expose_secret()), ByteView(b.expose_secret()));
}

/// What a passphrase is stretched to by Argon2id.
using PassphraseKey = Key<struct PassphrasePurpose>;
/// Opens one slot.
using SlotKey = Key<struct SlotPurpose>;
/// Everything about the catalogue is derived from this one.
using CatalogKey = Key<struct CatalogPurpose>;
/// One epoch of one case; its database key is derived from it.
using CaseKey = Key<struct CasePurpose>;
/// What custodians hold of one user or case, put together.
using CustodyShare = Key<struct CustodySharePurpose>;
/// Keys one SQLCipher database.
using DatabaseKey = Key<struct DatabasePurpose>;
/// Marks the names of a case's bodies as its own.
using BodyNameKey = Key<struct BodyNamePurpose>;
/// One body, or one age file: 16 bytes, as in age v1.
using FileKey = Key<struct FilePurpose, 16>;
/// One chunked payload, derived from a FileKey.
using PayloadKey = Key<struct PayloadPurpose>;
/// Seals the title of a case.
using TitleKey = Key<struct TitlePurpose>;
/// Seals the state field of audit records.
using StateKey = Key<struct StatePurpose>;
/// One process's audit entries.
using AuditSessionKey = Key<struct AuditSessionPurpose>;
/// One audit entry.
using AuditEntryKey = Key<struct AuditEntryPurpose>;

void fill_random(std::span<std::byte> out);

/// Overwrites a buffer of somebody else's through which a secret came in; the compiler does not leave it out.
void wipe(std::span<std::byte> bytes);

template <typename Purpose, std::size_t Size>
Key<Purpose, Size> Key<Purpose, Size>::random() {
  Key key = zero();
  fill_random(key.expose_secret_for_writing());
  return key;
}

}  // namespace casevault
