#include "cli/cli.h"

#include <filesystem>
#include <new>
#include <system_error>
#include <typeinfo>

#include "cli/command.h"
#include "cli/guarded.h"
#include "cli/help.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr int kDone = 0;

int status_of(Errc code) { return static_cast<int>(code); }

int dispatch(Process& process, Output& output, const std::vector<std::string>& words, ParsedLine line) {
  output.set_json(line.arguments.options.contains("json"));
  output.set_quiet(line.arguments.options.contains("quiet"));
  if (line.arguments.options.contains("help")) {
    output.text(help_of(*line.command));
    return kDone;
  }
  const auto proxy = line.arguments.options.find("proxy");
  if (proxy != line.arguments.options.end()) process.environment.proxy = proxy->second.back();
  Invocation call(process, output, *line.command, std::move(line.arguments));
  require(!process.unlocked || line.command->in_guard, "a guard was given a command that is not for it");
  const bool stays = call.has("watch");  // it goes to the guard again and again, and must outlive it
  if (line.command->in_guard && !process.unlocked && !stays) {
    if (const auto status = run_in_guard(call, words)) return *status;
  }
  return line.command->run(call);
}

int run_line(Process& process, Output& output, const std::vector<std::string>& words) {
  ParsedLine line = parse_line(words);
  if (!line.command) {
    process.err << overview();
    return status_of(Errc::kUsage);
  }
  const int status = dispatch(process, output, words, std::move(line));
  output.end_progress();
  output.flush();
  return status;
}

int report(Output& output, const Error& error) {
  output.end_progress();
  output.error(error.what());
  if (!error.hint().empty()) output.hint(error.hint());
  return status_of(error.code());
}

Error not_allowed(const std::filesystem::filesystem_error& error) {
  return {Errc::kNotAllowed, "permission denied: " + error.path1().string(),
          "it belongs to another account of this computer, or only that one may read it: ls -ld " +
              error.path1().parent_path().string()};
}

Error unexpected(const std::string& what) {
  return {Errc::kInternal, "this should not happen: " + what,
          "please report it; casevault version --verbose says what is running"};
}

}  // namespace

int run(Process& process, const std::vector<std::string>& words) {
  Output output(process);
  try {
    return run_line(process, output, words);
  } catch (const OutputClosed&) {
    return status_of(Errc::kInternal);  // whoever read our output has had enough, and knows
  } catch (const Error& error) {
    return report(output, error);
  } catch (const std::bad_alloc&) {
    return report(output, Error(Errc::kInternal, "out of memory"));
  } catch (const std::filesystem::filesystem_error& error) {
    const bool denied = error.code() == std::errc::permission_denied;
    return report(output, denied ? not_allowed(error) : unexpected(error.what()));
  } catch (const std::system_error& error) {
    return report(output, unexpected(error.what()));
  } catch (const std::exception& error) {
    return report(output, unexpected(typeid(error).name()));  // what() might quote what it stumbled over
  }
}

}  // namespace casevault
