#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "vault/records/objects.h"
#include "vault/sharing/custody_report.h"
#include "vault/text.h"

// Terms and the datatypes of their literals: the shapes of CASE and UCO 1.3 and 1.4, which are alike for what is used
// here (github.com/casework/CASE, github.com/ucoProject/UCO). Every fact of the report has its place in them, so there
// is no vocabulary of our own.

namespace casevault {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<std::string>;

// ---- Ids and literals.

/// The id of a thing by the facts that make it what it is: the same things in two bundles have the same id. UCO's
/// shapes want a UUID of version 0 to 5 at the end; 5 is the one that is made from names (RFC 9562 section 5.5; here by
/// SHA-256).
std::string id_of(std::string_view kind, std::initializer_list<std::string_view> facts) {
  Sha256 hash;
  const auto feed = [&](std::string_view fact) {
    hash.update(be64(fact.size()));  // so that no two lists of facts read alike
    hash.update(as_bytes(fact));
  };
  feed(kind);
  for (const auto fact : facts) feed(fact);
  auto uuid = to_array<16>(hash.finish());
  uuid[6] = (uuid[6] & std::byte{0x0F}) | std::byte{0x50};
  uuid[8] = (uuid[8] & std::byte{0x3F}) | std::byte{0x80};
  auto text = to_hex(uuid);
  for (const auto at : {20, 16, 12, 8}) text.insert(static_cast<std::size_t>(at), "-");
  return "kb:" + text;
}

Json link(const std::string& id) { return {{"@id", id}}; }

Json links(const Ids& ids) {
  auto list = Json::array();
  for (const auto& id : ids) list.push_back(link(id));
  return list;
}

Json typed(const char* type, std::string value) { return {{"@type", type}, {"@value", std::move(value)}}; }

/// As it is, where JSON can say it.
std::string literal(std::string_view text) { return is_utf8(text) ? std::string(text) : escape_for_display(text); }

/// xsd:dateTime; nullopt where unknown, or outside the years that have four digits.
std::optional<std::string> date_time(std::int64_t time_ms) {
  using namespace std::chrono;
  constexpr sys_time<milliseconds> kFirst = sys_days(year(1) / 1 / 1);
  constexpr sys_time<milliseconds> kEnd = sys_days(year(10000) / 1 / 1);
  const sys_time<milliseconds> time{milliseconds(time_ms)};
  if (time_ms == 0 || time < kFirst || time >= kEnd) return std::nullopt;
  const hh_mm_ss clock(time - floor<days>(time));
  char text[32];
  static_cast<void>(std::snprintf(text, sizeof text, "T%02d:%02d:%02d.%03dZ", static_cast<int>(clock.hours().count()),
                                  static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
                                  static_cast<int>(clock.subseconds().count())));
  return to_date(time_ms) + text;
}

void set_time(Json& node, const char* property, std::int64_t time_ms) {
  if (const auto time = date_time(time_ms)) node[property] = typed("xsd:dateTime", *time);
}

void set_text(Json& node, const char* property, std::string_view text) {
  if (!text.empty()) node[property] = literal(text);
}

/// An identifier that means something outside of UCO, of the thing `owner`.
Json reference(const std::string& owner, const char* context, std::string_view identifier) {
  return {{"@id", id_of("external-reference", {owner, context, identifier})},
          {"@type", "uco-core:ExternalReference"},
          {"uco-core:definingContext", context},
          {"uco-core:externalIdentifier", literal(identifier)}};
}

// ---- The graph.

/// The nodes as lines of one JSON-LD document; not as one tree, which would be many times as big in memory.
class Graph {
 public:
  /// Writes a thing, unless it is there already.
  std::string add(const std::string& id, const char* type, Json node) {
    if (!known_.insert(id).second) return id;
    node["@id"] = id;
    node["@type"] = type;
    auto line = node.dump();
    // A terminal or an editor must not act on what a name holds; JSON's own escapes lose nothing.
    if (escape_for_display(line) != line) line = node.dump(-1, ' ', /*ensure_ascii=*/true);
    lines_ += ids_.empty() ? "" : ",\n";
    lines_ += line;
    ids_.push_back(id);
    return id;
  }
  const Ids& ids() const { return ids_; }

  std::string document() const {
    // Inline: a reader must not have to ask a server what our words mean.
    const Json context{{"case-investigation", "https://ontology.caseontology.org/case/investigation/"},
                       {"kb", "urn:uuid:"},
                       {"uco-action", "https://ontology.unifiedcyberontology.org/uco/action/"},
                       {"uco-core", "https://ontology.unifiedcyberontology.org/uco/core/"},
                       {"uco-identity", "https://ontology.unifiedcyberontology.org/uco/identity/"},
                       {"uco-observable", "https://ontology.unifiedcyberontology.org/uco/observable/"},
                       {"uco-types", "https://ontology.unifiedcyberontology.org/uco/types/"},
                       {"xsd", "http://www.w3.org/2001/XMLSchema#"}};
    return "{\"@context\":" + context.dump() + ",\n\"@graph\":[\n" + lines_ + "\n]}\n";
  }

 private:
  std::unordered_set<std::string> known_;
  Ids ids_;
  std::string lines_;
};

/// A step of a record's chain: who did what, and what came of it.
struct Step {
  std::string action;
  std::string provenance;
};

class Custody {
 public:
  explicit Custody(const CustodyReport& report)
      : report_(report), sender_(add_sender()), sharer_(add_person(sender_, report.person)) {}

  std::string write() {
    for (const auto& record : report_.records) add_record(record);
    for (const auto& event : report_.events) add_event(event);
    add_sharing();
    add_bundle();
    return graph_.document();
  }

 private:
  bool is_senders(const CustodyRecord& record, const CustodyHop& hop) const {
    return &hop == &record.hops.back() && hop.organisation == report_.organisation;
  }

  /// Root keys that the report gives for the sender: one, unless the report is odd.
  std::set<std::string> senders_roots() const {
    std::set<std::string> roots;
    for (const auto& record : report_.records) {
      for (const auto& hop : record.hops) {
        if (is_senders(record, hop) && !hop.root.empty()) roots.insert(hop.root);
      }
    }
    return roots;
  }

  std::string add_sender() {
    const auto roots = senders_roots();
    // By the root key where it can be, as the same organisation stands in what others share on.
    const auto id = roots.size() == 1
                        ? id_of("organisation", {report_.organisation, *roots.begin()})
                        : id_of("organisation", {report_.organisation, report_.sign_key, report_.fingerprint});
    auto references = Json::array({reference(id, "minisign public key", report_.sign_key),
                                   reference(id, "casevault organisation fingerprint", report_.fingerprint)});
    for (const auto& root : roots) references.push_back(reference(id, kRootFingerprint, root));
    Json node{{"uco-core:externalReference", std::move(references)}};
    set_text(node, "uco-core:name", report_.organisation);
    return graph_.add(id, "uco-identity:Organization", std::move(node));
  }

  /// Organisations that share a name are told apart by their root keys.
  std::string add_organisation(const CustodyHop& hop) {
    const auto id = id_of("organisation", {hop.organisation, hop.root});
    Json node = Json::object();
    set_text(node, "uco-core:name", hop.organisation);
    if (!hop.root.empty())
      node["uco-core:externalReference"] = Json::array({reference(id, kRootFingerprint, hop.root)});
    return graph_.add(id, "uco-identity:Organization", std::move(node));
  }

  /// A member by the name that the organisation gives; without one, the organisation itself.
  std::string add_person(const std::string& organisation, const std::string& name) {
    if (name.empty()) return organisation;
    auto id =
        graph_.add(id_of("person", {organisation, name}), "uco-identity:Person", {{"uco-core:name", literal(name)}});
    graph_.add(id_of("member", {id, organisation}), "uco-core:Relationship",
               {{"uco-core:isDirectional", true},
                {"uco-core:kindOfRelationship", "Member_Of"},
                {"uco-core:source", link(id)},
                {"uco-core:target", link(organisation)}});
    return id;
  }

  // ---- Records.

  static Json file_facet(const std::string& file, const CustodyRecord& record) {
    Json facet{{"@id", id_of("file-facet", {file})},
               {"@type", "uco-observable:FileFacet"},
               {"uco-observable:filePath", literal(record.path)},
               {"uco-observable:sizeInBytes", typed("xsd:integer", std::to_string(record.size))}};
    set_text(facet, "uco-observable:fileName", record.name);
    return facet;
  }

  static Json content_facet(const std::string& file, const CustodyRecord& record) {
    const Json hash{{"@id", id_of("hash", {file})},
                    {"@type", "uco-types:Hash"},
                    {"uco-types:hashMethod", "SHA256"},
                    {"uco-types:hashValue", typed("xsd:hexBinary", to_hex(record.sha256))}};
    Json facet{{"@id", id_of("content-facet", {file})},
               {"@type", "uco-observable:ContentDataFacet"},
               {"uco-observable:hash", Json::array({hash})},
               {"uco-observable:sizeInBytes", typed("xsd:integer", std::to_string(record.size))}};
    set_text(facet, "uco-observable:mimeType", record.media_type);
    return facet;
  }

  std::string add_file(const CustodyRecord& record) {
    const auto id = id_of("file", {sender_, record.path, record.record, record.name, record.title, record.media_type,
                                   std::to_string(record.size), as_text(record.sha256)});
    Json node{{"uco-core:hasFacet", Json::array({file_facet(id, record), content_facet(id, record)})}};
    set_text(node, "uco-core:name", record.title);
    return graph_.add(id, "uco-observable:File", std::move(node));
  }

  /// `before` is the step before; its members are empty for the first.
  Step add_step(const CustodyRecord& record, const CustodyHop& hop, const std::string& file, const Step& before) {
    const auto organisation = is_senders(record, hop) ? sender_ : add_organisation(hop);
    const auto performer = add_person(organisation, hop.person);
    const auto version = std::to_string(hop.version);
    const auto time = std::to_string(hop.time_ms);
    const auto id = [&](std::string_view kind) {
      return id_of(kind, {file, before.provenance, performer, hop.record, version, time});
    };
    Json provenance{{"uco-core:createdBy", link(organisation)}, {"uco-core:object", links({file})}};
    set_text(provenance, "case-investigation:exhibitNumber", hop.record);
    set_text(provenance, "case-investigation:rootExhibitNumber", record.hops.front().record);
    const bool first = before.action.empty();
    if (!first) provenance["case-investigation:wasDerivedFrom"] = links({before.provenance});
    Step step{id("vouching"),
              graph_.add(id("provenance"), "case-investigation:ProvenanceRecord", std::move(provenance))};
    Json action{
        {"uco-action:object", links({first ? file : before.provenance})},
        {"uco-action:performer", link(performer)},
        {"uco-action:result", links({step.provenance})},
        {"uco-core:description", hop.record.empty() ? "The organisation signed a bag that held the file"
                                                    : "Signed version " + version + " of " + literal(hop.record)},
        {"uco-core:name", "sign"}};
    set_time(action, "uco-action:startTime", hop.time_ms);
    if (!first) action["case-investigation:wasInformedBy"] = links({before.action});
    graph_.add(step.action, "case-investigation:InvestigativeAction", std::move(action));
    return step;
  }

  void add_record(const CustodyRecord& record) {
    const auto file = add_file(record);
    files_.emplace(record.record, file);
    Step step;
    for (const auto& hop : record.hops) step = add_step(record, hop, file, step);
    shared_.push_back(step.provenance.empty() ? file : step.provenance);
  }

  // ---- The audit log.

  /// From UCO's vocabulary; the log's own word stands in the description.
  static const char* status_of(const std::string& outcome) {
    if (outcome == "done") return "Complete/Finish";
    if (outcome == "begun") return "Ongoing";
    return outcome == "refused" || outcome == "failed" ? "Fail" : "Unknown";
  }

  /// The files that "C-1/E-3, C-1/E-7..E-9" names one by one. Ranges stay text: five thousand links for each listing of
  /// a case help nobody.
  Ids files_named(std::string_view objects) const {
    Ids files;
    for (const auto& object : split_object_list(objects)) {
      const auto found = files_.find(object);
      if (found != files_.end()) files.push_back(found->second);
    }
    return files;
  }

  void add_event(const CustodyEvent& event) {
    const auto index = std::to_string(event.index);
    const auto id = id_of("audit", {sender_, index, std::to_string(event.time_ms), event.person, event.action,
                                    event.objects, event.outcome, event.proof});
    auto references = Json::array({reference(id, "entry of the casevault audit log, counted from 0", index)});
    if (!event.proof.empty()) references.push_back(reference(id, "inclusion proof (C2SP tlog-proof)", event.proof));
    Json node{{"uco-action:actionStatus", status_of(event.outcome)},
              {"uco-core:description", literal("Audit log: " + event.action + " " + event.objects +
                                               (event.objects.empty() ? "" : " ") + "(" + event.outcome + ")")},
              {"uco-core:externalReference", std::move(references)}};
    set_text(node, "uco-core:name", event.action);
    set_time(node, "uco-action:startTime", event.time_ms);
    if (!event.person.empty()) node["uco-action:performer"] = link(add_person(sender_, event.person));
    if (const auto files = files_named(event.objects); !files.empty()) node["uco-action:object"] = links(files);
    if (!event.objects.empty()) {
      node["uco-core:hasFacet"] = Json::array({Json{{"@id", id_of("argument", {id})},
                                                    {"@type", "uco-action:ActionArgumentFacet"},
                                                    {"uco-action:argumentName", "objects"},
                                                    {"uco-action:value", literal(event.objects)}}});
    }
    graph_.add(id, "case-investigation:InvestigativeAction", std::move(node));
  }

  // ---- The whole.

  void annotate(const std::string& about, const std::string& by, const std::string& statement) {
    graph_.add(id_of("annotation", {about, statement}), "uco-core:Annotation",
               {{"uco-core:createdBy", link(by)},
                {"uco-core:object", links({about})},
                {"uco-core:statement", literal(statement)}});
  }

  void add_sharing() {
    std::string all;
    for (const auto& id : shared_) all += id;
    const auto id = id_of("share", {sharer_, std::to_string(report_.time_ms), all});
    auto references = Json::array();
    if (!report_.log_root.empty()) {
      references.push_back(reference(id, "root hash of the casevault audit log (RFC 6962, SHA-256)", report_.log_root));
      references.push_back(reference(id, "entries of the casevault audit log", std::to_string(report_.log_size)));
    }
    Json node{{"uco-action:performer", link(sharer_)},
              {"uco-core:description", "Made this bundle and signed it with the organisation's key"},
              {"uco-core:name", "share"}};
    if (!references.empty()) node["uco-core:externalReference"] = std::move(references);
    if (!shared_.empty()) node["uco-action:object"] = links(shared_);
    set_time(node, "uco-action:startTime", report_.time_ms);
    graph_.add(id, "case-investigation:InvestigativeAction", std::move(node));
    if (!report_.note.empty()) annotate(id, sharer_, report_.note);
    if (!report_.events_disclosed)
      annotate(id, sender_, "No audit log entries are disclosed: the person who shared may not read the audit log");
  }

  void add_bundle() {
    std::string all;
    for (const auto& id : graph_.ids()) all += id;
    Json node{
        {"uco-core:createdBy", link(sender_)},
        {"uco-core:description", "Times are by the clock of whoever signed; persons are named by their organisation"},
        {"uco-core:name", "Chain of custody"},
        {"uco-core:object", links(graph_.ids())}};
    set_time(node, "uco-core:objectCreatedTime", report_.time_ms);
    graph_.add(id_of("bundle", {all}), "uco-core:Bundle", std::move(node));
  }

  static constexpr const char* kRootFingerprint = "casevault root key fingerprint";

  const CustodyReport& report_;
  Graph graph_;
  std::string sender_;
  std::string sharer_;
  Ids shared_;                                          // the last step of each record
  std::unordered_map<std::string, std::string> files_;  // "C-1/E-3" → id
};

}  // namespace

std::string custody_jsonld(const CustodyReport& report) { return Custody(report).write(); }

}  // namespace casevault
