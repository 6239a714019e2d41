#pragma once
#include <functional>
#include <optional>
#include <variant>

#include "vault/access/case_access.h"
#include "vault/records/hashing.h"

namespace casevault {

/// The content of one version, opened for reading. What stands in the database was checked against the signed hash when
/// it was opened; of a body, the chunks that are read are authentic, and `check` checks the whole.
class ContentReader {
 public:
  /// @pre the version was not withdrawn; it does not outlive `session`. @throws Error{kDamaged} naming the record.
  ContentReader(const Session& session, const OpenCase& open, const Version& version);

  std::uint64_t size() const { return version_.details->size; }  // bytes
  bool is_checked() const { return std::holds_alternative<Bytes>(content_); }
  /// Fills `out` from `offset`; returns the bytes read, fewer only at the end. @throws Error{kDamaged} naming the
  /// record.
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> out);
  /// Reads everything through `hashing`, and hands each block on while it is hashed. Then the whole is checked.
  /// @throws Error{kDamaged} naming the record when it is not what was signed: then what was handed on must not be
  /// used.
  void read_all(HashingThread& hashing, const std::function<void(std::uint64_t offset, ByteView block)>& block);

 private:
  [[noreturn]] void fail(const std::string& why) const;
  const Environment& environment_;
  Version version_;
  std::string label_;
  std::variant<Bytes, BodyStore::Reader> content_;
};

}  // namespace casevault
