#include "vault/records/media_type.h"

#include <algorithm>
#include <array>

#include "vault/text.h"

namespace casevault {
namespace {

using namespace std::string_view_literals;

struct Magic {
  std::size_t offset;  // bytes
  std::string_view bytes;
  std::string_view type;
};

// In order: the first that fits. From the formats' specifications and the file(1) database.
constexpr Magic kMagic[] = {
    {0, "%PDF-"sv, "application/pdf"},
    {0, "\xFF\xD8\xFF"sv, "image/jpeg"},
    {0, "\x89PNG\r\n\x1A\n"sv, "image/png"},
    {0, "GIF87a"sv, "image/gif"},
    {0, "GIF89a"sv, "image/gif"},
    {0, "II*\0"sv, "image/tiff"},
    {0, "MM\0*"sv, "image/tiff"},
    {8, "WEBP"sv, "image/webp"},
    {8, "WAVE"sv, "audio/wav"},
    {8, "AVI "sv, "video/x-msvideo"},
    {4, "ftypM4A"sv, "audio/mp4"},
    {4, "ftypqt"sv, "video/quicktime"},
    {4, "ftypheic"sv, "image/heic"},
    {4, "ftypavif"sv, "image/avif"},
    {4, "ftyp3g"sv, "video/3gpp"},
    {4, "ftyp"sv, "video/mp4"},
    {0, "\x1A\x45\xDF\xA3"sv, "video/x-matroska"},
    {0, "OggS"sv, "audio/ogg"},
    {0, "fLaC"sv, "audio/flac"},
    {0, "ID3"sv, "audio/mpeg"},
    {0, "\xFF\xFB"sv, "audio/mpeg"},
    {0, "\xFF\xF3"sv, "audio/mpeg"},
    {0, "\xFF\xF2"sv, "audio/mpeg"},
    {0, "#!AMR"sv, "audio/amr"},
    {0, "PK\x03\x04"sv, "application/zip"},
    {0, "PK\x05\x06"sv, "application/zip"},
    {0, "\x1F\x8B"sv, "application/gzip"},
    {0, "7z\xBC\xAF\x27\x1C"sv, "application/x-7z-compressed"},
    {0, "Rar!\x1A\x07"sv, "application/vnd.rar"},
    {0, "{\\rtf"sv, "application/rtf"},
    {0, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"sv, "application/x-ole-storage"},
    {0, "SQLite format 3\0"sv, "application/vnd.sqlite3"},
};

struct Refinement {
  std::string_view type;       // what the bytes say
  std::string_view extension;  // with the dot, small letters
  std::string_view refined;
};

constexpr Refinement kRefinements[] = {
    {"application/zip", ".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"application/zip", ".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"application/zip", ".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"application/zip", ".odt", "application/vnd.oasis.opendocument.text"},
    {"application/zip", ".ods", "application/vnd.oasis.opendocument.spreadsheet"},
    {"application/zip", ".epub", "application/epub+zip"},
    {"application/x-ole-storage", ".doc", "application/msword"},
    {"application/x-ole-storage", ".xls", "application/vnd.ms-excel"},
    {"application/x-ole-storage", ".msg", "application/vnd.ms-outlook"},
    {"audio/ogg", ".ogv", "video/ogg"},
    {"video/mp4", ".m4a", "audio/mp4"},
    {"video/mp4", ".mov", "video/quicktime"},
    {"video/x-matroska", ".webm", "video/webm"},
    {"text/plain", ".html", "text/html"},
    {"text/plain", ".htm", "text/html"},
    {"text/plain", ".csv", "text/csv"},
    {"text/plain", ".md", "text/markdown"},
    {"text/plain", ".json", "application/json"},
    {"text/plain", ".xml", "application/xml"},
    {"text/plain", ".svg", "image/svg+xml"},
    {"text/plain", ".eml", "message/rfc822"},
};

bool fits(const Magic& magic, std::string_view bytes) {
  const bool is_riff = magic.offset == 8;
  if (is_riff && !bytes.starts_with("RIFF")) return false;
  return bytes.size() >= magic.offset && bytes.substr(magic.offset).starts_with(magic.bytes);
}

std::string extension_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.find('/', dot) != std::string_view::npos) return "";
  std::string extension(name.substr(dot));
  std::ranges::transform(extension, extension.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return extension;
}

std::string_view type_of_bytes(ByteView bytes) {
  for (const auto& magic : kMagic) {
    if (fits(magic, as_text(bytes))) return magic.type;
  }
  const bool is_cut = bytes.size() >= kMediaTypeProbeSize;
  return is_plain_text(bytes, is_cut) ? "text/plain" : "application/octet-stream";
}

}  // namespace

bool is_plain_text(ByteView bytes, bool is_cut) {
  std::string_view text = as_text(bytes);
  const auto is_control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && "\t\n\v\f\r\x1B"sv.find(c) == std::string_view::npos;
  };
  if (std::ranges::any_of(text, is_control)) return false;
  // A character has at most four bytes, so at most three of a cut one are left.
  for (int cut = 0; is_cut && cut < 3 && !text.empty() && !is_utf8(text); ++cut) text.remove_suffix(1);
  return is_utf8(text);
}

std::string guess_media_type(std::string_view name, ByteView first_bytes) {
  first_bytes = first_bytes.first(std::min(first_bytes.size(), kMediaTypeProbeSize));
  if (first_bytes.empty()) return "application/octet-stream";
  const auto type = type_of_bytes(first_bytes);
  const auto extension = extension_of(name);
  for (const auto& refinement : kRefinements) {
    if (refinement.type == type && refinement.extension == extension) return std::string(refinement.refined);
  }
  return std::string(type);
}

}  // namespace casevault
