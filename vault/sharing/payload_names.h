#pragma once
#include <string>
#include <vector>

#include "vault/records/selection.h"

namespace casevault {

/// A path below `data/` for each version, in order: `data/C-1/<name>` in NFC, made safe and unique as for an export
/// (assign_export_paths) and fit for a bag (find_path_fault). `plain`: `data/C-1/E-3.pdf`, ASCII only.
std::vector<std::string> assign_payload_paths(const Selection& selection, bool plain);

}  // namespace casevault
