#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "cli/command.h"
#include "cli/help.h"

namespace casevault {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Words = std::vector<std::string>;

ParsedLine parse(const Words& words) { return parse_line(words); }

std::string refusal_of(const Words& words) {
  try {
    parse_line(words);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::kUsage);
    EXPECT_NE(error.hint(), "");
    return error.what();
  }
  return "";
}

TEST(ParseLine, FindsTheCommandAmongGlobalOptions) {
  const ParsedLine line = parse({"--vault", "list", "--json", "user", "--user=anna", "join", "boris"});
  ASSERT_NE(line.command, nullptr);
  EXPECT_STREQ(line.command->name, "user join");
  EXPECT_THAT(line.arguments.positional, ElementsAre("boris"));
  EXPECT_THAT(line.arguments.options.at("vault"), ElementsAre("list"));
  EXPECT_THAT(line.arguments.options.at("user"), ElementsAre("anna"));
  EXPECT_TRUE(line.arguments.options.contains("json"));
}

TEST(ParseLine, NothingIsNoCommand) { EXPECT_EQ(parse({}).command, nullptr); }

TEST(ParseLine, BehindDashesEverythingIsAnArgument) {
  EXPECT_THAT(parse({"add", "C-1", "--title=--", "--", "-x", "--json", "--"}).arguments.positional,
              ElementsAre("C-1", "-x", "--json", "--"));
  EXPECT_THAT(parse({"testimony", "add", "C-1", "-", "--witness", "S", "--consent", "x"}).arguments.positional,
              ElementsAre("C-1", "-"));
}

TEST(ParseLine, KeepsEveryValueOfARepeatableOption) {
  EXPECT_THAT(parse({"add", "C-1", "f", "--tag", "a", "--tag=b"}).arguments.options.at("tag"), ElementsAre("a", "b"));
}

TEST(ParseLine, AnOptionOfTheCommandsOwnHidesTheGlobalOneBehindIt) {
  const ParsedLine line = parse({"--user", "anna", "audit", "show", "--user", "boris"});
  EXPECT_THAT(line.arguments.options.at("user"), ElementsAre("anna"));
  EXPECT_THAT(line.arguments.options.at("filter-user"), ElementsAre("boris"));
}

TEST(ParseLine, HelpNeedsNothingElse) {
  EXPECT_THAT(parse({"case", "--help"}).arguments.positional, ElementsAre("case"));
  EXPECT_TRUE(parse({"case", "grant", "--help"}).arguments.options.contains("help"));
}

struct RefusedRow {
  const char* name;
  Words words;
  const char* why;
};
void PrintTo(const RefusedRow& row, std::ostream* out) { *out << row.name; }
class RefusedLine : public testing::TestWithParam<RefusedRow> {};
TEST_P(RefusedLine, SaysWhy) { EXPECT_THAT(refusal_of(GetParam().words), HasSubstr(GetParam().why)); }

INSTANTIATE_TEST_SUITE_P(
    Table, RefusedLine,
    testing::Values(RefusedRow{"unknown", {"frobnicate"}, "unknown command 'frobnicate'"},
                    RefusedRow{"a_slip", {"lsit", "C-1"}, "did you mean 'list'?"},
                    RefusedRow{"a_slip_in_a_group", {"case", "gratn"}, "did you mean 'case grant'?"},
                    RefusedRow{"half_a_command", {"case", "--json"}, "'case' needs one more word: new, list"},
                    RefusedRow{"prefix_of_a_command", {"stat"}, "unknown command 'stat'"},
                    RefusedRow{"global_before", {"--frob", "list"}, "unknown option --frob before the command"},
                    RefusedRow{"abbreviated_before", {"--vau", "x", "list"}, "unknown option --vau"},
                    RefusedRow{"abbreviated", {"list", "C-1", "--quie"}, "unknown option --quie"},
                    RefusedRow{"other_case", {"list", "C-1", "--JSON"}, "unknown option --JSON"},
                    RefusedRow{"of_another_command", {"list", "C-1", "--title", "x"}, "unknown option --title"},
                    RefusedRow{"short", {"list", "-q", "C-1"}, "unknown option -q"},
                    RefusedRow{"twice", {"list", "C-1", "--json", "--json"}, "--json is given twice"},
                    RefusedRow{
                        "before_and_behind", {"--vault", "a", "list", "C-1", "--vault", "b"}, "--vault is given twice"},
                    RefusedRow{"value_for_a_flag", {"list", "C-1", "--json=1"}, "--json takes no value"},
                    RefusedRow{"no_value", {"list", "C-1", "--vault"}, "--vault needs a value"},
                    RefusedRow{"empty_value", {"list", "C-1", "--vault="}, "--vault needs a value"},
                    RefusedRow{"option_as_value", {"list", "C-1", "--vault", "--json"}, "--vault needs a value"},
                    RefusedRow{"required", {"case", "grant", "C-1", "boris"}, "needs --right read|add|manage"},
                    RefusedRow{"too_few", {"case", "grant", "C-1", "--right", "add"}, "an argument is missing"},
                    RefusedRow{"too_many", {"list", "C-1", "C-2"}, "stray argument 'C-2'"}),
    [](const auto& info) { return info.param.name; });

TEST(CommandTable, IsComplete) {
  std::set<std::string> names;
  for (const Command& command : commands()) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name;
    EXPECT_NE(command.run, nullptr) << command.name;
    EXPECT_LE(command.min_arguments, command.max_arguments) << command.name;
    EXPECT_STRNE(command.summary, "") << command.name;
    EXPECT_STRNE(command.description, "") << command.name;
    EXPECT_EQ(find_command(command.name), &command);
    std::set<std::string> options;
    for (const Option& option : command.options) EXPECT_TRUE(options.insert(option.name).second) << option.name;
    EXPECT_THAT(overview(), HasSubstr(std::string("  ") + command.name));
    EXPECT_THAT(help_of(command), HasSubstr("Exit status:"));
  }
}

TEST(CommandTable, OptionsThatHideGlobalOnesHaveAKeyOfTheirOwn) {
  for (const Command& command : commands()) {
    for (const Option& option : command.options) {
      for (const Option& global : global_options()) {
        if (std::string_view(option.name) != global.name) continue;
        EXPECT_STRNE(option.key_or_name(), global.name) << command.name;
      }
    }
  }
}

}  // namespace
}  // namespace casevault
