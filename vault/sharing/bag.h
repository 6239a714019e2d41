#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/hash.h"
#include "vault/sharing/bag_names.h"

namespace casevault {

// The tag files of a BagIt 1.0 bag (RFC 8493): `bagit.txt`, `bag-info.txt`, `manifest-sha256.txt` and
// `tagmanifest-sha256.txt`. What we write is one fixed form, which `sha256sum -c` checks, and which parses back to the
// same. Reading takes every form that the RFC's normative sections allow for version 1.0 (lines ended by LF, CR or
// CRLF, the last one by the file's end too; upper-case hexadecimal; spaces and tabs before a path) and nothing else;
// and only UTF-8. A byte order mark is refused (section 2.3). Nothing here is authentic by itself: the age file and
// the signature on the tag manifest see to that.
//
// The encoders throw Error{kUsage} for what must not be written, the parsers Error{kDamaged}; both name the file.

inline constexpr std::string_view kBagDeclarationPath = "bagit.txt";
inline constexpr std::string_view kBagInfoPath = "bag-info.txt";
inline constexpr std::string_view kManifestPath = "manifest-sha256.txt";
inline constexpr std::string_view kTagManifestPath = "tagmanifest-sha256.txt";
inline constexpr std::string_view kPayloadFolder = "data/";

/// What a file of a bag is, by its path.
enum class BagPart { kDeclaration, kInfo, kManifest, kTagManifest, kOtherTagFile, kPayload };
/// @throws Error{kDamaged} for `fetch.txt` (section 2.2.3: a bag with holes), for manifests by other algorithms, which
/// we could not check, and for names that differ from reserved ones only in case.
BagPart bag_part(std::string_view path);

/// `bagit.txt` (section 2.1.1) for version 1.0 and UTF-8, the only ones we write and read.
std::string encode_bag_declaration();
void check_bag_declaration(std::string_view text);

/// One line of a manifest. A path is as find_path_fault wants it.
struct ManifestEntry {
  std::string path;
  Sha256Digest digest{};
  bool operator==(const ManifestEntry&) const = default;
};
/// The payload's manifest lists files below `data/` and nothing else (section 2.1.3); the tag manifest lists none of
/// those and no tag manifest, and must list the payload's manifest (section 2.2.1). Whether all files that are there
/// are listed, and are what the manifest says, is for the caller to compare.
enum class ManifestKind { kPayload, kTag };
/// Lines `<64 lower-case hexadecimal digits>  <path>\n` in the given order. At most 1,000,000, none twice (PathSet),
/// and at most 64 MiB.
std::string encode_manifest(ManifestKind kind, std::span<const ManifestEntry> entries);
/// The same, within the same limits. Refuses the asterisk that `sha256sum -b` writes, which is no strictly valid BagIt
/// (section 6.1.3).
std::vector<ManifestEntry> parse_manifest(ManifestKind kind, std::string_view text);

/// `bag-info.txt` (section 2.2.2): what people may want to know of the bag, in order. Labels may repeat.
struct BagInfoElement {
  std::string label;
  std::string value;  // may have several lines, separated by '\n', which are folded in the file
  bool operator==(const BagInfoElement&) const = default;
};
inline constexpr std::size_t kMaxBagInfoSize = 1 << 20;  // bytes
inline constexpr std::size_t kMaxBagInfoElements = 10'000;

/// At most 1 MiB and 10,000 elements. Labels are not empty, have no colon and no white space at their ends; no line of
/// a value but the first is empty or begins with white space; both are UTF-8 without control characters but tabs.
/// `Payload-Oxum` is as payload_oxum wants it.
std::string encode_bag_info(std::span<const BagInfoElement> elements);
std::vector<BagInfoElement> parse_bag_info(std::string_view text);

/// The value of `Payload-Oxum`: a quick check, no proof.
struct PayloadOxum {
  std::uint64_t octets = 0;   // bytes in all payload files
  std::uint64_t streams = 0;  // payload files
  bool operator==(const PayloadOxum&) const = default;
};
std::string encode_payload_oxum(PayloadOxum oxum);
/// nullopt where there is none (its label is found in any case). @throws Error{kDamaged} when there are several, or it
/// is not `<number>.<number>`.
std::optional<PayloadOxum> payload_oxum(std::span<const BagInfoElement> elements);

}  // namespace casevault
