#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "crypto/bytes.h"

namespace casevault {

/// What is written over vault.json, in place, before anything else is destroyed: the durable intent, and at the end the
/// mark that says so (docs/format.md section 3, "Destroyed"). It needs no key, so whoever can write to the folder can
/// forge one: it says that the vault is not to be opened, and by itself it makes nobody remove anything.
struct Tombstone {
  std::string order;         // which order it was; empty: `panic` on this machine
  std::int64_t time_ms = 0;  // Unix milliseconds, UTC, by this machine's clock
  /// Of `slots`, lower 52 bits each: only where they are the same was this very folder being destroyed. 0: not known.
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::string vault;      // its id in hex, where it was known
  bool finished = false;  // nothing is left that could be removed
};

/// A device's or inode's number as the mark has it: numbers in our JSON are exact up to 2^53.
inline constexpr std::uint64_t place_number(std::uint64_t number) { return number & ((std::uint64_t{1} << 52) - 1); }

/// One line of canonical JSON, padded with spaces to at least `size` bytes with its newline, so that nothing of the
/// header stays behind it.
Bytes encode_tombstone(const Tombstone& tombstone, std::size_t size);
/// nullopt when `file` is something else. One that is torn or was edited counts, from its first 25 bytes on, but says
/// nothing: it is a Tombstone of no place.
std::optional<Tombstone> parse_tombstone(ByteView file);

}  // namespace casevault
