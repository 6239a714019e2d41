#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crypto/age.h"
#include "crypto/age_armor.h"
#include "crypto/checkpoint.h"
#include "vault/sharing/bag.h"
#include "vault/sharing/bundle.h"
#include "vault/sharing/tar.h"
#include "vault/storage/file.h"

namespace casevault {

inline constexpr std::size_t kMaxTagFiles = 10'000;
inline constexpr std::uint64_t kMaxBundleFileSize = 64u << 20;  // bytes; of one tag file
inline constexpr std::uint64_t kMaxKeptFileSize = 24u << 20;    // bytes; of one that is parsed
inline constexpr std::uint64_t kMaxTagBytes = 128u << 20;       // of all tag files together

/// What a bundle says of itself, before any content: every tag file is what the tag manifest says. The tag manifest
/// itself is authenticated by nothing before its signature was checked.
struct BundleHead {
  BundleId id{};  // SHA-256 of the tag manifest
  std::string tag_manifest;
  std::string signature;  // minisign
  std::vector<ManifestEntry> payload;
  std::vector<BagInfoElement> info;
  std::string bundle_json;  // empty where it was made by stock tools
  std::string checkpoint;   // likewise
  struct Proof {
    std::string path;
    std::string text;
  };
  std::vector<Proof> proofs;
};

/// Reads a bundle in one pass, front to back (docs/format.md section 12): the tag manifest, its signature, the tag
/// files in the tag manifest's order, the payload in the payload manifest's order. Any other order, anything besides,
/// and anything that is not what a manifest says is refused. Memory: the tag files that are parsed, a few chunks.
/// Nothing touches the disk.
class BundleReader {
 public:
  /// Reads the head. @throws Error: kUsage when there is no such file; kNotAllowed when it is not for these identities;
  /// kDamaged naming what is wrong.
  BundleReader(const Path& path, std::span<const AgeIdentity> identities);
  ~BundleReader();
  BundleReader(const BundleReader&) = delete;
  BundleReader& operator=(const BundleReader&) = delete;

  const BundleHead& head() const { return head_; }

  /// The next file of the payload, as the manifest has it, and its size. @throws Error{kDamaged} when the tar has
  /// another.
  TarReader::Member next(const ManifestEntry& expected);
  /// Bytes of it; 0 at its end. Authentic, but not yet known to be what the manifest says.
  std::size_t read(std::span<std::byte> out);
  /// After the last: nothing follows, down to the last byte of the age file.
  void finish();

 private:
  struct State;
  void read_head();
  std::uint64_t next_tag_file(const std::string& path, std::uint64_t max_size);
  std::string read_tag_file(const std::string& path);
  Sha256Digest skim_tag_file(const std::string& path);
  void keep(const ManifestEntry& entry, std::string content);
  std::unique_ptr<State> state_;
  BundleHead head_;
};

}  // namespace casevault
