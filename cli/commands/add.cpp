#include "cli/commands/commands.h"
#include "cli/commands/intake_report.h"
#include "cli/format.h"
#include "cli/session.h"

namespace casevault {
namespace {

AddOptions options_of(Invocation& call) {
  AddOptions options;
  options.title = call.value_or("title", "");
  options.tags = call.values("tag");
  options.media_type = call.value_or("media-type", "");
  if (!options.media_type.empty() && !is_media_type(options.media_type)) {
    throw Error(Errc::kUsage, "'" + options.media_type + "' is not a media type; they look like image/jpeg",
                help_hint(call.command()));
  }
  return options;
}

int run_add(Invocation& call) {
  const std::int64_t number = case_argument(call.argument(0));
  const AddOptions options = options_of(call);
  const std::vector<Path> paths(call.positional().begin() + 1, call.positional().end());
  OpenVault vault(call);
  const IntakeResult result = add_files(vault.session(), number, paths, options, intake_observer(call, "adding"));
  call.out().end_progress();
  std::string summary = count_of(result.added, "file", "files") + " added to " + case_name(number);
  if (result.already_there > 0) summary += ", " + std::to_string(result.already_there) + " already there";
  if (result.skipped > 0) summary += ", " + std::to_string(result.skipped) + " skipped";
  call.out().note(summary);
  return result.skipped == 0 ? 0 : static_cast<int>(Errc::kPartial);
}

}  // namespace

Command add_command() {
  return {
      .name = "add",
      .arguments = "CASE PATH...",
      .min_arguments = 2,
      .max_arguments = kAnyNumber,
      .summary = "add files and folders to a case, as evidence",
      .description =
          "Adds copies of files, and folders with all that is in them; the originals stay where they are. Each file "
          "becomes a\n"
          "record such as C-1/E-3, signed by you. Content that is in the case already is recognised and not added "
          "again.\n"
          "Symbolic links, devices, sockets, pipes and files that cannot be read are skipped, named, and make the "
          "status 3.\n"
          "A line is printed only when its file is safely on the disk.",
      .options = {{.name = "title", .value = "TEXT", .help = "what it is, in your words; for every file added"},
                  {.name = "tag", .value = "TEXT", .help = "a word to find it by", .repeatable = true},
                  {.name = "media-type", .value = "TYPE", .help = "such as image/jpeg; guessed if not given"}},
      .statuses = {Errc::kPartial, Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed,
                   Errc::kNotFound, Errc::kDamaged, Errc::kAuditUnavailable, Errc::kNoSpace, Errc::kInterrupted},
      .run = run_add,
      .in_guard = true,
  };
}

}  // namespace casevault
