#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "crypto/bytes.h"

namespace casevault {

/// What is written over vault.json, in place, before anything else is destroyed: the durable intent, and at the end the
/// mark that says so (docs/format.md section 3). It needs no key, so whoever can write to the disk can forge one; such
/// a person can make a vault unusable anyway, by writing anything over `slots`.
struct Tombstone {
  std::string order;         // which order it was; empty: `panic` on this machine
  std::int64_t time_ms = 0;  // Unix milliseconds, UTC, by this machine's clock
  std::uint64_t place = 0;   // the number of the inode of `slots`: in a copy elsewhere nothing is removed by itself
  bool finished = false;     // nothing is left that could be removed
};

/// One line of canonical JSON, padded with spaces to at least `size` bytes with its newline, so that nothing of the
/// header stays behind it.
Bytes encode_tombstone(const Tombstone& tombstone, std::size_t size);
/// nullopt when `file` is something else. A torn one counts, from its first 25 bytes on.
std::optional<Tombstone> parse_tombstone(ByteView file);

}  // namespace casevault
