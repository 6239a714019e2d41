#pragma once
#include <string>
#include <vector>

namespace casevault {

/// What is to be exported, as far as its name is concerned.
struct ExportEntry {
  std::string folder;  // "C-1"
  std::string name;    // as stored; may hold "/"
  std::string label;   // "E-4", to tell equal names apart
};

/// A path for each entry, in order, below the export's folder: `<folder>/<name>`, every component safe
/// (safe_file_name). Where two would be the same, also on disks that do not tell capitals from small letters, or one
/// would be another's folder, the later one gets " (E-4)" before its extension.
std::vector<std::string> assign_export_paths(const std::vector<ExportEntry>& entries);

/// The same for names that differ only in capitals, of the scripts that file systems fold: Latin, Greek, Cyrillic,
/// Armenian.
std::string fold_case(std::string_view utf8);

}  // namespace casevault
