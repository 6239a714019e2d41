#pragma once
#include <nlohmann/json.hpp>

#include "cli/format.h"
#include "vault/access/cases.h"
#include "vault/audit/report.h"
#include "vault/records/intake.h"
#include "vault/records/reading.h"

namespace casevault {

// What --json prints, one object per line: keys are part of the command line's contract (docs/cli.md), sizes are bytes,
// times ISO 8601 in UTC. Names that are not UTF-8 have U+FFFD where they are not.

nlohmann::ordered_json to_json(const CaseSummary& summary);
nlohmann::ordered_json to_json(const Added& added);
nlohmann::ordered_json to_json(const VersionDetails& details);
/// A record by its newest version. `session` gives names to the ids of users.
nlohmann::ordered_json to_json(const Session& session, const RecordView& view);
nlohmann::ordered_json to_json(const Session& session, const std::string& object, const Version& version);
nlohmann::ordered_json to_json(const RemovalReport& report);
nlohmann::ordered_json to_json(const Finding& finding);

}  // namespace casevault
