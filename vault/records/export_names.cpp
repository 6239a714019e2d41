#include "vault/records/export_names.h"

#include <algorithm>
#include <set>

#include "vault/text.h"

namespace casevault {
namespace {

// Small letters for a character below U+0600, all of which have one or two bytes; the rest stays.
char32_t to_small(char32_t c) {
  if ((c >= U'A' && c <= U'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7)) return c + 32;
  if ((c >= 0x100 && c <= 0x137) || (c >= 0x14A && c <= 0x177) || (c >= 0x460 && c <= 0x481) ||
      (c >= 0x48A && c <= 0x4BF) || (c >= 0x4D0 && c <= 0x52F)) {
    return c | 1;  // even capitals
  }
  if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E) || (c >= 0x4C1 && c <= 0x4CE))
    return c + (c & 1);  // odd capitals
  if ((c >= 0x391 && c <= 0x3AB) || (c >= 0x410 && c <= 0x42F)) return c + 32;
  if (c >= 0x400 && c <= 0x40F) return c + 80;
  if (c >= 0x531 && c <= 0x556) return c + 48;
  return c;
}

std::string safe_path(const ExportEntry& entry) {
  std::string path = entry.folder;
  for (std::size_t start = 0; start <= entry.name.size();) {
    const std::size_t end = std::min(entry.name.find('/', start), entry.name.size());
    if (end > start) path += "/" + safe_file_name(std::string_view(entry.name).substr(start, end - start));
    start = end + 1;
  }
  return path == entry.folder ? path + "/" + safe_file_name("") : path;
}

std::string with_label(const std::string& path, const std::string& label) {
  const std::size_t slash = path.rfind('/');
  const std::size_t dot = path.rfind('.');
  const bool has_extension = dot != std::string::npos && dot > slash + 1;
  const std::size_t at = has_extension ? dot : path.size();
  return path.substr(0, at) + " (" + label + ")" + path.substr(at);
}

void add_folders_of(const std::string& path, std::set<std::string>& folders) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    folders.insert(fold_case(path.substr(0, slash)));
  }
}

}  // namespace

std::string fold_case(std::string_view text) {
  std::string folded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto first = static_cast<unsigned char>(text[i]);
    const bool is_two = first >= 0xC2 && first <= 0xDF && i + 1 < text.size();
    if (first >= 0x80 && !is_two) {
      folded += text[i];
      continue;
    }
    const char32_t c =
        to_small(is_two ? (first & 0x1Fu) << 6 | (static_cast<unsigned char>(text[i + 1]) & 0x3Fu) : first);
    i += is_two ? 1 : 0;
    if (c >= 0x80) folded += static_cast<char>(0xC0 | c >> 6);
    folded += static_cast<char>(c < 0x80 ? c : 0x80 | (c & 0x3F));
  }
  return folded;
}

std::vector<std::string> assign_export_paths(const std::vector<ExportEntry>& entries) {
  std::vector<std::string> paths;
  std::set<std::string> taken;  // folders first: files give way to them
  for (const auto& entry : entries) {
    paths.push_back(safe_path(entry));
    add_folders_of(paths.back(), taken);
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string path = paths[i];
    for (int attempt = 1; !taken.insert(fold_case(paths[i])).second; ++attempt) {
      paths[i] = with_label(path, attempt == 1 ? entries[i].label : entries[i].label + ", " + std::to_string(attempt));
    }
  }
  return paths;
}

}  // namespace casevault
