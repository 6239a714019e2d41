#include "vault/sharing/custody_report.h"

#include <gmock/gmock.h>

#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "tests/support/temp_folder.h"
#include "vault/text.h"

namespace casevault {
namespace {

using Json = nlohmann::json;
using std::string_literals::operator""s;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kKey = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

CustodyRecord record_of(std::string path, std::string record, std::string name, std::string_view content) {
  CustodyRecord out{.path = std::move(path),
                    .record = std::move(record),
                    .name = std::move(name),
                    .title = "Протокол осмотра",
                    .media_type = "image/jpeg",
                    .size = content.size(),
                    .sha256 = sha256(as_bytes(content)),
                    .hops = {}};
  out.hops.push_back({"Правозащита", "inga", out.record, 2, 1'772'627'696'789, "lusab-babad"});
  return out;
}

CustodyReport report_of() {
  CustodyReport report{.organisation = "Правозащита",
                       .person = "inga",
                       .time_ms = 1'772'631'000'000,
                       .sign_key = kKey,
                       .fingerprint = "gutih-tugad",
                       .note = "",
                       .log_size = 42,
                       .log_root = std::string(64, 'a'),
                       .events_disclosed = true,
                       .records = {},
                       .events = {}};
  report.records.push_back(record_of("data/C-1/photo.jpg", "C-1/E-3", "IMG 1.jpg", "one"));
  report.records.push_back(record_of("data/C-1/note.txt", "C-1/E-4", "заметка.txt", "two"));
  auto& hops = report.records[1].hops;
  hops.insert(hops.begin(),
              {{"Bureau", "", "", 0, 0, ""}, {"Centre", "karim", "C-9/E-1", 1, 1'700'000'000'000, "mokin"}});
  report.events.push_back({17, 1'772'627'696'789, "inga", "add", "C-1/E-3", "done", "casevault/proofs/17.tlog-proof"});
  report.events.push_back({18, 1'772'627'700'000, "oleg", "frobnicate", "C-1/E-3, C-1/E-4..E-9", "odd", ""});
  return report;
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

// ---- custody.jsonld.

class Document {
 public:
  explicit Document(const CustodyReport& report) : json_(Json::parse(custody_jsonld(report))) {
    for (const auto& node : json_.at("@graph")) EXPECT_TRUE(nodes_.emplace(node.at("@id"), node).second);
  }
  const Json& json() const { return json_; }
  std::vector<Json> of_type(std::string_view type) const {
    std::vector<Json> out;
    for (const auto& node : json_.at("@graph")) {
      if (node.at("@type") == type) out.push_back(node);
    }
    return out;
  }
  const Json& linked(const Json& link) const { return nodes_.at(link.at("@id")); }
  // The one thing of a type whose property is `value`.
  Json find(std::string_view type, const std::string& property, const Json& value) const {
    for (const auto& node : of_type(type)) {
      if (node.contains(property) && node[property] == value) return node;
    }
    ADD_FAILURE() << "no " << type << " whose " << property << " is " << value;
    return {};
  }
  bool has(const std::string& id) const { return nodes_.contains(id); }

 private:
  Json json_;
  std::map<std::string, Json> nodes_;
};

void for_each_object(const Json& json, const std::function<void(const Json&)>& each) {
  if (json.is_object()) each(json);
  if (!json.is_structured()) return;
  for (const auto& child : json) for_each_object(child, each);
}

constexpr const char* kActionType = "case-investigation:InvestigativeAction";

TEST(CustodyJsonld, HasTheExpectedThings) {
  const Document document(report_of());
  const auto count = [&](std::string_view type) { return document.of_type(type).size(); };
  EXPECT_EQ(count("uco-core:Bundle"), 1u);
  EXPECT_EQ(count("uco-identity:Organization"), 3u);
  EXPECT_EQ(count("uco-identity:Person"), 3u) << "inga, karim, oleg";
  EXPECT_EQ(count("uco-core:Relationship"), 3u) << "whose members they are";
  EXPECT_EQ(count("uco-observable:File"), 2u);
  EXPECT_EQ(count("case-investigation:ProvenanceRecord"), 4u) << "one a step";
  EXPECT_EQ(count(kActionType), 4u + 2u + 1u) << "steps, entries of the log, the sharing";
  EXPECT_EQ(count("uco-core:Annotation"), 0u);
}

TEST(CustodyJsonld, ContextIsInline) {
  const auto context = Document(report_of()).json().at("@context");
  ASSERT_TRUE(context.is_object());
  EXPECT_EQ(context["kb"], "urn:uuid:");
  for_each_object(Document(report_of()).json().at("@graph"), [&](const Json& object) {
    for (const auto& [key, value] : object.items()) {
      EXPECT_TRUE(key.starts_with("@") || context.contains(key.substr(0, key.find(':')))) << key;
    }
  });
}

TEST(CustodyJsonld, LinksLeadSomewhereAndIdsAreUuids) {
  const Document document(report_of());
  const std::regex uuid("kb:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  std::set<std::string> defined;
  for_each_object(document.json().at("@graph"), [&](const Json& object) {
    if (object.contains("@value")) return;
    const std::string id = object.at("@id");
    EXPECT_TRUE(std::regex_match(id, uuid)) << id;
    if (object.size() == 1) {
      EXPECT_TRUE(document.has(id)) << id;
    } else {
      EXPECT_TRUE(defined.insert(id).second) << "twice: " << object;
    }
  });
  const auto bundle = document.of_type("uco-core:Bundle").at(0);
  EXPECT_EQ(bundle.at("uco-core:object").size(), document.json().at("@graph").size() - 1) << "everything but itself";
}

TEST(CustodyJsonld, IsTheSameEveryTime) {
  EXPECT_EQ(custody_jsonld(report_of()), custody_jsonld(report_of()));
  auto other = report_of();
  other.records[0].sha256 = sha256(as_bytes("three"));
  const Document one(report_of()), two(other);
  EXPECT_NE(one.of_type("uco-core:Bundle").at(0).at("@id"), two.of_type("uco-core:Bundle").at(0).at("@id"));
  EXPECT_NE(one.of_type("uco-observable:File").at(0).at("@id"), two.of_type("uco-observable:File").at(0).at("@id"));
  EXPECT_EQ(one.of_type("uco-observable:File").at(1).at("@id"), two.of_type("uco-observable:File").at(1).at("@id"));
}

Json without_ids(Json json) {
  if (json.is_object()) json.erase("@id");
  for (auto& child : json) {
    if (child.is_structured()) child = without_ids(child);
  }
  return json;
}

TEST(CustodyJsonld, GoldenRecord) {
  const auto files = Document(report_of()).of_type("uco-observable:File");
  EXPECT_EQ(without_ids(files.at(0)), Json::parse(R"({
    "@type": "uco-observable:File",
    "uco-core:name": "Протокол осмотра",
    "uco-core:hasFacet": [
      {"@type": "uco-observable:FileFacet",
       "uco-observable:fileName": "IMG 1.jpg",
       "uco-observable:filePath": "data/C-1/photo.jpg",
       "uco-observable:sizeInBytes": {"@type": "xsd:integer", "@value": "3"}},
      {"@type": "uco-observable:ContentDataFacet",
       "uco-observable:mimeType": "image/jpeg",
       "uco-observable:sizeInBytes": {"@type": "xsd:integer", "@value": "3"},
       "uco-observable:hash": [
         {"@type": "uco-types:Hash", "uco-types:hashMethod": "SHA256",
          "uco-types:hashValue": {"@type": "xsd:hexBinary",
            "@value": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"}}]}]})"));
}

TEST(CustodyJsonld, StepsFollowEachOther) {
  const Document document(report_of());
  const auto last = document.find(kActionType, "uco-core:description", "Signed version 2 of C-1/E-4");
  const auto middle = document.find(kActionType, "uco-core:description", "Signed version 1 of C-9/E-1");
  const auto first =
      document.find(kActionType, "uco-core:description", "The organisation signed a bag that held the file");
  const Json time{{"@type", "xsd:dateTime"}, {"@value", "2026-03-04T12:34:56.789Z"}};
  EXPECT_EQ(last.at("uco-action:startTime"), time);
  EXPECT_FALSE(first.contains("uco-action:startTime")) << "unknown";
  EXPECT_EQ(last.at("case-investigation:wasInformedBy").at(0).at("@id"), middle.at("@id"));
  EXPECT_EQ(middle.at("case-investigation:wasInformedBy").at(0).at("@id"), first.at("@id"));
  EXPECT_FALSE(first.contains("case-investigation:wasInformedBy"));
  EXPECT_EQ(last.at("uco-action:object"), middle.at("uco-action:result"));
  EXPECT_EQ(document.linked(first.at("uco-action:object").at(0)).at("@type"), "uco-observable:File");
  EXPECT_EQ(document.linked(first.at("uco-action:performer")).at("uco-core:name"), "Bureau");
  EXPECT_EQ(document.linked(middle.at("uco-action:performer")).at("uco-core:name"), "karim");
  const auto& exhibit = document.linked(last.at("uco-action:result").at(0));
  EXPECT_EQ(exhibit.at("case-investigation:exhibitNumber"), "C-1/E-4");
  EXPECT_FALSE(exhibit.contains("case-investigation:rootExhibitNumber")) << "the first step has none";
  const auto share = document.find(kActionType, "uco-core:name", "share");
  EXPECT_EQ(share.at("uco-action:object").at(1), last.at("uco-action:result").at(0));
  EXPECT_EQ(share.at("uco-action:performer"), last.at("uco-action:performer"));
}

TEST(CustodyJsonld, NamesakesAreToldApartByTheirRoots) {
  auto report = report_of();
  auto& earlier = report.records[1].hops[1];
  earlier.organisation = report.organisation;
  EXPECT_EQ(Document(report).of_type("uco-identity:Organization").size(), 3u);
  earlier.root = report.records[1].hops.back().root;  // it came back to where it had been
  EXPECT_EQ(Document(report).of_type("uco-identity:Organization").size(), 2u);
}

TEST(CustodyJsonld, EventsHaveTheirWordsAndProofs) {
  const Document document(report_of());
  const auto known = document.find(kActionType, "uco-core:name", "add");
  EXPECT_EQ(known.at("uco-action:actionStatus"), "Complete/Finish");
  EXPECT_EQ(known.at("uco-core:description"), "Audit log: add C-1/E-3 (done)");
  EXPECT_EQ(known.at("uco-core:externalReference").at(0).at("uco-core:externalIdentifier"), "17");
  EXPECT_EQ(known.at("uco-core:externalReference").at(1).at("uco-core:externalIdentifier"),
            "casevault/proofs/17.tlog-proof");
  EXPECT_EQ(document.linked(known.at("uco-action:object").at(0)).at("@type"), "uco-observable:File");
  const auto odd = document.find(kActionType, "uco-core:name", "frobnicate");
  EXPECT_EQ(odd.at("uco-action:actionStatus"), "Unknown");
  EXPECT_EQ(odd.at("uco-action:object").size(), 1u) << "ranges stay text";
  EXPECT_EQ(odd.at("uco-core:hasFacet").at(0).at("uco-action:value"), "C-1/E-3, C-1/E-4..E-9");
}

TEST(CustodyJsonld, SaysWhatIsNotDisclosed) {
  auto report = report_of();
  report.events_disclosed = false;
  report.events.clear();
  report.note = "Line 1\nLine 2";
  const Document document(report);
  const auto share = document.find(kActionType, "uco-core:name", "share");
  std::set<std::string> statements;
  for (const auto& node : document.of_type("uco-core:Annotation")) {
    EXPECT_EQ(node.at("uco-core:object").at(0).at("@id"), share.at("@id"));
    statements.insert(node.at("uco-core:statement").get<std::string>());
  }
  EXPECT_THAT(statements, testing::ElementsAre("Line 1\nLine 2", HasSubstr("No audit log entries are disclosed")));
}

TEST(CustodyJsonld, EmptyReportIsStillADocument) {
  const Document document(CustodyReport{});
  EXPECT_EQ(document.of_type("uco-core:Bundle").size(), 1u);
  EXPECT_FALSE(document.of_type("uco-core:Bundle").at(0).contains("uco-core:objectCreatedTime"));
}

// ---- custody.html.

// Strict: what it takes is XML without processing instructions, and HTML.
class Page {
 public:
  explicit Page(const std::string& html) : rest_(html) {
    EXPECT_TRUE(is_utf8(html));
    take("<!DOCTYPE html>");
    while (!rest_.empty()) take_piece();
    EXPECT_TRUE(open_.empty()) << open_.back() << " is not closed";
  }
  const std::set<std::string>& elements() const { return elements_; }
  const std::multimap<std::string, std::string>& attributes() const { return attributes_; }
  // The texts of the two halves, each text with its spaces.
  const std::string& text(const std::string& language) { return texts_[language]; }

 private:
  void take(std::string_view expected) {
    EXPECT_TRUE(rest_.starts_with(expected)) << expected << " expected before: " << rest_.substr(0, 60);
    rest_.remove_prefix(std::min(expected.size(), rest_.size()));
  }

  void take_piece() {
    if (rest_.front() == '<') return take_tag();
    const auto piece = rest_.substr(0, rest_.find('<'));
    texts_[language_] += decode(piece);
    rest_.remove_prefix(piece.size());
  }

  void take_tag() {
    const auto end = rest_.find('>');
    ASSERT_NE(end, rest_.npos);
    const std::string tag(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    if (tag.starts_with("/")) {
      ASSERT_FALSE(open_.empty()) << tag;
      EXPECT_EQ(tag.substr(1), open_.back());
      return open_.pop_back();
    }
    static const std::regex kTag(R"re(([a-z][a-z0-9]*)((?: [a-z-]+="[^"<>]*")*)(/?))re");
    std::smatch match;
    ASSERT_TRUE(std::regex_match(tag, match, kTag)) << tag;
    elements_.insert(match[1]);
    if (match[3].length() == 0) open_.push_back(match[1]);
    take_attributes(match[2], match[1] == "section");
  }

  void take_attributes(const std::string& text, bool is_section) {
    static const std::regex kAttribute(R"re(([a-z-]+)="([^"]*)")re");
    for (std::sregex_iterator at(text.begin(), text.end(), kAttribute), end; at != end; ++at) {
      attributes_.emplace((*at)[1], decode((*at)[2].str()));
      if (is_section && (*at)[1] == "lang") language_ = (*at)[2];
    }
  }

  static std::string decode(std::string_view text) {
    static const std::map<std::string, std::string, std::less<>> kEntities{
        {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&#160;", " "}};
    std::string out;
    while (!text.empty()) {
      const bool entity = text.front() == '&';
      const auto piece = text.substr(0, entity ? text.find(';') + 1 : 1);
      EXPECT_TRUE(!entity || kEntities.contains(piece)) << text.substr(0, 20);
      out += entity ? kEntities.at(std::string(piece)) : piece;
      text.remove_prefix(piece.size());
    }
    return out;
  }

  std::string_view rest_;
  std::string language_;
  std::vector<std::string> open_;
  std::set<std::string> elements_;
  std::multimap<std::string, std::string> attributes_;
  std::map<std::string, std::string> texts_;
};

void expect_harmless(const std::string& html) {
  const Page page(html);
  const std::set<std::string> allowed{"html", "head", "meta", "title", "style", "body",  "nav", "section", "h1",
                                      "h2",   "p",    "div",  "table", "thead", "tbody", "tr",  "th",      "td",
                                      "bdi",  "code", "pre",  "a",     "br",    "ol",    "ul",  "li",      "strong"};
  for (const auto& element : page.elements()) EXPECT_TRUE(allowed.contains(element)) << element;
  const std::set<std::string> attributes{"lang", "charset", "http-equiv", "content", "name", "id", "class", "href"};
  std::set<std::string> ids;
  for (const auto& [name, value] : page.attributes()) {
    EXPECT_TRUE(attributes.contains(name)) << name;
    EXPECT_TRUE(name != "id" || ids.insert(value).second) << value;
  }
  const auto [first, last] = page.attributes().equal_range("href");
  for (auto link = first; link != last; ++link) {
    EXPECT_TRUE(link->second.starts_with("#") && ids.contains(link->second.substr(1))) << link->second;
  }
  for (const auto* remote : {"http:", "https:", "url(", "@import"}) EXPECT_THAT(html, Not(HasSubstr(remote)));
}

TEST(CustodyHtml, IsWellFormedAndRefersToNothing) {
  const auto html = custody_html(report_of());
  expect_harmless(html);
  EXPECT_THAT(html, HasSubstr(R"(content="default-src 'none'; style-src 'unsafe-inline'")"));
  EXPECT_THAT(html, Not(HasSubstr("{}"))) << "a value was forgotten";
  expect_harmless(custody_html(CustodyReport{}));
}

TEST(CustodyHtml, TellsEverythingInBothLanguages) {
  const auto report = report_of();
  Page page(custody_html(report));
  for (const auto* language : {"en", "ru"}) {
    const auto& text = page.text(language);
    for (const auto& record : report.records) {
      for (const auto& value :
           {record.path, record.record, record.name, record.title, record.media_type, to_hex(record.sha256)}) {
        EXPECT_THAT(text, HasSubstr(value));
      }
      for (const auto& hop : record.hops) {
        for (const auto& value : {hop.organisation, hop.person, hop.record, hop.root})
          EXPECT_THAT(text, HasSubstr(value));
      }
    }
    for (const auto& event : report.events) {
      for (const auto& value :
           {std::to_string(event.index), event.person, event.action, event.objects, event.outcome, event.proof}) {
        EXPECT_THAT(text, HasSubstr(value));
      }
    }
    for (const auto& value : {report.fingerprint, report.sign_key, report.log_root, "2026-03-04 12:34:56"s})
      EXPECT_THAT(text, HasSubstr(value));
    EXPECT_THAT(text, HasSubstr("age -d -i key.txt x.age | tar x && cd bag && sha256sum -c manifest-sha256.txt && "
                                "minisign -Vm tagmanifest-sha256.txt -P "s +
                                kKey + "\n"));
    EXPECT_THAT(text, HasSubstr("\nsha256sum -c tagmanifest-sha256.txt\n"));
  }
  EXPECT_THAT(page.text("en"), HasSubstr("What this does not prove"));
  EXPECT_THAT(page.text("ru"), HasSubstr("Чего этот документ не доказывает"));
}

TEST(CustodyHtml, GoldenRecord) {
  const auto html = custody_html(report_of());
  const auto row = R"(<tr><td>1</td><td>C-1/E-3</td><td class="name"><bdi>data/C-1/photo.jpg</bdi></td>)"
                   R"(<td class="name"><bdi>IMG 1.jpg</bdi><br/><bdi>Протокол осмотра</bdi></td>)"
                   R"(<td>image/jpeg</td><td>3</td><td class="hash"><code>)"
                   "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed</code></td></tr>\n";
  EXPECT_EQ(count_of(html, row), 2u) << html;
  const auto step = [](std::string_view language, std::string_view version) {
    return R"(<tr><td>1</td><td>1</td><td class="name"><bdi>Правозащита</bdi> <a href="#)" + std::string(language) +
           R"(-o1">[1]</a></td><td><bdi>inga</bdi></td><td>C-1/E-3, )" + std::string(version) +
           " 2</td><td>2026-03-04 12:34:56</td></tr>\n";
  };
  EXPECT_THAT(html, HasSubstr(step("en", "version")));
  EXPECT_THAT(html, HasSubstr(step("ru", "версия")));
}

TEST(CustodyHtml, EscapesWhatMarkupIsMadeOf) {
  auto report = report_of();
  report.records[0].name = R"(<a b="c" d='&amp;'>)";
  EXPECT_EQ(count_of(custody_html(report), "<bdi>&lt;a b=&quot;c&quot; d=&#39;&amp;amp;&#39;&gt;</bdi>"), 2u);
}

TEST(CustodyHtml, WordsOfTheLogAreExplainedWhereKnown) {
  Page page(custody_html(report_of()));
  EXPECT_THAT(page.text("en"), HasSubstr("add (adding a file)"));
  EXPECT_THAT(page.text("ru"), HasSubstr("add (внесение файла)"));
  EXPECT_THAT(page.text("ru"), HasSubstr("frobnicateC-1/E-3"));
}

TEST(CustodyHtml, SaysWhatIsNotDisclosedOrStated) {
  auto report = report_of();
  report.events_disclosed = false;
  report.events.clear();
  Page page(custody_html(report));
  EXPECT_THAT(page.text("en"), HasSubstr("No entries are shown: the person"));
  EXPECT_THAT(page.text("ru"), HasSubstr("Записи не приведены: лицо"));
  EXPECT_THAT(page.text("en"), HasSubstr("Bureau [2]signature of the organisation on its bundlenot statednot stated"));
  EXPECT_THAT(page.text("ru"), HasSubstr("Bureau [2]подпись организации на её пакетене указаноне указано"));
  report.events_disclosed = true;
  EXPECT_THAT(custody_html(report), HasSubstr("No entries came with this bundle."));
}

TEST(CustodyHtml, NoteKeepsItsLines) {
  auto report = report_of();
  report.note = "Dear <partner>,\r\n\nсм. файл 2\n";
  EXPECT_EQ(
      count_of(custody_html(report), "<bdi>Dear &lt;partner&gt;,</bdi><br/><bdi></bdi><br/><bdi>см. файл 2</bdi>"), 2u);
}

TEST(CustodyHtml, NothingButAKeyStandsInTheCommand) {
  for (const auto& key : {""s, "KEY; rm -rf ~"s, "$(x)" + std::string(52, 'A'), std::string(55, 'A') + "\n"}) {
    auto report = report_of();
    report.sign_key = key;
    EXPECT_EQ(count_of(custody_html(report), "-P KEY</pre>"), 2u) << key;
  }
}

// ---- Both, of people who mean harm.

struct HostileRow {
  const char* name;
  std::string text;
};
void PrintTo(const HostileRow& row, std::ostream* out) { *out << row.name; }

CustodyReport report_full_of(const std::string& text) {
  auto report = report_of();
  for (auto* field :
       {&report.organisation, &report.person, &report.sign_key, &report.fingerprint, &report.note, &report.log_root}) {
    *field = text;
  }
  for (auto& record : report.records) {
    for (auto* field : {&record.path, &record.record, &record.name, &record.title, &record.media_type}) *field += text;
    for (auto& hop : record.hops)
      for (auto* field : {&hop.organisation, &hop.person, &hop.record, &hop.root}) *field = text;
  }
  for (auto& event : report.events) {
    for (auto* field : {&event.person, &event.action, &event.objects, &event.outcome, &event.proof}) *field = text;
  }
  return report;
}

// Nothing but our own line ends.
void expect_nothing_hidden(const std::string& text) {
  EXPECT_EQ(escape_for_display(text), std::regex_replace(text, std::regex("\n"), "\\n"));
}

class Hostile : public testing::TestWithParam<HostileRow> {};

TEST_P(Hostile, DoesNotGetIntoThePage) {
  const auto& text = GetParam().text;
  const auto html = custody_html(report_full_of(text));
  expect_harmless(html);
  expect_nothing_hidden(html);
  for (const auto* harm : {"<script", "<img", "<svg", "<iframe", "<!--", "]]>", "\xEF\xBF\xBF"})
    EXPECT_THAT(html, Not(HasSubstr(harm)));
  // As many elements as with a harmless text.
  EXPECT_EQ(count_of(html, "<"), count_of(custody_html(report_full_of("x")), "<"));
}

TEST_P(Hostile, IsOnlyTextInTheDocument) {
  const auto& text = GetParam().text;
  const auto jsonld = custody_jsonld(report_full_of(text));
  ASSERT_TRUE(is_utf8(jsonld));
  for (const auto line : {jsonld.find("\"@context\""), jsonld.find("\"@graph\"")}) EXPECT_NE(line, jsonld.npos);
  expect_nothing_hidden(jsonld);
  const Document document(report_full_of(text));
  const auto files = document.of_type("uco-observable:File");
  ASSERT_EQ(files.size(), 2u);
  const auto expected = "IMG 1.jpg" + (is_utf8(text) ? text : escape_for_display(text));
  EXPECT_EQ(files.at(0).at("uco-core:hasFacet").at(0).at("uco-observable:fileName"), expected);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Hostile,
    testing::Values(HostileRow{"script", "<script>alert(1)</script>"},
                    HostileRow{"image", "<img src=x onerror=alert(1)>"},
                    HostileRow{"out_of_attribute", "\" onmouseover=\"alert(1)"}, HostileRow{"apostrophe", "' x='"},
                    HostileRow{"closes_cell", "</bdi></td></tr></table><svg/onload=alert(1)>"},
                    HostileRow{"closes_code", "</code></pre><iframe>"}, HostileRow{"comment", "<!-- x"},
                    HostileRow{"cdata", "]]>"}, HostileRow{"entity", "&lt;script&gt;&#x3c;b&amp"},
                    HostileRow{"placeholder", "{} {}{}"}, HostileRow{"override", "a\u202egpj.exe"},
                    HostileRow{"isolate", "\u2066a\u2069\u2069"}, HostileRow{"zero_width", "a\u200bb"},
                    HostileRow{"terminal", "\x1b[2J\x07"},
                    HostileRow{"c1",
                               "\xc2\x9b"
                               "2J"},
                    HostileRow{"nul", "a\0<b>"s}, HostileRow{"tab", "a\tb"}, HostileRow{"not_utf8", "\xff\xc0\xaf<b>"},
                    HostileRow{"cut", "a\xe2\x80"}, HostileRow{"utf7", "+ADw-script+AD4-"},
                    HostileRow{"no_character", "\uffff\ufffe"}, HostileRow{"json", "\",\"@context\":\"http\\u003a//x"},
                    HostileRow{"backslashes", "\\u202e\\"}),
    test::row_name<HostileRow>);

// ---- Times and sizes.

struct TimeRow {
  const char* name;
  std::int64_t time_ms;
  std::string jsonld;  // empty: left out
  std::string html;
};
void PrintTo(const TimeRow& row, std::ostream* out) { *out << row.name; }

class CustodyTime : public testing::TestWithParam<TimeRow> {};
TEST_P(CustodyTime, IsWrittenOrUnknown) {
  auto report = report_of();
  report.time_ms = GetParam().time_ms;
  const auto bundle = Document(report).of_type("uco-core:Bundle").at(0);
  const bool stated = bundle.contains("uco-core:objectCreatedTime");
  EXPECT_EQ(stated ? bundle.at("uco-core:objectCreatedTime").at("@value") : "", GetParam().jsonld);
  EXPECT_THAT(custody_html(report), HasSubstr("<th>Shared at (UTC)</th><td>" + GetParam().html + "</td>"));
}

INSTANTIATE_TEST_SUITE_P(
    Table, CustodyTime,
    testing::Values(TimeRow{"usual", 1'772'627'696'789, "2026-03-04T12:34:56.789Z", "2026-03-04 12:34:56"},
                    TimeRow{"unknown", 0, "", "not stated"},
                    TimeRow{"before_1970", -1, "1969-12-31T23:59:59.999Z", "1969-12-31 23:59:59"},
                    TimeRow{"first", -62'135'596'800'000, "0001-01-01T00:00:00.000Z", "0001-01-01 00:00:00"},
                    TimeRow{"too_early", -62'135'596'800'001, "", "not stated"},
                    TimeRow{"last", 253'402'300'799'999, "9999-12-31T23:59:59.999Z", "9999-12-31 23:59:59"},
                    TimeRow{"too_late", 253'402'300'800'000, "", "not stated"},
                    TimeRow{"least", std::numeric_limits<std::int64_t>::min(), "", "not stated"},
                    TimeRow{"greatest", std::numeric_limits<std::int64_t>::max(), "", "not stated"}),
    test::row_name<TimeRow>);

TEST(Custody, FiveThousandRecords) {
  auto report = report_of();
  const auto one = report.records[1];
  for (int i = 0; i < 5'000; ++i) {
    report.records.push_back(one);
    report.records.back().path += std::to_string(i);
  }
  const auto html = custody_html(report);
  EXPECT_EQ(count_of(html, "class=\"hash\""), 2u * 5'002);
  EXPECT_LT(html.size(), 20u << 20);
  EXPECT_EQ(count_of(custody_jsonld(report), "uco-types:hashValue"), 5'002u);
}

}  // namespace
}  // namespace casevault
