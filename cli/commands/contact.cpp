#include "vault/sharing/contacts.h"

#include "cli/commands/commands.h"
#include "cli/json.h"
#include "cli/qr.h"
#include "cli/session.h"

namespace casevault {
namespace {

const std::vector<Errc> kStatuses = {Errc::kNoVault,          Errc::kBusy,     Errc::kWrongPassphrase,
                                     Errc::kNotAllowed,       Errc::kNotFound, Errc::kDamaged,
                                     Errc::kAuditUnavailable, Errc::kNoSpace,  Errc::kInterrupted};

std::string adding(const ContactCard& card) {
  return "casevault contact add NAME --age " + card.age + " --sign " + card.sign;
}

int run_self(Invocation& call) {
  OpenVault vault(call);
  if (call.has("renew")) renew_organisation_keys(vault.session());
  const ContactCard card = own_card(vault.session());
  if (call.json()) {
    call.out().object({{"organisation", card.organisation},
                       {"age", card.age},
                       {"sign", card.sign},
                       {"fingerprint", card.fingerprint},
                       {"log_key", card.log_key}});
    return 0;
  }
  Facts facts;
  facts.add("Organisation", card.organisation);
  facts.add("Age recipient", card.age);
  facts.add("Signing key", card.sign);
  facts.add("Fingerprint", card.fingerprint);
  facts.add("Log key", card.log_key);
  facts.print(call.out());
  if (call.out().to_terminal()) call.out().text(qr_code(card.age + " " + card.sign));
  call.out().next("a partner with casevault types: " + adding(card));
  call.out().note("let them read the eight words of the fingerprint back to you over the telephone");
  if (call.has("renew")) call.out().note("partners refuse your bundles until they have removed and added you again");
  return 0;
}

int run_add(Invocation& call) {
  const std::string age = *call.value("age");
  const std::string sign = *call.value("sign");
  fingerprint_of_keys(age, sign);  // before any passphrase is asked
  OpenVault vault(call);
  const std::string fingerprint = add_contact(vault.session(), call.argument(0), age, sign);
  if (call.json()) {
    call.out().object({{"contact", call.argument(0)}, {"fingerprint", fingerprint}});
    return 0;
  }
  call.out().line(call.argument(0) + "  " + fingerprint);
  call.out().note("compare these eight words with them by telephone before you share anything");
  call.out().next("if they differ: casevault contact remove " + shell_word(call.argument(0)));
  return 0;
}

void print_contact(Invocation& call, Table& table, const ContactView& contact) {
  if (call.json()) {
    call.out().object({{"contact", contact.name},
                       {"state", contact.removed_by.empty() ? "active" : "removed"},
                       {"age", contact.age},
                       {"sign", contact.sign},
                       {"fingerprint", contact.fingerprint},
                       {"verified_by", contact.verified_by},
                       {"since", iso_time(contact.since_ms)},
                       {"removed_by", contact.removed_by},
                       {"removed", contact.removed_by.empty() ? "" : iso_time(contact.removed_ms)},
                       {"vault_fingerprint", contact.organisation_root},
                       {"shared", contact.shared},
                       {"receipts", contact.receipts},
                       {"received", contact.received}});
    return;
  }
  const bool removed = !contact.removed_by.empty();
  table.add({contact.name, removed ? "removed by " + contact.removed_by : "active", contact.verified_by,
             time_for_people(contact.since_ms), std::to_string(contact.shared), std::to_string(contact.receipts),
             std::to_string(contact.received), contact.fingerprint});
}

int run_list(Invocation& call) {
  OpenVault vault(call);
  const auto contacts = list_contacts(vault.session());
  Table table({{"CONTACT"},
               {"STATE"},
               {"VERIFIED BY"},
               {"SINCE"},
               {"SHARED", Table::Align::kRight},
               {"RECEIPTS", Table::Align::kRight},
               {"RECEIVED", Table::Align::kRight},
               {"FINGERPRINT"}});
  for (const ContactView& contact : contacts) print_contact(call, table, contact);
  table.print(call.out());
  if (contacts.empty()) call.out().note("there are no contacts yet");
  return 0;
}

int run_remove(Invocation& call) {
  OpenVault vault(call);
  remove_contact(vault.session(), call.argument(0));
  call.out().note(call.argument(0) + " is no contact any more; what was shared with them before, they still have");
  return 0;
}

int run_receipt(Invocation& call) {
  OpenVault vault(call);
  const FiledReceipt receipt = file_receipt(vault.session(), call.argument(0));
  if (call.json()) {
    call.out().object({{"contact", receipt.contact},
                       {"bundle", receipt.bundle},
                       {"received", iso_time(receipt.received_ms)},
                       {"records", receipt.records}});
    return 0;
  }
  call.out().line(receipt.contact + " received " + count_of(receipt.records, "record", "records") + " on " +
                  time_for_people(receipt.received_ms) + " (their clock), bundle " + receipt.bundle);
  return 0;
}

}  // namespace

std::vector<Command> contact_commands() {
  return {
      {.name = "contact add",
       .arguments = "NAME",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "pin a partner organisation's keys",
       .description =
           "Keeps the two keys that a partner's `casevault contact self` prints, under a name of your choice. "
           "Your signature says\n"
           "that you compared the fingerprint. Keys change only by removing the contact and adding it again.",
       .options =
           {{.name = "age", .value = "RECIPIENT", .help = "age1..., for whom bundles are sealed", .required = true},
            {.name = "sign", .value = "KEY", .help = "RW..., the minisign key they sign with", .required = true}},
       .statuses = kStatuses,
       .run = run_add,
       .in_guard = true},
      {.name = "contact list",
       .arguments = "",
       .min_arguments = 0,
       .max_arguments = 0,
       .summary = "partner organisations, and who verified them",
       .description = "All contacts, removed ones too, with the number of bundles shared with them, receipts, and "
                      "bundles received.",
       .options = {},
       .statuses = kStatuses,
       .run = run_list,
       .in_guard = true},
      {.name = "contact remove",
       .arguments = "NAME",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "no longer share with a partner",
       .description = "Bundles from them are refused from then on. What they have, they keep.",
       .options = {},
       .statuses = kStatuses,
       .run = run_remove,
       .in_guard = true},
      {.name = "contact receipt",
       .arguments = "FILE",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "file a receipt that a partner sent back",
       .description = "Checks that a contact signed it for a bundle that was shared with them, and keeps it.",
       .options = {},
       .statuses = kStatuses,
       .run = run_receipt,
       .in_guard = true},
      {.name = "contact self",
       .arguments = "",
       .min_arguments = 0,
       .max_arguments = 0,
       .summary = "your organisation's keys, for partners",
       .description =
           "Prints what a partner needs to share with you and to check what you share: mail it, then compare "
           "the eight words\n"
           "of the fingerprint over the telephone. On a terminal with a QR code of both keys.",
       .options = {{.name = "renew",
                    .value = nullptr,
                    .help = "make new keys first: for owners, after removing a user"}},
       .statuses = kStatuses,
       .run = run_self,
       .in_guard = true},
  };
}

}  // namespace casevault
