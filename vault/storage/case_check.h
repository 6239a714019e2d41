#pragma once
#include <string>
#include <vector>

#include "vault/storage/case_store.h"

namespace casevault {

/// Rows that no statement accounts for, and what of withdrawn records should be gone: things that reading never meets,
/// and so only `verify` finds. One line for each.
std::vector<std::string> check_case_rows(const CaseStore& store);

}  // namespace casevault
