#include "vault/sharing/bag_names.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "crypto/error.h"
#include "crypto/hash.h"
#include "vault/text.h"

namespace casevault {
namespace {

std::string map_unicode(std::string_view text, int options) {
  if (!is_utf8(text)) throw Error(Errc::kDamaged, "a text is not UTF-8: '" + escape_for_display(text) + "'");
  utf8proc_uint8_t* mapped = nullptr;
  const auto size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &mapped, static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE));
  const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(mapped, std::free);
  require(size >= 0, "utf8proc failed on UTF-8");
  return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size)};
}

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  return lower;
}

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::optional<std::string> find_name_fault(std::string_view name) {
  if (name.empty()) return "has an empty component";
  if (name == ".") return "has a component '.'";
  if (name == "..") return "climbs out by '..'";
  if (name.size() > kMaxBagNameSize) return "has a component of more than 255 bytes";
  if (name.ends_with('.') || name.ends_with(' ')) return "has a component that ends with a dot or a space";
  return std::nullopt;
}

std::optional<std::string> find_component_fault(std::string_view path) {
  std::size_t depth = 0;
  for (std::size_t start = 0; start <= path.size(); ++depth) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    if (auto fault = find_name_fault(path.substr(start, end - start))) return fault;
    start = end + 1;
  }
  if (depth > kMaxBagPathDepth) return "has more than 64 components";
  return std::nullopt;
}

}  // namespace

std::string nfc(std::string_view text) {
  return is_ascii(text) ? std::string(text) : map_unicode(text, UTF8PROC_COMPOSE);
}

std::string case_fold(std::string_view text) {
  if (is_ascii(text)) return ascii_lower(text);
  // Decomposed first, because folding looks at single characters: U+0345 becomes a letter.
  return map_unicode(map_unicode(text, UTF8PROC_DECOMPOSE), UTF8PROC_CASEFOLD | UTF8PROC_COMPOSE);
}

std::optional<std::string> find_path_fault(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.size() > kMaxBagPathSize) return "has more than 4096 bytes";
  if (path.starts_with('/')) return "is absolute";
  if (path.starts_with(' ') || path.starts_with('*')) return "begins with a space or an asterisk";
  if (!is_utf8(path)) return "is not UTF-8";
  if (escape_for_display(path) != path) return "has control, bidirectional or invisible characters";
  if (path.find('\\') != std::string_view::npos) return "has a backslash";
  if (path.find('%') != std::string_view::npos) return "has a percent sign";
  if (auto fault = find_component_fault(path)) return fault;
  // Last: it takes the square of the length of what stands between slashes, which has its limit by now.
  if (nfc(path) != path) return "is not in Unicode normalization form C";
  return std::nullopt;
}

std::size_t PathSet::TakePart::operator()(const Hash& hash) const {
  std::size_t part = 0;
  std::memcpy(&part, hash.data(), sizeof(part));
  return part;
}

std::optional<std::string> PathSet::add_folders(std::string_view folded) {
  for (auto slash = folded.rfind('/'); slash != std::string_view::npos; slash = folded.rfind('/')) {
    folded = folded.substr(0, slash);
    const Hash hash = blake2b_128({as_bytes(folded)});
    if (files_.contains(hash)) return "has a folder that is a file elsewhere (capitals do not count)";
    if (!folders_.insert(hash).second) break;  // then those above it are there too
    if (folders_.size() > kMaxBagPaths) return "is one too many: there are 1,000,000 folders already";
  }
  return std::nullopt;
}

std::optional<std::string> PathSet::add_file(std::string_view path) {
  if (auto fault = find_path_fault(path)) return fault;
  const std::string folded = case_fold(path);
  const Hash hash = blake2b_128({as_bytes(folded)});
  if (folders_.contains(hash)) return "is a file and also a folder (capitals do not count)";
  if (!files_.insert(hash).second) return "is there twice (capitals do not count)";
  if (files_.size() > kMaxBagPaths) return "is one too many: there are 1,000,000 files already";
  return add_folders(folded);
}

std::optional<std::string> PathSet::add_folder(std::string_view path) {
  if (auto fault = find_path_fault(path)) return fault;
  return add_folders(case_fold(path) + "/");
}

}  // namespace casevault
