#include "vault/sharing/tar_scanner.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <string_view>
#include <utility>

#include "crypto/error.h"
#include "vault/sharing/tar.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::size_t kBlockSize = 512;
constexpr std::size_t kMaxExtensionSize = 65536;  // bytes
constexpr std::uint64_t kMaxTailSize = 1 << 20;   // bytes

// IEEE Std 1003.1, pax, "ustar Interchange Format"; and where GNU's format differs, its manual, "Basic Tar Format".
struct Field {
  std::size_t offset, size;
};
constexpr Field kName{0, 100}, kSize{124, 12}, kChecksum{148, 8}, kType{156, 1}, kMagic{257, 8}, kPrefix{345, 155},
    kGnuSpecial{369, 143};  // for sparse files and multiple volumes
constexpr std::string_view kUstarMagic{
    "ustar\0"
    "00",
    8};
constexpr std::string_view kGnuMagic{"ustar  \0", 8};

std::string_view raw(ByteView block, Field field) { return as_text(block.subspan(field.offset, field.size)); }
std::string_view text(ByteView block, Field field) {
  const std::string_view all = raw(block, field);
  return all.substr(0, all.find('\0'));
}

bool is_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

// Octal digits, perhaps after spaces, and nothing else before the field's end, a zero byte or a space.
std::optional<std::uint64_t> parse_octal(std::string_view field) {
  field.remove_prefix(std::min(field.find_first_not_of(' '), field.size()));
  const std::string_view digits = field.substr(0, field.find_first_of(std::string_view(" \0", 2)));
  const std::string_view end = field.substr(digits.size());
  if (digits.empty() || end.find_first_not_of(std::string_view(" \0", 2)) != end.npos) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '7') return std::nullopt;
    number = number << 3 | static_cast<std::uint64_t>(c - '0');
  }
  return number;
}

// GNU's way to write what octal has no room for: a byte 0x80, then the number, big-endian.
std::optional<std::uint64_t> parse_base_256(ByteView field) {
  const std::size_t high = field.size() - sizeof(std::uint64_t);
  if (!is_zero(field.subspan(1, high - 1))) return std::nullopt;
  return read_be64(field.subspan(high).first<sizeof(std::uint64_t)>());
}

std::optional<std::uint64_t> parse_size(ByteView block) {
  const ByteView field = block.subspan(kSize.offset, kSize.size);
  const auto size = field[0] == std::byte{0x80} ? parse_base_256(field) : parse_octal(as_text(field));
  return size && *size <= kMaxTarMemberSize ? size : std::nullopt;
}

bool has_right_checksum(ByteView block) {
  std::uint64_t sum = kChecksum.size * ' ';
  for (std::size_t i = 0; i < block.size(); ++i) {
    if (i < kChecksum.offset || i >= kChecksum.offset + kChecksum.size) sum += std::to_integer<std::uint64_t>(block[i]);
  }
  return parse_octal(raw(block, kChecksum)) == sum;
}

std::uint64_t padding_of(std::uint64_t size) { return (kBlockSize - size % kBlockSize) % kBlockSize; }

std::string name_in_header(ByteView block) {
  std::string name(text(block, kName));
  const std::string_view prefix = text(block, kPrefix);
  const bool has_prefix = raw(block, kMagic) == kUstarMagic && !prefix.empty();
  return has_prefix ? std::string(prefix) + "/" + name : name;
}

std::string describe_type(char type) {
  constexpr std::array<std::pair<char, const char*>, 8> kRefused{{{'1', "a hard link"},
                                                                  {'2', "a symbolic link"},
                                                                  {'3', "a device"},
                                                                  {'4', "a device"},
                                                                  {'6', "a named pipe"},
                                                                  {'S', "a sparse file"},
                                                                  {'K', "a link"},
                                                                  {'g', "a global header"}}};
  const auto* const found = std::ranges::find(kRefused, type, [](const auto& row) { return row.first; });
  if (found != kRefused.end()) return found->second;
  return "an entry of the unknown type '" + escape_for_display({&type, 1}) + "'";
}

bool is_one_of(std::string_view key, std::initializer_list<std::string_view> keys) {
  return std::ranges::find(keys, key) != keys.end();
}

// Whether it says nothing that we look at.
bool is_idle_keyword(std::string_view key) {
  return is_one_of(key, {"mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "SCHILY.dev",
                         "SCHILY.ino", "SCHILY.nlink", "SCHILY.fflags", "LIBARCHIVE.creationtime"});
}

std::string describe_keyword(std::string_view key) {
  const auto begins = [&](std::string_view start) { return key.starts_with(start); };
  if (begins("GNU.sparse.") || is_one_of(key, {"SCHILY.realsize", "SUN.holesdata"})) return "a sparse file";
  if (key == "linkpath") return "a link";
  if (begins("SCHILY.xattr.") || begins("LIBARCHIVE.xattr.") || begins("SCHILY.acl.") || begins("RHT.security."))
    return "a file with extended attributes";
  return "a file with the unknown pax keyword '" + escape_for_display(key) + "'";
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

TarScanner::TarScanner() : collect_size_(kBlockSize) {}

void TarScanner::fail(const std::string& what) const {
  throw Error(Errc::kDamaged, name_.empty() ? "tar: " + what : "tar: '" + escape_for_display(name_) + "': " + what);
}

void TarScanner::feed(ByteView bytes) {
  while (!bytes.empty()) bytes = bytes.subspan(step(bytes));
}

std::optional<TarHeader> TarScanner::take_header() {
  if (headers_.empty()) return std::nullopt;
  TarHeader header = std::move(headers_.front());
  headers_.pop_front();
  return header;
}

void TarScanner::finish() const {
  if (phase_ != Phase::kTail) fail("it is cut off there");
}

// Uses some of the bytes, at least one, and says how many.
std::size_t TarScanner::step(ByteView bytes) {
  switch (phase_) {
    case Phase::kData:
      return pass_data(bytes);
    case Phase::kPadding:
      return pass_padding(bytes);
    case Phase::kTail:
      return pass_tail(bytes);
    default:
      return collect(bytes);
  }
}

void TarScanner::collect_next(Phase phase, std::size_t size) {
  phase_ = phase;
  collect_size_ = size;
}

std::size_t TarScanner::collect(ByteView bytes) {
  const std::size_t used = std::min(bytes.size(), collect_size_ - collected_.size());
  collected_.insert(collected_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(used));
  if (collected_.size() == collect_size_) {
    const Bytes whole = std::exchange(collected_, {});
    phase_ == Phase::kHeader ? use_block(whole) : use_extension(as_text(whole));
  }
  return used;
}

std::size_t TarScanner::pass_data(ByteView bytes) {
  const auto used = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), data_left_));
  data_left_ -= used;
  if (data_left_ == 0) padding_left_ != 0 ? void(phase_ = Phase::kPadding) : collect_next(Phase::kHeader, kBlockSize);
  return used;
}

std::size_t TarScanner::pass_padding(ByteView bytes) {
  const auto used = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), padding_left_));
  if (!is_zero(bytes.first(used))) fail("what follows its data up to the end of the block is not zero");
  padding_left_ -= used;
  if (padding_left_ == 0) collect_next(Phase::kHeader, kBlockSize);
  return used;
}

std::size_t TarScanner::pass_tail(ByteView bytes) {
  tail_size_ += bytes.size();
  if (!is_zero(bytes)) fail("something follows the end of the archive");
  if (tail_size_ > kMaxTailSize) fail("more than 1 MiB follows the end of the archive");
  return bytes.size();
}

void TarScanner::use_block(ByteView block) {
  if (is_zero(block)) {
    use_zero_block();
    return;
  }
  if (after_zero_block_) fail("a block of zeros stands between members");
  if (!extension_.path) name_ = name_in_header(block);
  if (!extension_.fault.empty()) fail(extension_.fault);
  if (!has_right_checksum(block)) fail("its header is damaged, or no tar header");
  const std::string_view type = raw(block, kType);
  const bool is_extension = is_one_of(type, {"x", "L"});
  if (!is_extension && !is_one_of(type, {"0", "5", std::string_view("\0", 1)}))
    fail("it is " + describe_type(type[0]) + ", and not a plain file");
  if (!is_one_of(raw(block, kMagic), {kUstarMagic, kGnuMagic})) fail("its header is not POSIX ustar or GNU tar");
  is_extension ? begin_extension(block) : use_member(block);
}

void TarScanner::use_zero_block() {
  if (extension_.type != 0) fail("an extended header stands before the end of the archive");
  if (after_zero_block_) phase_ = Phase::kTail;
  after_zero_block_ = true;
}

void TarScanner::use_member(ByteView block) {
  const auto header_size = parse_size(block);
  if (!header_size) fail("its size is not a number, or beyond 2^62 bytes");
  if (raw(block, kMagic) == kGnuMagic && !is_zero(block.subspan(kGnuSpecial.offset, kGnuSpecial.size)))
    fail("it is a sparse file, or a part of one, and not a plain file");
  const Extension said = std::exchange(extension_, {});
  const TarHeader header{.path = said.path.value_or(name_in_header(block)),
                         .size = said.member_size.value_or(*header_size),
                         .is_folder = raw(block, kType) == "5"};
  name_ = header.path;
  if (header.is_folder && (header.size != 0 || *header_size != 0)) fail("it is a folder and has data");
  headers_.push_back(header);
  data_left_ = header.size;
  padding_left_ = padding_of(header.size);
  if (data_left_ != 0) phase_ = Phase::kData;
}

void TarScanner::begin_extension(ByteView block) {
  const auto size = parse_octal(raw(block, kSize));
  if (extension_.type != 0) fail("it has several extended headers");
  if (!size || *size == 0 || *size > kMaxExtensionSize) fail("its extended header is empty, or larger than 64 KiB");
  extension_.type = raw(block, kType)[0];
  extension_.size = static_cast<std::size_t>(*size);
  collect_next(Phase::kExtension, extension_.size + static_cast<std::size_t>(padding_of(*size)));
}

void TarScanner::use_extension(std::string_view body) {
  if (!is_zero(as_bytes(body.substr(extension_.size)))) fail("what pads its extended header is not zero");
  body = body.substr(0, extension_.size);
  if (extension_.type == 'x') {
    use_pax(body);
  } else {
    if (body.back() == '\0') body.remove_suffix(1);
    extension_.path = body;
  }
  if (extension_.path) name_ = *extension_.path;
  collect_next(Phase::kHeader, kBlockSize);
}

// IEEE Std 1003.1, pax, "pax Extended Header": records "<length> <keyword>=<value>\n"; the length is that of the whole.
void TarScanner::use_pax(std::string_view records) {
  while (!records.empty()) {
    const std::size_t space = records.find(' ');
    const auto size = parse_decimal(records.substr(0, space));
    if (!size || space == records.npos || *size <= space + 1 || *size > records.size() || records[*size - 1] != '\n')
      fail("its pax header is damaged");
    const std::string_view record = records.substr(space + 1, *size - space - 2);
    const std::size_t equals = record.find('=');
    if (equals == record.npos) fail("its pax header is damaged");
    use_pax_record(record.substr(0, equals), record.substr(equals + 1));
    records.remove_prefix(*size);
  }
}

void TarScanner::use_pax_record(std::string_view key, std::string_view value) {
  if (key == "path") {
    if (extension_.path || value.empty()) fail("its pax header names it twice, or by nothing");
    extension_.path = value;
  } else if (key == "size") {
    const auto size = parse_decimal(value);
    if (extension_.member_size || !size || *size > kMaxTarMemberSize) fail("its pax header has a bad size");
    extension_.member_size = size;
  } else if (key == "hdrcharset") {
    if (!is_one_of(value, {"BINARY", "ISO-IR 10646 2000 UTF-8"})) fail("its pax header is not UTF-8");
  } else if (!is_idle_keyword(key) && extension_.fault.empty()) {
    extension_.fault = "it is " + describe_keyword(key) + ", and not a plain file";
  }
}

}  // namespace casevault
