#pragma once
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "crypto/buffered_source.h"

/// For the fuzzers in tests/fuzz (libFuzzer): a property that does not hold ends the process, which is a finding.
namespace casevault::test {

inline void check(bool holds, const char* what) {
  if (holds) return;
  (void)std::fprintf(stderr, "property violated: %s\n", what);
  std::abort();
}

/// A source that gives at most `step` bytes at a time. @pre step > 0
inline Source in_steps(ByteView bytes, std::size_t step) {
  return [source = source_of(bytes), step](std::span<std::byte> out) {
    return source(out.first(std::min(out.size(), step)));
  };
}

inline void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

}  // namespace casevault::test
