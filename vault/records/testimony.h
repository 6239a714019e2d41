#pragma once
#include "vault/access/case_access.h"
#include "vault/records/intake.h"
#include "vault/records/walk.h"

namespace casevault {

/// A new version of a testimony from the one file of `list`, which must be text; its facts, title and tags stay.
/// @pre the case is open for adding, and the attempt is logged.
Added update_testimony(Session& session, OpenCase& open, const Version& newest, const SourceList& list);

/// Where the case has a testimony of these words with these facts: the same words of another person, or on other terms,
/// are another testimony.
std::optional<CaseStore::Place> find_same_testimony(const OpenCase& open, const VersionDetails& details);

}  // namespace casevault
