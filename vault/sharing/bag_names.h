#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "crypto/bytes.h"

namespace casevault {

// What a path in a bundle may look like, so that it means the same file to every reader: to BagIt (RFC 8493, sections
// 2.1.3, 5.1 and 6.1), to `sha256sum -c`, to `tar x`, and on disks that do not tell capitals from small letters.

inline constexpr std::size_t kMaxBagPathSize = 4096;      // bytes
inline constexpr std::size_t kMaxBagNameSize = 255;       // bytes of one component
inline constexpr std::size_t kMaxBagPathDepth = 64;       // components
inline constexpr std::size_t kMaxBagPaths = 1'000'000;    // files; and as many folders
inline constexpr std::size_t kMaxTagFileSize = 64 << 20;  // bytes; tag files are read into memory

/// Unicode normalization form C (UAX #15), the form in which names stand in bundles. @throws Error{kDamaged} when the
/// text is not UTF-8.
std::string nfc(std::string_view text);

/// The same for texts that differ only in case or in normalization (Unicode's full case folding, chapter 3, D145, then
/// NFC): for comparing, not for showing. @throws Error{kDamaged} when the text is not UTF-8.
std::string case_fold(std::string_view text);

/// Why a path must not stand in a bag, to follow the path in a sentence ("is absolute"); nullopt for a sound path:
/// relative, UTF-8 in NFC, at most 4096 bytes in at most 64 components of at most 255 bytes; no component is empty,
/// `.` or `..`, or ends with a dot or a space; no backslash, nothing that escape_for_display would escape (controls,
/// bidirectional and invisible characters), no percent sign (RFC 8493 wants it encoded, `sha256sum -c` does not); no
/// space or asterisk at the start, which manifests would take for their own.
std::optional<std::string> find_path_fault(std::string_view path);

/// Paths that may stand together in one bag. Keeps 16 bytes of hash for each, so that the memory (about 50 bytes for a
/// file or a folder) does not depend on their length; two paths with the same hash would only be refused.
class PathSet {
 public:
  /// Adds a file and the folders it stands in. Returns why it must not be there: as find_path_fault; or it is there
  /// already (case and normalization do not count), a file would be a folder too, or there are too many. Then the set
  /// is of no more use.
  [[nodiscard]] std::optional<std::string> add_file(std::string_view path);
  /// The same for a folder, which may be there already.
  [[nodiscard]] std::optional<std::string> add_folder(std::string_view path);
  std::size_t file_count() const { return files_.size(); }

 private:
  using Hash = ByteArray<16>;
  struct TakePart {
    std::size_t operator()(const Hash& hash) const;
  };
  using Hashes = std::unordered_set<Hash, TakePart>;

  std::optional<std::string> add_folders(std::string_view folded);

  Hashes files_;
  Hashes folders_;
};

}  // namespace casevault
