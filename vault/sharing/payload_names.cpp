#include "vault/sharing/payload_names.h"

#include <algorithm>

#include "vault/records/export_names.h"
#include "vault/records/objects.h"
#include "vault/sharing/bag.h"
#include "vault/sharing/bag_names.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxExtension = 8;

// ".pdf"; empty where it is not short and plain.
std::string plain_extension(const std::string& name) {
  const auto dot = name.rfind('.');
  if (dot == std::string::npos || name.size() - dot < 2 || name.size() - dot > kMaxExtension) return "";
  const auto extension = name.substr(dot);
  const bool is_plain = std::all_of(extension.begin() + 1, extension.end(),
                                    [](unsigned char c) { return c < 0x80 && std::isalnum(c) != 0; });
  return is_plain ? extension : "";
}

// sha256sum -c and BagIt disagree about the percent sign; everything else that a bag forbids is forbidden in exports
// too.
std::string name_for_bag(const std::string& name) {
  auto text = nfc(name);
  std::ranges::replace(text, '%', '_');
  return text;
}

ExportEntry entry_of(const Selection::Item& item, bool plain) {
  const auto label = to_string(item.version.record);
  const auto& name = item.version.details->name;
  const auto folder = std::string(kPayloadFolder) + case_label(item.open->number);
  return {folder, plain ? label + plain_extension(name) : name_for_bag(name), label};
}

}  // namespace

std::vector<std::string> assign_payload_paths(const Selection& selection, bool plain) {
  std::vector<ExportEntry> entries;
  for (const auto& item : selection.items()) entries.push_back(entry_of(item, plain));
  auto paths = assign_export_paths(entries);
  const bool is_sound = std::ranges::none_of(paths, [](const auto& path) { return find_path_fault(path).has_value(); });
  if (is_sound) return paths;
  for (std::size_t i = 0; i < paths.size(); ++i) {  // too deep or too long
    if (find_path_fault(paths[i])) entries[i] = entry_of(selection.items()[i], true);
  }
  return assign_export_paths(entries);
}

}  // namespace casevault
