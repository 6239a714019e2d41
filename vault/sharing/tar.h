#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "crypto/buffered_source.h"
#include "vault/sharing/bag_names.h"

namespace casevault {

// The tar in a bundle: plain files below one top folder, nothing else. Both directions stream; neither authenticates:
// the age file around the tar does. Names are UTF-8 whatever the locale of the process.

inline constexpr std::uint64_t kMaxTarMemberSize = std::uint64_t{1} << 62;  // bytes
inline constexpr std::size_t kMaxTarMembers = 1'000'000;                    // files and folders

/// Writes POSIX ustar, with a pax extended header where a name is not ASCII or too long, or a file has 8 GiB or more;
/// every member has mode 0644, owner 0 without a name, and the same time. The same files give the same bytes. Ends with
/// two blocks of zeros and no further padding. One thread at a time.
class TarWriter {
 public:
  /// Members are written below `top_folder`, e.g. "bag", with the time `mtime`, Unix seconds, 0 to 2^33 - 1.
  /// @pre find_path_fault(top_folder) is nullopt, and it has no '/'
  TarWriter(Sink sink, std::string top_folder, std::int64_t mtime);
  /// Nothing more goes to the sink: without finish() the tar is cut off, and readers say so.
  ~TarWriter();
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  /// Begins a file of `size` bytes at a path below the top folder. @throws Error{kUsage} when the path cannot stand in
  /// a bag beside those before it (PathSet), or there are too many. @pre no file is begun; size <= 2^62
  void begin_file(std::string_view path, std::uint64_t size);
  /// The next bytes of the file. @throws Error{kInternal} for more than it was to have.
  void write(ByteView data);
  /// Call after the file's last byte. @throws Error{kInternal} when some are missing.
  void end_file();
  /// Call after the last file. What the sink throws comes out of all of these.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads such tars, whoever wrote them, as long as they hold plain files, and folders, which are skipped. Refuses by
/// name what TarScanner refuses (links, devices, pipes, sparse files, unknown types and keywords, damaged headers, a
/// tail), members in other top folders or in none, what PathSet refuses (absolute or climbing paths, names that are not
/// UTF-8 in NFC, duplicates), more than 1,000,000 members, and a tar that is cut off. Each tar is read twice over, by
/// TarScanner and by libarchive; where they do not see the same, it is refused. One thread at a time.
class TarReader {
 public:
  struct Member {
    std::string path;  // below the top folder, as find_path_fault wants it
    std::uint64_t size = 0;
  };

  explicit TarReader(Source source);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  /// The next file; what was not read of the one before is skipped. nullopt at the end, when the source has been read
  /// to its own end and all of it was as it should be; what came before it is not to be relied upon until then.
  /// @throws Error{kDamaged} naming the member, here and below; and what the source throws. The reader is of no more
  /// use then.
  std::optional<Member> next();
  /// Fills the span as far as the file goes, and says how many bytes; 0 at its end.
  std::size_t read(std::span<std::byte> buffer);
  /// As read, without copying: the next piece of the file, empty at its end; valid until the next call.
  ByteView read_piece();
  /// The name of the folder around all members; empty before the first.
  const std::string& top_folder() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace casevault
