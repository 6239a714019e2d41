#include "cli/commands/commands.h"
#include "cli/json.h"
#include "cli/session.h"

namespace casevault {
namespace {

int run_search(Invocation& call) {
  const auto in_case = call.value("case");
  const std::int64_t number = in_case ? case_argument(*in_case) : 0;
  OpenVault vault(call);
  const auto hits = search_records(vault.session(), call.argument(0), number);
  Table table({{"RECORD"}, {"ADDED"}, {"NAME"}, {"TITLE"}});
  for (const Hit& hit : hits) {
    if (call.json()) {
      call.out().object(to_json(vault.session(), hit.object, hit.version));
    } else if (hit.version.details) {
      table.add(
          {hit.object, time_for_people(hit.version.added_ms), hit.version.details->name, hit.version.details->title});
    }
  }
  table.print(call.out());
  if (hits.empty()) call.out().note("nothing found");
  return 0;
}

}  // namespace

Command search_command() {
  return {
      .name = "search",
      .arguments = "QUERY",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "find records by words",
      .description =
          "Looks through names, titles, tags, the facts and texts of testimonies, and small text files, in every case "
          "that you may\n"
          "read. All words of QUERY (quote it) must occur; a word also finds longer words that begin with it; capital "
          "and small letters,\n"
          "and Russian \u0435 and \u0451, are the same.",
      .options = {{.name = "case", .value = "CASE", .help = "only in this case"}},
      .statuses = {Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed, Errc::kNotFound,
                   Errc::kDamaged, Errc::kAuditUnavailable, Errc::kInterrupted},
      .run = run_search,
      .in_guard = true,
  };
}

}  // namespace casevault
