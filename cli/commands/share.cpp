#include "vault/sharing/share.h"

#include <algorithm>

#include "cli/commands/commands.h"
#include "cli/json.h"
#include "cli/session.h"
#include "cli/text_input.h"
#include "vault/text.h"

namespace casevault {
namespace {

std::vector<std::string> contacts_of(Invocation& call) {
  std::vector<std::string> names;
  for (const std::string& word : call.values("to")) {  // names have no commas
    for (std::size_t start = 0; start <= word.size();) {
      const auto end = std::min(word.find(',', start), word.size());
      const auto name = word.substr(start, end - start);
      if (name.empty()) throw Error(Errc::kUsage, "--to is empty: whom?", help_hint(call.command()));
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
      start = end + 1;
    }
  }
  return names;
}

std::string note_of(Invocation& call, const std::string& path) {
  const TextLimit limit = {kMaxNoteToPartner, "the note is longer than a note to a partner may be",
                           "write it into a file, and add that to the case"};
  const Bytes text = read_text_input(path, limit, call.process().environment);
  if (!is_utf8(as_text(text))) throw Error(Errc::kUsage, "the note is not UTF-8 text");
  return std::string(as_text(text));
}

ShareRequest request_of(Invocation& call) {
  ShareRequest request;
  for (const std::string& word : call.positional()) request.objects.push_back(object_argument(word));
  request.contacts = contacts_of(call);
  request.out = *call.value("out");
  if (request.out.empty()) throw Error(Errc::kUsage, "--out is empty: which file?", help_hint(call.command()));
  if (const auto file = call.value("note")) request.note = note_of(call, *file);
  request.plain_names = call.has("plain-names");
  return request;
}

int run_share(Invocation& call) {
  const ShareRequest request = request_of(call);
  OpenVault vault(call);
  const ShareResult result = share_records(
      vault.session(), request,
      {.progress = [&](std::uint64_t done, std::uint64_t total) { call.out().progress("sharing", done, total); }});
  call.out().end_progress();
  for (const Shared& file : result.files) {
    if (call.json()) {
      call.out().object(
          {{"object", file.object}, {"path", file.path}, {"original_name", file.original_name}, {"size", file.size}});
      continue;
    }
    call.out().line(file.object + "  " + file.path);
    if (!file.original_name.empty())
      call.out().note(file.path + ": the name was made safe; in the vault it is " + file.original_name);
  }
  if (call.json()) {
    call.out().object({{"bundle", result.bundle}, {"sign", result.sign}, {"proofs", result.proofs}});
    return 0;
  }
  call.out().line("bundle " + result.bundle);
  if (!result.events_disclosed)
    call.out().note("the bundle tells nothing of the audit log: only an owner can disclose entries of it");
  call.out().note("with stock tools: age -d -i key.txt " + shell_word(request.out.filename().string()) +
                  " | tar x && cd bag && sha256sum -c manifest-sha256.txt && minisign -Vm tagmanifest-sha256.txt -P " +
                  result.sign + " && sha256sum -c tagmanifest-sha256.txt");
  return 0;
}

}  // namespace

Command share_command() {
  return {
      .name = "share",
      .arguments = "CASE|RECORD...",
      .min_arguments = 1,
      .max_arguments = kAnyNumber,
      .summary = "seal records for partner organisations",
      .description =
          "Writes one file that only the named contacts can open, with casevault or with age, tar, sha256sum and "
          "minisign alone:\n"
          "the newest versions, who added them, and proofs. What goes to whom is in the audit log before anything is "
          "written.\n"
          "Titles, tags and the names of those who added the records go with them. Withdrawn records are left out.",
      .options = {{.name = "to",
                   .value = "CONTACT",
                   .help = "for whom; repeat it, or separate by commas",
                   .repeatable = true,
                   .required = true},
                  {.name = "out", .value = "FILE", .help = "the bundle; must not exist", .required = true},
                  {.name = "note",
                   .value = "FILE",
                   .help = "a note to the partner, from a text file; - reads standard input"},
                  {.name = "plain-names", .value = nullptr, .help = "E-3.pdf instead of the records' own names"}},
      .statuses = {Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed, Errc::kNotFound,
                   Errc::kDamaged, Errc::kAuditUnavailable, Errc::kNoSpace, Errc::kInterrupted},
      .run = run_share,
      .in_guard = true,
  };
}

}  // namespace casevault
