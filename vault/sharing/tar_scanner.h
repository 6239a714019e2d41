#pragma once
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "crypto/bytes.h"

namespace casevault {

/// What a tar says of a member before its data.
struct TarHeader {
  std::string path;        // as written: with the top folder, and for a folder perhaps with a '/' at its end
  std::uint64_t size = 0;  // bytes of data
  bool is_folder = false;
};

/// Watches over the bytes of a tar on their way to libarchive, which is lenient on purpose: it takes unknown types for
/// files, holes for zeros, and does not look at what follows the end. Passes only what every tar program reads alike:
/// plain files and folders in POSIX ustar (IEEE Std 1003.1, pax, "ustar Interchange Format"), with pax extended headers
/// of known keywords, or in GNU's format with its long names; sizes up to 2^62; names of the length a bag's path may
/// have. Padding must be zero. After the end-of-archive mark (two blocks of zeros) at most 1 MiB of zeros may follow.
/// Modes, owners, times and comments are not looked at. Memory does not depend on the size of the tar.
class TarScanner {
 public:
  TarScanner();
  /// @throws Error{kDamaged} at the first byte from which it is clear that it must be refused; the member is named. The
  /// scanner is of no more use then.
  void feed(ByteView bytes);
  /// The headers in the bytes so far, one after the other; nullopt when all have been taken.
  std::optional<TarHeader> take_header();
  /// To be called when the stream ends. @throws Error{kDamaged} when that is not after the end-of-archive mark.
  void finish() const;

 private:
  enum class Phase { kHeader, kExtension, kData, kPadding, kTail };
  struct Extension {  // what headers before the member's own say of it
    char type = 0;    // 0: there was none
    std::size_t size = 0;
    std::optional<std::string> path;
    std::optional<std::uint64_t> member_size;
    std::string fault;  // kept until the member's name is known
  };

  std::size_t step(ByteView bytes);
  std::size_t collect(ByteView bytes);
  std::size_t pass_data(ByteView bytes);
  std::size_t pass_padding(ByteView bytes);
  std::size_t pass_tail(ByteView bytes);
  void use_block(ByteView block);
  void use_zero_block();
  void use_member(ByteView block);
  void begin_extension(ByteView block);
  void use_extension(std::string_view body);
  void use_pax(std::string_view records);
  void use_pax_record(std::string_view key, std::string_view value);
  void collect_next(Phase phase, std::size_t size);
  [[noreturn]] void fail(const std::string& what) const;

  Phase phase_ = Phase::kHeader;
  Bytes collected_;  // of a header or an extension, until it is whole
  std::size_t collect_size_;
  std::uint64_t data_left_ = 0;
  std::uint64_t padding_left_ = 0;
  std::uint64_t tail_size_ = 0;
  bool after_zero_block_ = false;
  Extension extension_;
  std::string name_;  // of the last member, for messages
  std::deque<TarHeader> headers_;
};

}  // namespace casevault
