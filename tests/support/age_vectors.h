#pragma once
#ifdef CASEVAULT_TEST_ZLIB
#include <zlib.h>
#endif

#include <map>
#include <string>

#include "tests/support/vectors.h"

/// Files of C2SP/CCTV age: fields, an empty line, an age file (format: age-README.md beside them).
namespace casevault::test {

struct AgeVector {
  std::multimap<std::string, std::string> fields;
  Bytes file;            // not compressed
  bool readable = true;  // false: it is compressed, and this was built without zlib
  std::string field(const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? std::string() : found->second;
  }
  std::string expect() const { return field("expect"); }
  bool armored() const { return field("armored") == "yes"; }
};

inline Bytes inflate_all([[maybe_unused]] ByteView compressed) {
#ifdef CASEVAULT_TEST_ZLIB
  Bytes out(64u << 20);  // more than any vector has
  auto size = static_cast<uLongf>(out.size());
  const int status = uncompress(reinterpret_cast<Bytef*>(out.data()), &size,
                                reinterpret_cast<const Bytef*>(compressed.data()), compressed.size());
  EXPECT_EQ(status, Z_OK);
  out.resize(size);
  return out;
#else
  return {};
#endif
}

inline AgeVector read_age_vector(const std::filesystem::path& path) {
  const Bytes content = read_file(path);
  std::string_view rest = as_text(content);
  AgeVector vector;
  while (true) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.empty()) break;
    const std::size_t colon = line.find(": ");
    vector.fields.emplace(line.substr(0, colon), line.substr(std::min(line.size(), colon + 2)));
  }
  const bool compressed = vector.field("compressed") == "zlib";
#ifndef CASEVAULT_TEST_ZLIB
  vector.readable = !compressed;
#endif
  vector.file = compressed ? inflate_all(as_bytes(rest)) : concat({as_bytes(rest)});
  return vector;
}

}  // namespace casevault::test
