#include "vault/sharing/receive.h"

#include "cli/commands/commands.h"
#include "cli/json.h"
#include "cli/session.h"

namespace casevault {
namespace {

ReceiveRequest request_of(Invocation& call) {
  ReceiveRequest request;
  request.file = call.argument(0);
  if (const auto name = call.value("into")) request.into = case_argument(*name);
  request.accept_sender = call.has("accept-sender");
  request.accept_older = call.has("accept-older");
  request.receipt = call.value_or("receipt", call.argument(0) + ".receipt");
  return request;
}

void print_record(Invocation& call, const ReceivedRecord& record) {
  if (call.json()) {
    call.out().object({{"object", record.object},
                       {"name", record.name},
                       {"origin", record.origin},
                       {"size", record.size},
                       {"already_there", record.already_there}});
    return;
  }
  call.out().line(record.object + "  " + record.name + (record.already_there ? "  (already there)" : ""));
}

std::string without_last_newline(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

void print_result(Invocation& call, const ReceiveRequest& request, const ReceiveResult& result) {
  if (call.json()) {
    call.out().object({{"bundle", result.bundle},
                       {"contact", result.contact},
                       {"person", result.person},
                       {"fingerprint", result.fingerprint},
                       {"note", result.note},
                       {"records", result.records},
                       {"already_there", result.already_there},
                       {"proofs", result.proofs},
                       {"not_checked", result.unchecked},
                       {"receipt", result.receipt_fault.empty() ? request.receipt.string() : ""}});
    return;
  }
  std::string summary = count_of(result.records, "record", "records") + " received from " + result.contact;
  if (!result.person.empty()) summary += ", shared by " + result.person;
  if (result.already_there > 0) summary += "; " + std::to_string(result.already_there) + " already there";
  call.out().note(summary);
  if (result.already_there > 0) call.out().note("what was already there stays as it was, with the origin that it had");
  if (result.proofs > 0) call.out().note(count_of(result.proofs, "entry", "entries") + " of their audit log proven");
  for (const std::string& sentence : result.unchecked) call.out().note("not checked: " + sentence);
  if (!result.note.empty()) call.out().note("their note: " + without_last_newline(result.note));
  if (result.receipt_fault.empty())
    call.out().next("send the receipt back to them: " + shell_word(request.receipt.string()));
}

int run_receive(Invocation& call) {
  const ReceiveRequest request = request_of(call);
  OpenVault vault(call);
  const ReceiveResult result = receive_bundle(
      vault.session(), request,
      {.received = [&](const ReceivedRecord& record) { print_record(call, record); },
       .progress = [&](std::uint64_t done, std::uint64_t total) { call.out().progress("receiving", done, total); }});
  call.out().end_progress();
  print_result(call, request, result);
  if (result.receipt_fault.empty()) return 0;
  call.out().warning("the records are in the vault, but the receipt could not be written: " + result.receipt_fault);
  if (!call.json()) call.out().text(result.receipt);
  return static_cast<int>(Errc::kPartial);
}

}  // namespace

Command receive_command() {
  return {
      .name = "receive",
      .arguments = "FILE",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "check a partner's bundle and take it into the vault",
      .description =
          "Checks everything first: that it is sealed to you, that a contact of yours signed it, every file, every "
          "signature and\n"
          "every proof. Only then are the records imported, with where they come from; content that the case has "
          "already is\n"
          "recognised. Interrupted while it imports, the same command goes on. A signed receipt is written for the "
          "sender.",
      .options =
          {{.name = "into",
            .value = "CASE",
            .help = "the case that takes the records; else a new one, or the one that took this case of theirs before"},
           {.name = "accept-sender",
            .value = nullptr,
            .help = "make an unknown sender a contact; only after comparing the fingerprint with them"},
           {.name = "accept-older", .value = nullptr, .help = "take a bundle that is older than one received before"},
           {.name = "receipt", .value = "FILE", .help = "where the receipt goes; else FILE.receipt beside the bundle"}},
      .statuses = {Errc::kPartial, Errc::kNoVault, Errc::kBusy, Errc::kWrongPassphrase, Errc::kNotAllowed,
                   Errc::kNotFound, Errc::kDamaged, Errc::kAuditUnavailable, Errc::kNoSpace, Errc::kInterrupted},
      .run = run_receive,
      .in_guard = true,
  };
}

}  // namespace casevault
