#include "cli/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/cli.h"
#include "cli/descriptor.h"
#include "crypto/error.h"

namespace casevault {
namespace {

/// A process whose streams are strings.
struct TestProcess {
  std::ostringstream out, err;
  std::istringstream in;
  Process process{.out = out,
                  .err = err,
                  .in = in,
                  .variable = [](const char*) { return std::nullopt; },
                  .environment = {.now_ms = [] { return std::int64_t{0}; }, .interrupted = [] { return false; }}};
};

TEST(OutputTest, EscapesWhatATerminalWouldObey) {
  TestProcess test;
  Output output(test.process);
  output.line("two\nlines \x1b[31m \u202e");
  output.warning("a\rb");
  EXPECT_EQ(test.out.str(), "two\\nlines \\x1b[31m \\u202e\n");
  EXPECT_EQ(test.err.str(), "casevault: warning: a\\rb\n");
}

TEST(OutputTest, QuietDropsNotesOnly) {
  TestProcess test;
  Output output(test.process);
  output.set_quiet(true);
  output.note("a");
  output.next("b");
  output.hint("c");
  output.warning("d");
  EXPECT_EQ(test.err.str(), "casevault: hint: c\ncasevault: warning: d\n");
}

TEST(OutputTest, JsonIsOneLineAndAlwaysUtf8) {
  TestProcess test;
  Output(test.process).object({{"b", "x\ny"}, {"a", "\xff"}});
  EXPECT_EQ(test.out.str(), "{\"b\":\"x\\ny\",\"a\":\"\xEF\xBF\xBD\"}\n");
}

TEST(TableTest, AlignsByWhatIsShown) {
  TestProcess test;
  Output output(test.process);
  Table table({{"NAME"}, {"SIZE", Table::Align::kRight}, {"TITLE"}});
  table.add({"дело", "1", ""});
  table.add({"a\nb-longer", "1000", "x"});
  table.print(output);
  EXPECT_EQ(test.out.str(),
            "NAME         SIZE  TITLE\n"
            "дело            1\n"
            "a\\nb-longer  1000  x\n");
}

TEST(TableTest, PrintsNothingForNoRows) {
  TestProcess test;
  Output output(test.process);
  Table({{"NAME"}}).print(output);
  EXPECT_EQ(test.out.str(), "");
}

TEST(FactsTest, LeavesOutWhatIsEmpty) {
  TestProcess test;
  Output output(test.process);
  Facts facts;
  facts.add("Name", "x");
  facts.add("Title", "");
  facts.add("Media type", "y");
  facts.print(output);
  EXPECT_EQ(test.out.str(), "Name:        x\nMedia type:  y\n");
}

TEST(ProgressTest, IsNotDrawnOffATerminalNorAtOnce) {
  TestProcess test;
  Output(test.process).progress("adding", 1, 2);
  test.process.err_is_terminal = true;
  Output(test.process).progress("adding", 1, 2);
  EXPECT_EQ(test.err.str(), "");
}

/// Descriptors of a pipe, closed at the end.
struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() { EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0); }
  ~Pipe() {
    for (const int end : ends) close(end);
  }
};

TEST(DescriptorBufferTest, WritesEverythingInOrder) {
  Pipe pipe;
  DescriptorBuffer buffer(pipe.ends[1], [] { return false; });
  std::ostream out(&buffer);
  out << "small, " << std::string(10, 'x') << std::flush;
  std::string text(100, '\0');
  text.resize(static_cast<std::size_t>(read(pipe.ends[0], text.data(), text.size())));
  EXPECT_EQ(text, "small, xxxxxxxxxx");
  EXPECT_EQ(buffer.error(), 0);
}

TEST(DescriptorBufferTest, RemembersWhyAWriteFailed) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  DescriptorBuffer buffer(full, [] { return false; });
  std::ostream out(&buffer);
  TestProcess test;
  Process process{.out = out,
                  .err = test.err,
                  .in = test.in,
                  .variable = test.process.variable,
                  .output_error = [&] { return buffer.error(); },
                  .environment = test.process.environment};
  EXPECT_EQ(run(process, {"version"}), static_cast<int>(Errc::kNoSpace));
  EXPECT_EQ(buffer.error(), ENOSPC);
  close(full);
}

TEST(DescriptorBufferTest, AClosedPipeEndsQuietly) {
  signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  close(pipe.ends[0]);
  pipe.ends[0] = -1;
  DescriptorBuffer buffer(pipe.ends[1], [] { return false; });
  std::ostream out(&buffer);
  TestProcess test;
  Process process{.out = out,
                  .err = test.err,
                  .in = test.in,
                  .variable = test.process.variable,
                  .output_error = [&] { return buffer.error(); },
                  .environment = test.process.environment};
  EXPECT_EQ(run(process, {"help"}), static_cast<int>(Errc::kInternal));
  EXPECT_EQ(test.err.str(), "");
}

TEST(RunTest, ReportsAnErrorWithItsHintAndStatus) {
  TestProcess test;
  EXPECT_EQ(run(test.process, {"status"}), static_cast<int>(Errc::kUsage));
  EXPECT_EQ(test.out.str(), "");
  EXPECT_EQ(test.err.str(),
            "casevault: error: which vault? None was named\n"
            "casevault: hint: add --vault DIR, or say it once for this terminal: export CASEVAULT_DIR=DIR\n");
}

}  // namespace
}  // namespace casevault
