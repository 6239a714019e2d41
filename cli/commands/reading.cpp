#include "vault/records/reading.h"

#include "cli/commands/commands.h"
#include "cli/json.h"
#include "cli/session.h"

namespace casevault {
namespace {

const std::vector<Errc> kStatuses = {Errc::kNoVault,  Errc::kBusy,    Errc::kWrongPassphrase,  Errc::kNotAllowed,
                                     Errc::kNotFound, Errc::kDamaged, Errc::kAuditUnavailable, Errc::kInterrupted};

/// "name (title)" or what stands for them once withdrawn.
std::string name_and_title(const Version& version) {
  if (!version.details) return "(withdrawn)";
  return version.details->name + (version.details->title.empty() ? "" : " (" + version.details->title + ")");
}

int run_list(Invocation& call) {
  const std::int64_t number = case_argument(call.argument(0));
  OpenVault vault(call);
  const auto records = list_records(vault.session(), number);
  Table table(
      {{"RECORD"}, {"VERSIONS", Table::Align::kRight}, {"SIZE", Table::Align::kRight}, {"ADDED"}, {"BY"}, {"NAME"}});
  for (const RecordView& view : records) {
    if (call.json()) {
      call.out().object(to_json(vault.session(), view));
      continue;
    }
    const Version& newest = view.record.newest();
    table.add({view.object, std::to_string(view.record.versions.size()),
               newest.details ? size_for_people(newest.details->size) : "-", time_for_people(newest.added_ms),
               user_name(vault.session(), newest.added_by), name_and_title(newest)});
  }
  table.print(call.out());
  if (records.empty()) call.out().note(case_name(number) + " is empty");
  return 0;
}

void add_testimony_facts(Facts& facts, const TestimonyFacts& testimony) {
  facts.add("Witness", testimony.witness);
  facts.add("Language", testimony.language);
  facts.add("Taken at", testimony.taken_at);
  facts.add("Place", testimony.place);
  facts.add("Consent", testimony.consent);
}

void add_details(Facts& facts, const VersionDetails& details) {
  std::string tags;
  for (const std::string& tag : details.tags) tags += (tags.empty() ? "" : ", ") + tag;
  facts.add("Name", details.name);
  if (!details.name_bytes.empty()) facts.add("Original name", details.name_bytes);
  facts.add("Title", details.title);
  facts.add("Tags", tags);
  facts.add("Media type", details.media_type);
  facts.add("Size", std::to_string(details.size) + (details.size == 1 ? " byte" : " bytes"));
  facts.add("SHA-256", to_hex(details.sha256));
  if (details.modified_ms != 0) facts.add("Modified", time_for_people(details.modified_ms));
  if (details.testimony) add_testimony_facts(facts, *details.testimony);
}

void add_withdrawal(Facts& facts, const Session& session, const Withdrawal& withdrawal) {
  facts.add("Withdrawn", time_for_people(withdrawal.time_ms) + " by " + user_name(session, withdrawal.by));
  facts.add("Reason", withdrawal.reason);
}

/// "Memorial Office: C-1/E-3, signed by anna on …".
std::string origin_line(const CustodyHop& hop) {
  if (hop.person.empty()) return hop.organisation + ", with stock tools";
  return hop.organisation + ": " + hop.record + ", signed by " + hop.person + " on " + time_for_people(hop.time_ms) +
         ", vault " + hop.root;
}

int run_show(Invocation& call) {
  const ObjectName name = record_argument(call.argument(0));
  OpenVault vault(call);
  const RecordView view = show_record(vault.session(), name);
  if (call.json()) {
    auto json = to_json(vault.session(), view);
    json["versions"] = view.record.versions.size();
    for (const CustodyHop& hop : view.origin) {
      json["origin"].push_back({{"organisation", hop.organisation},
                                {"person", hop.person},
                                {"object", hop.record},
                                {"version", hop.version},
                                {"time", iso_time_or_empty(hop.time_ms)},
                                {"vault", hop.root}});
    }
    call.out().object(json);
    return 0;
  }
  const Version& newest = view.record.newest();
  Facts facts;
  facts.add("Record", view.object);
  facts.add("Kind", view.record.id.kind == RecordKind::kTestimony ? "testimony" : "evidence");
  facts.add("Version", std::to_string(newest.number));
  facts.add("Added", time_for_people(newest.added_ms) + " by " + user_name(vault.session(), newest.added_by));
  if (newest.details) add_details(facts, *newest.details);
  for (const CustodyHop& hop : view.origin) facts.add("Came from", origin_line(hop));
  if (view.record.withdrawal) add_withdrawal(facts, vault.session(), *view.record.withdrawal);
  facts.print(call.out());
  return 0;
}

int run_history(Invocation& call) {
  const ObjectName name = record_argument(call.argument(0));
  OpenVault vault(call);
  const RecordView view = record_history(vault.session(), name);
  Table table(
      {{"VERSION", Table::Align::kRight}, {"SIZE", Table::Align::kRight}, {"ADDED"}, {"BY"}, {"SHA-256"}, {"NAME"}});
  for (const Version& version : view.record.versions) {
    if (call.json()) {
      call.out().object(to_json(vault.session(), view.object, version));
      continue;
    }
    table.add({std::to_string(version.number), version.details ? size_for_people(version.details->size) : "-",
               time_for_people(version.added_ms), user_name(vault.session(), version.added_by),
               version.details ? to_hex(version.details->sha256) : "-", name_and_title(version)});
  }
  table.print(call.out());
  if (view.record.withdrawal && !call.json()) {
    Facts facts;
    add_withdrawal(facts, vault.session(), *view.record.withdrawal);
    facts.print(call.out());
  } else if (view.record.withdrawal) {
    call.out().object({{"object", view.object},
                       {"withdrawn_at", iso_time(view.record.withdrawal->time_ms)},
                       {"withdrawn_by", user_name(vault.session(), view.record.withdrawal->by)},
                       {"reason", view.record.withdrawal->reason}});
  }
  return 0;
}

}  // namespace

std::vector<Command> reading_commands() {
  return {
      {.name = "list",
       .arguments = "CASE",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "the records of a case",
       .description = "Lists evidence, then testimonies, by their newest versions.",
       .statuses = kStatuses,
       .run = run_list,
       .in_guard = true},
      {.name = "show",
       .arguments = "RECORD",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "everything about a record but its content",
       .description = "Shows name, title, tags, size, SHA-256, who added it and when; of a testimony also its facts.",
       .statuses = kStatuses,
       .run = run_show,
       .in_guard = true},
      {.name = "history",
       .arguments = "RECORD",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "all versions of a record",
       .description = "Lists every version, oldest first, with who added it and its SHA-256.",
       .statuses = kStatuses,
       .run = run_history,
       .in_guard = true},
  };
}

}  // namespace casevault
