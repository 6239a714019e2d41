#include "vault/storage/case_store.h"

#include "crypto/random.h"
#include "tests/support/temp_folder.h"
#include "vault/records/statement.h"

namespace casevault {
namespace {

using test::bytes_of;
using test::code_of;
using test::error_of;
using test::noise;
using test::TempFolder;

VersionDetails details_of(const std::string& name, ByteView content) {
  return {.name = name, .media_type = "text/plain", .size = content.size(), .sha256 = sha256(content)};
}

class CaseDatabase : public testing::Test {
 protected:
  CaseStamp stamp() const { return {signer, 1, 1'700'000'000'000, 7, merkle_empty_root()}; }
  Change add(CaseStore& into, RecordId record, std::int64_t number, const std::string& name,
             const std::string& text) const {
    auto details = details_of(name, as_bytes(text));
    if (record.kind == RecordKind::kTestimony)
      details.testimony = TestimonyFacts{"Волк", "ru", "2026-01-02", "Минск", "yes"};
    Transaction transaction(into.database());
    auto change = into.add_version({record, number, details, text}, bytes_of(text), stamp());
    transaction.commit();
    return change;
  }
  Change add(RecordId record, std::int64_t number, const std::string& name, const std::string& text) {
    return add(store, record, number, name, text);
  }
  void withdraw(RecordId record) {
    Transaction transaction(store.database());
    store.add_withdrawal(record, "asked for", stamp());
    transaction.commit();
  }
  std::vector<std::string> hits(const CaseStore& in, const std::string& query) const {
    std::vector<std::string> names;
    for (const auto& version : in.search(query)) names.push_back(to_string(version.record));
    return names;
  }
  std::vector<std::string> hits(const std::string& query) const { return hits(store, query); }
  CaseStore copy(const std::string& name, std::optional<RecordId> left_out) {
    auto target = CaseStore::create(folder / name, other_key, id, store.body_name_key());
    Transaction transaction(target.database());
    orphans = store.copy_into(target, left_out);
    transaction.commit();
    return target;
  }

  TempFolder folder;
  Identity signer = Identity::random();
  CaseId id = random_array<16>();
  DatabaseKey key = DatabaseKey::random();
  DatabaseKey other_key = DatabaseKey::random();
  BodyNameKey name_key = BodyNameKey::random();
  CaseStore store = CaseStore::create(folder / "case.db", key, id, name_key);
  std::vector<std::string> orphans;
};

constexpr RecordId kE1{RecordKind::kEvidence, 1};
constexpr RecordId kE2{RecordKind::kEvidence, 2};
constexpr RecordId kT1{RecordKind::kTestimony, 1};

TEST_F(CaseDatabase, RemembersWhoseItIs) {
  { const auto moved = std::move(store); }
  const auto again = CaseStore::open(folder / "case.db", key, id);
  EXPECT_EQ(again.id(), id);
  EXPECT_TRUE(equal_constant_time(again.body_name_key().expose_secret(), name_key.expose_secret()));
  EXPECT_EQ(code_of([&] { CaseStore::open(folder / "case.db", key, random_array<16>()); }), Errc::kDamaged);
  EXPECT_EQ(code_of([&] { CaseStore::open(folder / "case.db", other_key, id); }), Errc::kDamaged);
}

TEST_F(CaseDatabase, GivesBackWhatWasAdded) {
  auto details = details_of("папка/заметка\n.txt", as_bytes("hello"));
  details.name_bytes = "\xFF\n";
  details.title = "A \"title\"";
  details.tags = {"one", "два"};
  details.modified_ms = -5;
  details.testimony = TestimonyFacts{"Wolf", "be", "2024-02-29", "", "spoken"};
  {
    Transaction transaction(store.database());
    EXPECT_EQ(store.next_number(RecordKind::kTestimony), 1);
    const auto change = store.add_version({kT1, 1, details, "hello"}, bytes_of("hello"), stamp());
    EXPECT_TRUE(verify_change(id, change, signer.signing.verify_key()));
    EXPECT_EQ(store.next_number(RecordKind::kTestimony), 2);
    EXPECT_EQ(store.next_number(RecordKind::kEvidence), 1);
    transaction.commit();
  }
  const auto records = store.records();
  ASSERT_EQ(records.size(), 1u);
  const auto& version = records[0].newest();
  EXPECT_EQ(version.record, kT1);
  EXPECT_EQ(version.added_by, signer.id);
  EXPECT_EQ(version.added_ms, 1'700'000'000'000);
  EXPECT_EQ(version.details, details);
  EXPECT_EQ(std::get<Bytes>(store.content(version)), bytes_of("hello"));
  EXPECT_EQ(store.record(kT1)->newest().details, details);
  EXPECT_EQ(store.record(kE1), std::nullopt);
  EXPECT_EQ(store.head().count, 1u);
  EXPECT_EQ(store.change(1).hash, store.head().hash);
}

TEST_F(CaseDatabase, KeepsWhereABodyIs) {
  const auto content = noise(100'000);
  const BodyRef ref{std::string(32, 'a'), FileKey::random()};
  {
    Transaction transaction(store.database());
    store.add_version({kE1, 1, details_of("big", content), ""}, BodyRef{ref.name, ref.key.clone()}, stamp());
    transaction.commit();
  }
  const auto found = store.content(store.record(kE1)->newest());
  EXPECT_EQ(std::get<BodyRef>(found).name, ref.name);
  EXPECT_TRUE(equal_constant_time(std::get<BodyRef>(found).key.expose_secret(), ref.key.expose_secret()));
  EXPECT_TRUE(store.is_body_referenced(ref.name));
  EXPECT_FALSE(store.is_body_referenced(std::string(32, 'b')));
  EXPECT_EQ(store.body_names(), std::vector{ref.name});
}

TEST_F(CaseDatabase, FindsContentInAnyVersion) {
  add(kE1, 1, "a.txt", "first");
  add(kE1, 2, "a.txt", "second");
  add(kE2, 1, "b.txt", "third");
  EXPECT_EQ(store.find_content(sha256(as_bytes("first")))->version, 1);
  EXPECT_EQ(store.find_content(sha256(as_bytes("second")))->version, 2);
  EXPECT_EQ(store.find_content(sha256(as_bytes("third")))->record, kE2);
  EXPECT_EQ(store.find_content(sha256(as_bytes("fourth"))), std::nullopt);
}

TEST_F(CaseDatabase, OrdersEvidenceFirst) {
  add(kT1, 1, "t", "t");
  add(kE2, 1, "e2", "e2");
  add(kE1, 1, "e1", "e1");
  std::vector<RecordId> order;
  for (const auto& record : store.records()) order.push_back(record.id);
  EXPECT_EQ(order, (std::vector{kE1, kE2, kT1}));
}

// ---- Search.
struct SearchRow {
  const char* name;
  const char* query;
  bool found;
};
class CaseSearch : public CaseDatabase, public testing::WithParamInterface<SearchRow> {};

TEST_P(CaseSearch, Finds) {
  add(kT1, 1, "Показания Алёны.txt", "СВИДЕТЕЛЬ видел «чёрный» автомобиль; foo-bar baz. Naïve AND café");
  EXPECT_EQ(!hits(GetParam().query).empty(), GetParam().found);
}
constexpr SearchRow kSearchRows[] = {
    {"prefix_in_small_letters", "свидет", true},
    {"yo_as_ye", "алены", true},
    {"yo_as_yo", "АЛЁН", true},
    {"quoted_word", "черный", true},
    {"two_words", "автомобиль свидетель", true},
    {"one_word_missing", "автомобиль самолёт", false},
    {"not_inside_a_word", "видетель", false},
    {"hyphen", "foo-bar", true},
    {"other_order_than_hyphen", "bar-foo", true},
    {"diacritics", "naive cafe", true},
    {"witness", "волк", true},
    {"place", "минск", true},
    {"operator_is_a_word", "AND", true},
    {"operator_that_is_not_there", "NOT", false},
    {"syntax", "\"свидетель\" OR (", false},
    {"column_filter", "text:свидетель", false},
    {"star", "свид*", true},
    {"quote_only_syntax", "\"баз\"\" NEAR(x", false},
    {"guillemets", "«чёрный»", true},
    {"dash_between_words", "чёрный — автомобиль", true},
};
INSTANTIATE_TEST_SUITE_P(Queries, CaseSearch, testing::ValuesIn(kSearchRows), test::row_name<SearchRow>);

TEST_F(CaseDatabase, RefusesQueriesWithoutWords) {
  for (const std::string query : {"", " ", "\"*()", "\xFF", "."}) {
    EXPECT_EQ(code_of([&] { store.search(query); }), Errc::kUsage) << query;
  }
  EXPECT_EQ(code_of([&] { store.search(std::string(2000, 'a')); }), Errc::kUsage);
}

TEST_F(CaseDatabase, SearchesNewestVersionsOnly) {
  add(kE1, 1, "a.txt", "oldword");
  add(kE1, 2, "a.txt", "newword");
  EXPECT_TRUE(hits("oldword").empty());
  EXPECT_EQ(hits("newword"), std::vector<std::string>{"E-1"});
}

// ---- Copying and withdrawal.
TEST_F(CaseDatabase, CopyHoldsEverything) {
  add(kE1, 1, "a.txt", "apple");
  add(kT1, 1, "t.txt", "pear");
  const auto target = copy("copy.db", std::nullopt);
  EXPECT_EQ(target.head(), store.head());
  const auto records = target.records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].newest().details, store.record(kE1)->newest().details);
  EXPECT_EQ(std::get<Bytes>(target.content(records[1].newest())), bytes_of("pear"));
  EXPECT_EQ(hits(target, "pear"), std::vector<std::string>{"T-1"});
  EXPECT_EQ(hits(target, "apple"), std::vector<std::string>{"E-1"});
}

TEST_F(CaseDatabase, CopySearchesTextOfBodies) {
  const std::string text = "rareword " + std::string(70'000, 'x');
  auto details = details_of("long.txt", as_bytes(text));
  details.testimony = TestimonyFacts{"Wolf", "", "", "", ""};
  {
    Transaction transaction(store.database());
    store.add_version({kT1, 1, details, text}, BodyRef{std::string(32, 'a'), FileKey::random()}, stamp());
    transaction.commit();
  }
  EXPECT_EQ(hits("rareword"), std::vector<std::string>{"T-1"});
  const auto target = copy("copy.db", std::nullopt);
  EXPECT_EQ(hits(target, "rareword"), std::vector<std::string>{"T-1"});
}

TEST_F(CaseDatabase, WithdrawnContentIsLeftOut) {
  add(kE1, 1, "a.txt", "apple");
  {
    Transaction transaction(store.database());
    store.add_version({kE1, 2, details_of("big", noise(70'000)), ""}, BodyRef{std::string(32, 'a'), FileKey::random()},
                      stamp());
    transaction.commit();
  }
  add(kE2, 1, "b.txt", "pear");
  store = copy("copy.db", kE1);
  EXPECT_EQ(orphans, std::vector{std::string(32, 'a')});
  withdraw(kE1);
  const auto record = *store.record(kE1);
  EXPECT_EQ(record.versions.size(), 2u);
  EXPECT_FALSE(record.versions[0].details || record.versions[1].details);
  ASSERT_TRUE(record.withdrawal);
  EXPECT_EQ(record.withdrawal->reason, "asked for");
  EXPECT_EQ(store.find_content(sha256(as_bytes("apple"))), std::nullopt);
  EXPECT_TRUE(hits("apple").empty());
  EXPECT_EQ(hits("pear"), std::vector<std::string>{"E-2"});
  EXPECT_EQ(store.next_number(RecordKind::kEvidence), 3);
  // Once more, as a later rotation does.
  other_key = DatabaseKey::random();
  const auto target = copy("third.db", std::nullopt);
  EXPECT_EQ(target.records().size(), 2u);
  EXPECT_EQ(target.head(), store.head());
}

TEST_F(CaseDatabase, WithdrawnRecordTakesNoMore) {
  add(kE1, 1, "a.txt", "apple");
  withdraw(kE1);
  withdraw(kE1);
  EXPECT_EQ(code_of([&] { store.records(); }), Errc::kDamaged);
}

// ---- What somebody who holds the database's key could do to it.
struct TamperRow {
  const char* name;
  const char* sql;
  const char* named;
};
class CaseTampering : public CaseDatabase, public testing::WithParamInterface<TamperRow> {};

TEST_P(CaseTampering, IsFound) {
  add(kE1, 1, "a.txt", "apple");
  add(kE2, 1, "b.txt", "pear");
  store.database().execute("PRAGMA foreign_keys = OFF");
  store.database().execute(GetParam().sql);
  const auto error = error_of([&] {
    for (const auto& record : store.records()) store.content(record.newest());
  });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Errc::kDamaged);
  EXPECT_NE(std::string(error->what()).find(GetParam().named), std::string::npos) << error->what();
}
constexpr TamperRow kTamperRows[] = {
    {"details_changed", "UPDATE versions SET details = replace(details, 'a.txt', 'c.txt') WHERE change = 1", "E-1"},
    {"details_reformatted", "UPDATE versions SET details = details || ' ' WHERE change = 2", "E-2"},
    {"details_erased", "UPDATE versions SET details = NULL WHERE change = 2", "E-2"},
    {"details_swapped",
     "UPDATE versions SET details = (SELECT details FROM versions WHERE change = 1) WHERE change = 2", "E-2"},
    {"hash_column_changed", "UPDATE versions SET sha256 = zeroblob(32) WHERE change = 1", "E-1"},
    {"hash_column_erased", "UPDATE versions SET sha256 = NULL WHERE change = 1", "E-1"},
    {"record_column_changed", "UPDATE versions SET record = 9 WHERE change = 1", "E-1"},
    {"kind_column_changed", "UPDATE versions SET kind = 'T' WHERE change = 2", "E-2"},
    {"version_column_changed", "UPDATE versions SET version = 2 WHERE change = 2", "E-2"},
    {"row_deleted", "DELETE FROM versions WHERE change = 2", "E-2"},
    {"content_changed", "UPDATE contents SET data = x'00' WHERE change = 1", "E-1"},
    {"content_swapped", "UPDATE contents SET data = (SELECT data FROM contents WHERE change = 1) WHERE change = 2",
     "E-2"},
    {"content_deleted", "DELETE FROM contents WHERE change = 2", "E-2"},
    {"statement_changed", "UPDATE changes SET statement = replace(statement, 'E-2', 'E-3') WHERE number = 2",
     "change 2"},
    {"change_deleted", "DELETE FROM changes WHERE number = 1", "change 1"},
};
INSTANTIATE_TEST_SUITE_P(Rows, CaseTampering, testing::ValuesIn(kTamperRows), test::row_name<TamperRow>);

TEST_F(CaseDatabase, ForgedHashDoesNotPassForContent) {
  add(kE1, 1, "a.txt", "apple");
  auto forge = store.database().prepare("UPDATE versions SET sha256 = ?");
  const auto wanted = sha256(as_bytes("pear"));
  forge.bind(1, ByteView(wanted)).run();
  EXPECT_EQ(code_of([&] { store.find_content(wanted); }), Errc::kDamaged);
}

TEST_F(CaseDatabase, DamagedDetailsSurviveACopy) {
  add(kE1, 1, "a.txt", "apple");
  add(kE2, 1, "b.txt", "pear");
  store.database().execute("UPDATE versions SET details = '{' WHERE change = 1");
  const auto target = copy("copy.db", std::nullopt);
  EXPECT_EQ(code_of([&] { target.record(kE1); }), Errc::kDamaged);
  EXPECT_TRUE(target.record_without_details(kE1));
  EXPECT_TRUE(target.record(kE2));
}

// ---- Statements and details: what parses encodes back to the same bytes.
struct BadDetailsRow {
  const char* name;
  const char* from;
  const char* to;
};
class DetailsText : public testing::TestWithParam<BadDetailsRow> {};

TEST_P(DetailsText, IsRefused) {
  auto details = details_of("a.txt", as_bytes("x"));
  details.tags = {"t"};
  auto text = encode_details(details);
  EXPECT_EQ(parse_details(text, "E-1"), details);
  const std::string from = GetParam().from;
  ASSERT_NE(text.find(from), std::string::npos) << text;
  text.replace(text.find(from), from.size(), GetParam().to);
  EXPECT_EQ(code_of([&] { parse_details(text, "E-1"); }), Errc::kDamaged) << text;
}
constexpr BadDetailsRow kBadDetails[] = {
    {"white_space", "\"name\":", "\"name\": "},
    {"unknown_key", "\"title\":\"\"", "\"title\":\"\",\"x\":1"},
    {"missing_key", "\"size\":1,", ""},
    {"empty_name", "\"a.txt\"", "\"\""},
    {"negative_size", "\"size\":1", "\"size\":-1"},
    {"huge_size", "\"size\":1", "\"size\":9007199254740993"},
    {"fraction", "\"size\":1", "\"size\":1.5"},
    {"wrong_type", "[\"t\"]", "\"t\""},
    {"wrong_tag", "[\"t\"]", "[1]"},
    {"media_type", "text/plain", "Text/plain"},
    {"testimony", "\"testimony\":null", "\"testimony\":{}"},
    {"name_bytes", "\"name_bytes\":\"\"", "\"name_bytes\":\"f\""},
    {"escape", "a.txt", "\\u0061.txt"},
};
INSTANTIATE_TEST_SUITE_P(Rows, DetailsText, testing::ValuesIn(kBadDetails), test::row_name<BadDetailsRow>);

TEST(Details, SaltDiffers) {
  const auto details = details_of("a.txt", as_bytes("x"));
  EXPECT_NE(encode_details(details), encode_details(details));
}

TEST(CaseStatements, ParseBack) {
  CaseStatement statement{
      .case_id = random_array<16>(), .epoch = 3, .record = kT1, .version = 2, .by = random_array<16>(), .time_ms = -1};
  const auto version = encode_statement(statement);
  EXPECT_EQ(encode_statement(parse_statement(version, "x")), version);
  statement.kind = CaseStatement::Kind::kWithdraw;
  statement.reason = "\"record\":\"E-1\"";
  const auto withdrawal = encode_statement(statement);
  EXPECT_EQ(encode_statement(parse_statement(withdrawal, "x")), withdrawal);
  for (const std::string from : {"\"epoch\":3", "T-1", "withdraw"}) {
    auto bad = withdrawal;
    bad.replace(bad.find(from), from.size(), "\"epoch\":0");
    EXPECT_EQ(code_of([&] { parse_statement(bad, "x"); }), Errc::kDamaged) << bad;
  }
}

}  // namespace
}  // namespace casevault
