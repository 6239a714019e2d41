#pragma once
#include <array>
#include <string_view>

namespace casevault {

// What stands in a vault's folder (docs/format.md section 2). Everything else there is not the vault's: `verify` names
// it, and destroying leaves it alone.
inline constexpr std::array<std::string_view, 5> kVaultFiles = {"vault.json", "slots", "catalog.db",
                                                                "catalog.db-journal", "absent"};
inline constexpr std::array<std::string_view, 5> kVaultFolders = {"cases", "bodies", "handover", "audit", "spare"};

/// Left by an interrupted change; means nothing.
inline bool is_partial_file(std::string_view name) { return name.starts_with('.') && name.ends_with(".partial"); }

}  // namespace casevault
