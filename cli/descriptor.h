#pragma once
#include <functional>
#include <optional>
#include <set>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/bytes.h"

namespace casevault {

/// N of `/dev/fd/N` or `/proc/self/fd/N`, 0 of `/dev/stdin`. nullopt for other paths.
std::optional<int> descriptor_named(std::string_view path);

/// Those that the words of a command line name, also as `--option=/dev/fd/N`.
std::set<int> descriptors_named_in(const std::vector<std::string>& words);

/// read(2) that waits until there is something, and gives up when interrupted. Returns the bytes read, 0 at the end.
/// @throws Error: kInterrupted, kInternal when reading fails.
std::size_t read_descriptor(int descriptor, std::span<std::byte> out, const std::function<bool()>& interrupted);

/// Buffered writing to a descriptor, which it does not own. Unlike std::filebuf it remembers why a write failed.
class DescriptorBuffer : public std::streambuf {
 public:
  /// `interrupted` is asked when a signal came while nobody reads our output: true gives up.
  DescriptorBuffer(int descriptor, std::function<bool()> interrupted);
  int error() const { return error_; }  // errno, 0 while all is well

 protected:
  int_type overflow(int_type c) override;
  int sync() override;
  std::streamsize xsputn(const char* data, std::streamsize size) override;

 private:
  bool write_all(const char* data, std::size_t size);
  bool flush();
  int descriptor_;
  std::function<bool()> interrupted_;
  int error_ = 0;
  std::vector<char> buffer_;
};

}  // namespace casevault
