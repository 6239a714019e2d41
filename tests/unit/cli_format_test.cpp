#include "cli/format.h"

#include <gtest/gtest.h>

#include "cli/descriptor.h"

namespace casevault {
namespace {

TEST(TimeFormat, IsUtcAndSaysSo) {
  EXPECT_EQ(time_for_people(0), "1970-01-01 00:00:00 UTC");
  EXPECT_EQ(time_for_people(1'700'000'000'250), "2023-11-14 22:13:20 UTC");
  EXPECT_EQ(iso_time(1'700'000'000'250), "2023-11-14T22:13:20.250Z");
  EXPECT_EQ(iso_time(-1), "1969-12-31T23:59:59.999Z");
}

TEST(TimeFormat, ParsesWhatItWrites) {
  EXPECT_EQ(parse_time("2023-11-14T22:13:20Z"), 1'700'000'000'000);
  EXPECT_EQ(parse_time("2023-11-14 22:13:20"), 1'700'000'000'000);
  EXPECT_EQ(parse_time("2023-11-14T22:13"), 1'699'999'980'000);
  EXPECT_EQ(parse_time("2023-11-14"), 1'699'920'000'000);
  for (const char* bad : {"", "2023", "2023-11-14T", "2023-11-14T25:00", "2023-11-14T10:60", "2023-11-14T10:00:60",
                          "2023-13-01", "2023-11-14X10:00", "14.11.2023", "2023-11-14T10:00:00+02:00", "yesterday"}) {
    EXPECT_EQ(parse_time(bad), std::nullopt) << bad;
  }
}

TEST(DateFormat, KnowsTheCalendar) {
  EXPECT_TRUE(is_date("2020-02-29"));
  for (const char* bad : {"2019-02-29", "1900-02-29", "2019-00-01", "2019-01-32", "2019-1-1", "2019-01-01 ",
                          "２019-01-01", "+019-01-01"}) {
    EXPECT_FALSE(is_date(bad)) << bad;
  }
}

TEST(SizeFormat, RoundsToTwoOrThreeDigits) {
  EXPECT_EQ(size_for_people(0), "0 B");
  EXPECT_EQ(size_for_people(999), "999 B");
  EXPECT_EQ(size_for_people(1000), "1.0 kB");
  EXPECT_EQ(size_for_people(9949), "9.9 kB");
  EXPECT_EQ(size_for_people(9951), "10 kB");
  EXPECT_EQ(size_for_people(999'499), "999 kB");
  EXPECT_EQ(size_for_people(999'500), "1.0 MB");
  EXPECT_EQ(size_for_people(300u << 20), "315 MB");
  EXPECT_EQ(size_for_people(UINT64_MAX), "18 EB");
}

struct RangeRow {
  const char* text;
  bool ok;
  std::uint64_t first;
  std::optional<std::uint64_t> last;
};
class RangeTest : public testing::TestWithParam<RangeRow> {};
TEST_P(RangeTest, IsParsedStrictly) {
  const auto range = parse_range(GetParam().text);
  ASSERT_EQ(range.has_value(), GetParam().ok) << GetParam().text;
  if (!range) return;
  EXPECT_EQ(range->first, GetParam().first);
  EXPECT_EQ(range->last, GetParam().last);
}
INSTANTIATE_TEST_SUITE_P(Table, RangeTest,
                         testing::Values(RangeRow{"0-0", true, 0, 0}, RangeRow{"2-5", true, 2, 5},
                                         RangeRow{"7-", true, 7, std::nullopt},
                                         RangeRow{"0-18446744073709551615", true, 0, UINT64_MAX}, RangeRow{"5-4"},
                                         RangeRow{""}, RangeRow{"-"}, RangeRow{"5"}, RangeRow{"-5"}, RangeRow{"+1-2"},
                                         RangeRow{"1-2-3"}, RangeRow{"1-2x"}, RangeRow{" 1-2"}, RangeRow{"0x1-2"},
                                         RangeRow{"0-18446744073709551616"}));

TEST(DisplayWidth, IsWhatATerminalTakes) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("дело"), 4u);
  EXPECT_EQ(display_width("й"), 1u);  // и and a combining breve
  EXPECT_EQ(display_width("案件"), 4u);
  EXPECT_EQ(display_width("👍"), 2u);
}

TEST(DescriptorNames, AreRecognisedExactly) {
  EXPECT_EQ(descriptor_named("/dev/fd/0"), 0);
  EXPECT_EQ(descriptor_named("/dev/fd/63"), 63);
  EXPECT_EQ(descriptor_named("/proc/self/fd/9"), 9);
  EXPECT_EQ(descriptor_named("/dev/stdin"), 0);
  for (const char* other :
       {"/dev/fd/", "/dev/fd/x", "/dev/fd/1x", "/dev/fd/-1", "/dev/fd/99999999999", "dev/fd/3", "/proc/1/fd/3"}) {
    EXPECT_EQ(descriptor_named(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace casevault
