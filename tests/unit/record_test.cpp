#include "vault/records/record.h"

#include "tests/support/temp_folder.h"
#include "vault/environment.h"

namespace casevault {
namespace {

class WellFormedName : public testing::TestWithParam<const char*> {};
TEST_P(WellFormedName, ComesBackTheSame) {
  const auto name = parse_object_name(GetParam());
  ASSERT_TRUE(name);
  EXPECT_EQ(to_string(*name), GetParam());
}
INSTANTIATE_TEST_SUITE_P(Table, WellFormedName,
                         testing::Values("C-1", "C-10", "C-9223372036854775807", "C-1/E-3",
                                         "C-12/T-9223372036854775807"));

class MalformedName : public testing::TestWithParam<const char*> {};
TEST_P(MalformedName, IsRefused) { EXPECT_FALSE(parse_object_name(GetParam())); }
INSTANTIATE_TEST_SUITE_P(Table, MalformedName,
                         testing::Values("", "C", "C-", "C-0", "C-01", "c-1", "C-1 ", " C-1", "C1", "C--1", "C-+1",
                                         "C-1x", "C-0x1", "C-1.0", "C-9223372036854775808", "C-99999999999999999999",
                                         "E-1", "C-1/", "C-1/E", "C-1/E-", "C-1/E-0", "C-1/E-03", "C-1/e-3", "C-1/X-3",
                                         "C-1/C-3", "C-1/E-3/", "C-1/E-3 ", "C-1//E-3", "/E-3", "C-1/E-3/E-4", "C-١"));

TEST(ObjectName, HasItsParts) {
  const auto name = parse_object_name("C-7/T-12");
  ASSERT_TRUE(name && name->record);
  EXPECT_EQ(name->case_number, 7);
  EXPECT_EQ(*name->record, (RecordId{RecordKind::kTestimony, 12}));
  EXPECT_EQ(to_string(*name->record), "T-12");
}

TEST(Environment, StopsOnlyOnceInterrupted) {
  bool pressed = false;
  Environment environment;
  EXPECT_NO_THROW(stop_if_interrupted(environment)) << "no way to ask";
  environment.interrupted = [&] { return pressed; };
  EXPECT_NO_THROW(stop_if_interrupted(environment));
  pressed = true;
  EXPECT_EQ(test::code_of([&] { stop_if_interrupted(environment); }), Errc::kInterrupted);
}

}  // namespace
}  // namespace casevault
