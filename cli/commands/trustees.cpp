#include "cli/commands/trustees.h"

#include "cli/format.h"
#include "cli/json.h"
#include "vault/access/trustees.h"
#include "vault/replica/sheet.h"

namespace casevault {

TrusteePlan trustee_plan(Invocation& call) {
  if (!call.has("trustees"))
    throw Error(Errc::kUsage, "--trustees is missing: how many people hold shares, and how many of them are needed?",
                "for example --trustees 3/5: any three of five");
  if (!call.has("shares"))
    throw Error(Errc::kUsage, "--shares is missing: where shall the trustees' sheets go?",
                "name a new folder with --shares DIR, best on a stick");
  const auto text = *call.value("trustees");
  const auto slash = std::min(text.find('/'), text.size());
  const auto threshold = parse_number(text.substr(0, slash));
  const auto count = slash < text.size() ? parse_number(text.substr(slash + 1)) : std::nullopt;
  if (!threshold || !count || *threshold > 255 || *count > 255)
    throw Error(Errc::kUsage, "'" + text + "' does not say how many of how many",
                "for example --trustees 3/5: any three of five");
  check_trustee_numbers(static_cast<std::uint32_t>(*threshold), static_cast<std::uint32_t>(*count));
  check_sheet_folder(*call.value("shares"));
  return {static_cast<std::uint32_t>(*threshold), static_cast<std::uint32_t>(*count), *call.value("shares")};
}

std::vector<Path> sheets_of(const TrusteePlan& plan) {
  std::vector<Path> sheets;
  for (std::uint32_t i = 1; i <= plan.count; ++i)
    sheets.push_back(plan.sheets / ("trustee-" + std::to_string(i) + ".txt"));
  return sheets;
}

void report_sheets(Invocation& call, const std::vector<Path>& sheets, const TrusteePlan& plan) {
  for (const auto& sheet : sheets) {
    if (call.json()) {
      call.out().object({{"share", sheet.string()}});
    } else {
      call.out().line(sheet.string());
    }
  }
  call.out().warning(
      "print the sheets (trustee-N.html), give each to another person outside the office, then: casevault "
      "recovery shred " +
      shell_word(plan.sheets.string()) + "; any " + std::to_string(plan.threshold) +
      " of them and a copy of the vault open everything");
}

}  // namespace casevault
