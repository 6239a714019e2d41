#include "vault/sharing/bag.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "crypto/error.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::string_view kWhiteSpace = " \t";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kOxumLabel = "payload-oxum";
constexpr std::size_t kDigestDigits = 64;

std::string_view file_of(ManifestKind kind) {
  return kind == ManifestKind::kPayload ? kManifestPath : kTagManifestPath;
}

[[noreturn]] void fail(Errc code, std::string_view file, const std::string& what) {
  throw Error(code, "bag: " + std::string(file) + ": " + what);
}

[[noreturn]] void fail_at(Errc code, std::string_view file, std::size_t line, const std::string& what) {
  fail(code, file, "line " + std::to_string(line) + ": " + what);
}

std::string in_quotes(std::string_view text) { return "'" + escape_for_display(text) + "'"; }

char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) { return ascii_lower(c); });
  return lower;
}

// RFC 8493, section 2.3.
void check_text(std::string_view file, std::string_view text, std::size_t max_size) {
  if (text.size() > max_size) fail(Errc::kDamaged, file, "it is larger than " + std::to_string(max_size) + " bytes");
  if (text.starts_with(kByteOrderMark)) fail(Errc::kDamaged, file, "it begins with a byte order mark");
  if (!is_utf8(text)) fail(Errc::kDamaged, file, "it is not UTF-8");
}

// The lines of a tag file without their ends: LF, CR, CRLF; the last one may have none.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  std::optional<std::string_view> next() {
    if (rest_.empty()) return std::nullopt;
    ++number_;
    const std::size_t size = std::min(rest_.find_first_of("\r\n"), rest_.size());
    const std::string_view line = rest_.substr(0, size);
    rest_.remove_prefix(size);
    if (!rest_.empty()) rest_.remove_prefix(rest_.starts_with("\r\n") ? 2 : 1);
    return line;
  }
  std::size_t number() const { return number_; }  // of the line that next() gave, from 1

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

// ---- Names.

constexpr std::pair<std::string_view, BagPart> kReservedNames[]{{kBagDeclarationPath, BagPart::kDeclaration},
                                                                {kBagInfoPath, BagPart::kInfo},
                                                                {kManifestPath, BagPart::kManifest},
                                                                {kTagManifestPath, BagPart::kTagManifest}};

bool is_reserved(std::string_view path) {
  return std::ranges::any_of(kReservedNames, [&](const auto& reserved) { return reserved.first == path; });
}

// Why no bag of ours has a file of this name. On disks that do not tell capitals from small letters, names that differ
// only in case are the same file.
std::optional<std::string> find_part_fault(std::string_view path) {
  if (is_reserved(path) || path.starts_with(kPayloadFolder)) return std::nullopt;
  const std::string folded = case_fold(path);
  if (folded == "fetch.txt") return "stands for files that are elsewhere, which is not accepted";
  if (is_reserved(folded)) return "has to be written " + in_quotes(folded);
  if (folded == "data" || folded.starts_with(kPayloadFolder)) return "is not the folder data/";
  const bool is_manifest = folded.starts_with("manifest-") || folded.starts_with("tagmanifest-");
  if (is_manifest && folded.ends_with(".txt")) return "is a manifest by another algorithm than SHA-256";
  return std::nullopt;
}

// ---- Manifests.

// Why a path cannot stand in a manifest of the kind, whatever else does.
std::optional<std::string> find_place_fault(ManifestKind kind, std::string_view path) {
  const bool in_payload = path.starts_with(kPayloadFolder);
  if (kind == ManifestKind::kPayload) return in_payload ? std::nullopt : std::optional("is not below data/");
  if (in_payload) return "is below data/";
  if (path == kTagManifestPath) return "is the tag manifest itself";
  return find_part_fault(path);
}

// What writing and reading a manifest check alike.
class ManifestCheck {
 public:
  ManifestCheck(ManifestKind kind, Errc code) : kind_(kind), code_(code) {}

  void add(std::string_view path, std::size_t line) {
    auto fault = paths_.add_file(path);
    if (!fault) fault = find_place_fault(kind_, path);
    if (fault) fail_at(code_, file_of(kind_), line, "the path " + in_quotes(path) + " " + *fault);
    has_payload_manifest_ = has_payload_manifest_ || path == kManifestPath;
  }
  void finish() const {
    if (kind_ == ManifestKind::kTag && !has_payload_manifest_)
      fail(code_, file_of(kind_), "it does not list " + std::string(kManifestPath));
  }

 private:
  ManifestKind kind_;
  Errc code_;
  PathSet paths_;
  bool has_payload_manifest_ = false;
};

ManifestEntry parse_manifest_line(std::string_view file, std::size_t number, std::string_view line) {
  const auto digest = array_from_hex<sizeof(Sha256Digest)>(ascii_lower(line.substr(0, kDigestDigits)));
  const std::size_t path_at = line.find_first_not_of(kWhiteSpace, std::min(kDigestDigits, line.size()));
  if (!digest || path_at == kDigestDigits || path_at == std::string_view::npos)
    fail_at(Errc::kDamaged, file, number, "it is not '<64 hexadecimal digits>  <path>'");
  const std::string_view path = line.substr(path_at);
  if (path.starts_with('*'))
    fail_at(Errc::kDamaged, file, number, "an asterisk before the path, which 'sha256sum -b' writes, is not BagIt");
  return {std::string(path), *digest};
}

// ---- Metadata.

bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; }

std::optional<std::string> find_text_fault(std::string_view text) {
  if (!is_utf8(text)) return "is not UTF-8";
  if (std::ranges::any_of(text, is_control)) return "has control characters";
  return std::nullopt;
}

bool begins_with_space(std::string_view text) { return !text.empty() && kWhiteSpace.find(text[0]) != text.npos; }

std::optional<std::string> find_label_fault(std::string_view label) {
  if (label.empty()) return "is empty";
  if (label.find(':') != std::string_view::npos) return "has a colon";
  if (begins_with_space(label) || begins_with_space(label.substr(label.size() - 1)))
    return "begins or ends with a space";
  return find_text_fault(label);
}

std::optional<std::string> find_continuation_fault(std::string_view line) {
  if (line.empty()) return "has an empty line";
  if (begins_with_space(line)) return "has a line that begins with a space";
  return find_text_fault(line);
}

// The lines of a value; there is always a first one.
std::vector<std::string_view> lines_of(std::string_view value) {
  std::vector<std::string_view> lines;
  for (std::size_t start = 0; start <= value.size();) {
    const std::size_t end = std::min(value.find('\n', start), value.size());
    lines.push_back(value.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

std::optional<std::string> find_value_fault(std::string_view value) {
  const auto lines = lines_of(value);
  if (auto fault = find_text_fault(lines.front())) return fault;
  for (const auto line : std::span(lines).subspan(1)) {
    if (auto fault = find_continuation_fault(line)) return fault;
  }
  return std::nullopt;
}

void check_elements(std::span<const BagInfoElement> elements, Errc code) {
  for (const auto& element : elements) {
    if (const auto fault = find_label_fault(element.label))
      fail(code, kBagInfoPath, "the label " + in_quotes(element.label) + " " + *fault);
    if (const auto fault = find_value_fault(element.value))
      fail(code, kBagInfoPath, "the value of " + in_quotes(element.label) + " " + *fault);
  }
}

BagInfoElement parse_bag_info_line(std::string_view line, std::size_t number) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !begins_with_space(line.substr(colon + 1)))
    fail_at(Errc::kDamaged, kBagInfoPath, number, "it is not '<label>: <value>'");
  return {std::string(line.substr(0, colon)), std::string(line.substr(colon + 2))};
}

void continue_value(std::vector<BagInfoElement>& elements, std::string_view line, std::size_t number) {
  if (elements.empty()) fail_at(Errc::kDamaged, kBagInfoPath, number, "it continues nothing");
  elements.back().value += '\n';
  elements.back().value += line.substr(std::min(line.find_first_not_of(kWhiteSpace), line.size()));
}

// A decimal number at the start of `text`, which is taken off.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

PayloadOxum parse_payload_oxum(std::string_view text, Errc code) {
  std::string_view rest = text;
  const auto octets = take_number(rest);
  const bool has_dot = rest.starts_with('.');
  rest.remove_prefix(has_dot ? 1 : 0);
  const auto streams = take_number(rest);
  if (!octets || !has_dot || !streams || !rest.empty())
    fail(code, kBagInfoPath, "Payload-Oxum is not '<bytes>.<files>': " + in_quotes(text));
  return {*octets, *streams};
}

std::optional<PayloadOxum> find_payload_oxum(std::span<const BagInfoElement> elements, Errc code) {
  std::optional<PayloadOxum> found;
  for (const auto& element : elements) {
    if (ascii_lower(element.label) != kOxumLabel) continue;
    if (found) fail(code, kBagInfoPath, "Payload-Oxum is there twice");
    found = parse_payload_oxum(element.value, code);
  }
  return found;
}

}  // namespace

BagPart bag_part(std::string_view path) {
  if (const auto fault = find_part_fault(path)) fail(Errc::kDamaged, in_quotes(path), "it " + *fault);
  for (const auto& [name, part] : kReservedNames) {
    if (path == name) return part;
  }
  return path.starts_with(kPayloadFolder) ? BagPart::kPayload : BagPart::kOtherTagFile;
}

std::string encode_bag_declaration() { return "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"; }

void check_bag_declaration(std::string_view text) {
  constexpr std::string_view kVersion = "BagIt-Version: ";
  constexpr std::string_view kEncoding = "Tag-File-Character-Encoding: ";
  constexpr std::size_t kMaxSize = 1024;
  check_text(kBagDeclarationPath, text, kMaxSize);
  Lines lines(text);
  const auto version = lines.next();
  const auto encoding = lines.next();
  if (!version || !version->starts_with(kVersion) || !encoding || !encoding->starts_with(kEncoding) || lines.next())
    fail(Errc::kDamaged, kBagDeclarationPath, "it is not the two lines of a bag's declaration");
  if (version->substr(kVersion.size()) != "1.0")
    fail(Errc::kDamaged, kBagDeclarationPath, "its version is not 1.0: " + in_quotes(*version));
  // Names of encodings have no case (RFC 2978, section 2.3).
  if (ascii_lower(encoding->substr(kEncoding.size())) != "utf-8")
    fail(Errc::kDamaged, kBagDeclarationPath, "its encoding is not UTF-8: " + in_quotes(*encoding));
}

std::string encode_manifest(ManifestKind kind, std::span<const ManifestEntry> entries) {
  ManifestCheck check(kind, Errc::kUsage);
  std::string text;
  std::size_t line = 0;
  for (const auto& entry : entries) {
    check.add(entry.path, ++line);
    text += to_hex(entry.digest) + "  " + entry.path + "\n";
  }
  check.finish();
  if (text.size() > kMaxTagFileSize) fail(Errc::kUsage, file_of(kind), "it would be larger than 64 MiB");
  return text;
}

std::vector<ManifestEntry> parse_manifest(ManifestKind kind, std::string_view text) {
  const std::string_view file = file_of(kind);
  check_text(file, text, kMaxTagFileSize);
  ManifestCheck check(kind, Errc::kDamaged);
  std::vector<ManifestEntry> entries;
  Lines lines(text);
  while (const auto line = lines.next()) {
    entries.push_back(parse_manifest_line(file, lines.number(), *line));
    check.add(entries.back().path, lines.number());
  }
  check.finish();
  return entries;
}

std::string encode_bag_info(std::span<const BagInfoElement> elements) {
  check_elements(elements, Errc::kUsage);
  std::string text;
  for (const auto& element : elements) {
    std::string_view separator = ": ";
    text += element.label;
    for (const auto line : lines_of(element.value)) {
      text.append(separator).append(line);
      separator = "\n ";
    }
    text += '\n';
  }
  if (text.size() > kMaxBagInfoSize || elements.size() > kMaxBagInfoElements)
    fail(Errc::kUsage, kBagInfoPath, "there is too much of it");
  find_payload_oxum(elements, Errc::kUsage);
  return text;
}

std::vector<BagInfoElement> parse_bag_info(std::string_view text) {
  check_text(kBagInfoPath, text, kMaxBagInfoSize);
  std::vector<BagInfoElement> elements;
  Lines lines(text);
  while (const auto line = lines.next()) {
    if (begins_with_space(*line)) {
      continue_value(elements, *line, lines.number());
    } else {
      elements.push_back(parse_bag_info_line(*line, lines.number()));
    }
    if (elements.size() > kMaxBagInfoElements) fail(Errc::kDamaged, kBagInfoPath, "it has too many elements");
  }
  check_elements(elements, Errc::kDamaged);
  find_payload_oxum(elements, Errc::kDamaged);
  return elements;
}

std::string encode_payload_oxum(PayloadOxum oxum) {
  return std::to_string(oxum.octets) + "." + std::to_string(oxum.streams);
}

std::optional<PayloadOxum> payload_oxum(std::span<const BagInfoElement> elements) {
  return find_payload_oxum(elements, Errc::kDamaged);
}

}  // namespace casevault
