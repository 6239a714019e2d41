#pragma once
#include <string>
#include <vector>

namespace casevault {

/// What of this machine undermines a vault at `folder`: swap that is not encrypted, and a file system that keeps
/// old copies of what was overwritten. Plain sentences; knows only what the kernel tells.
std::vector<std::string> machine_warnings(const std::string& folder);

}  // namespace casevault
