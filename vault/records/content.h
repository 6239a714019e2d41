#pragma once
#include <functional>
#include <optional>
#include <variant>

#include "vault/access/case_access.h"
#include "vault/records/hashing.h"

namespace casevault {

/// The content of one version, opened for reading. What was small was checked against the signed hash when it was
/// opened; of what is large, the chunks that are read are authentic, and `read_all` checks the whole.
class ContentReader {
 public:
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
  friend class ContentOpener;
  using Content = std::variant<Bytes, BodyStore::Reader>;
  ContentReader(const Environment& environment, const Version& version, std::string label, Content content)
      : environment_(environment), version_(version), label_(std::move(label)), content_(std::move(content)) {}
  [[noreturn]] void fail(const std::string& why) const;
  const Environment& environment_;
  Version version_;
  std::string label_;
  Content content_;
};

/// Opens contents, quickly where one after the other stands in the same body. The session must outlive it.
class ContentOpener {
 public:
  explicit ContentOpener(const Session& session) : session_(session) {}
  /// @pre the version was not withdrawn. @throws Error{kDamaged} naming the record.
  ContentReader open(const OpenCase& open, const Version& version);

 private:
  ContentReader::Content open_content(const OpenCase& open, const Version& version);
  Bytes read_part(const BodyRef& part, std::uint64_t size);
  const Session& session_;
  std::string pack_;  // the name of the body that `reader_` reads
  std::optional<BodyStore::Reader> reader_;
};

}  // namespace casevault
