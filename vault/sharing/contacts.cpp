#include "vault/sharing/contacts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crypto/age_keys.h"
#include "crypto/minisign.h"
#include "crypto/signed_note.h"
#include "vault/access/catalog_rotation.h"
#include "vault/access/session_keys.h"
#include "vault/access/trustees.h"
#include "vault/custody/enrolment.h"
#include "vault/records/reading.h"
#include "vault/sharing/bundle.h"
#include "vault/sharing/organisation.h"
#include "vault/sharing/receipt.h"
#include "vault/storage/catalog.h"

namespace casevault {
namespace {

void require_sharer(Session& session, std::string_view action, const std::string& object) {
  if (session.role() == Role::kAuditor) session.refuse(action, object, "auditors read; they share nothing");
}

void require_minisign_key(const std::string& sign) {
  try {
    MinisignPublicKey::parse(sign);
  } catch (const Error&) {
    throw Error(Errc::kUsage, "that is not a minisign public key; it is one line of 56 characters and begins with RW",
                "ask the partner for the output of: casevault contact self");
  }
}

const Contact& require_contact(const Session& session, const std::string& name) {
  const auto* contact = session.state().sharing().find_contact(name);
  if (contact == nullptr) throw Error(Errc::kNotFound, "there is no contact of that name", "casevault contact list");
  return *contact;
}

void require_new(const SharingState& sharing, const std::string& name, const std::string& age,
                 const std::string& sign) {
  if (sharing.find_contact(name) != nullptr) {
    throw Error(Errc::kUsage, "there is a contact of that name already: new keys replace old ones only after removing",
                "casevault contact remove " + name);
  }
  if (const auto* other = sharing.find_contact_by_sign(sign))
    throw Error(Errc::kUsage, "these are the keys of the contact " + other->name, "casevault contact list");
  if (is_own_key(sharing, age, sign))
    throw Error(Errc::kUsage, "these are your own organisation's keys", "casevault contact self");
}

ContactView view_of(const Session& session, const Contact& contact) {
  ContactView view{.name = contact.name,
                   .age = contact.age,
                   .sign = contact.sign,
                   .fingerprint = contact_fingerprint(contact.age, contact.sign),
                   .verified_by = user_name(session, contact.verified_by),
                   .since_ms = contact.since_ms};
  if (contact.peer) view.organisation_root = fingerprint(contact.peer->vault, contact.peer->root);
  if (!contact.active()) {
    view.removed_by = user_name(session, contact.removed_by);
    view.removed_ms = contact.removed_ms;
    return view;
  }
  const auto& sharing = session.state().sharing();
  for (const auto& [id, bundle] : sharing.shared()) {
    if (std::ranges::find(bundle.contacts, contact.name) == bundle.contacts.end()) continue;
    ++view.shared;
    view.receipts += bundle.receipts.count(contact.name);
  }
  view.received = static_cast<std::size_t>(std::ranges::count_if(
      sharing.received(), [&](const auto& bundle) { return bundle.second.contact == contact.name; }));
  return view;
}

/// @throws Error: kDamaged, kNotFound, as file_receipt.
FiledReceipt check_receipt(const SharingState& sharing, std::string_view text) {
  for (const auto& contact : sharing.contacts()) {
    if (!contact.active()) continue;
    const auto receipt = parse_receipt(text, MinisignPublicKey::parse(contact.sign).key);
    if (!receipt) continue;
    const auto shared = sharing.shared().find(receipt->bundle);
    const bool was_for_them = shared != sharing.shared().end() &&
                              std::ranges::find(shared->second.contacts, contact.name) != shared->second.contacts.end();
    if (!was_for_them)
      throw Error(Errc::kNotFound, "no bundle like that was shared with " + contact.name, "casevault contact list");
    return {contact.name, to_hex(receipt->bundle), receipt->time_ms, receipt->records};
  }
  parse_receipt(text, VerifyKey{});  // says so when it is none at all
  throw Error(Errc::kDamaged, "no contact of yours has signed this receipt", "casevault contact list");
}

}  // namespace

void renew_organisation_keys(Session& session) {
  if (session.role() != Role::kOwner) session.refuse("contact-renew", "", "only an owner of the vault may do this");
  auto ring = open_organisation_keys(session, "contact-renew");
  session.record("contact-renew", "", "begun");
  ring.push_back(OrganisationKeys::random());
  Catalog::Update update(session.catalog());
  for (const auto* user : update.state().active_users()) {
    const auto old = update.state().sharing().sealed_keys_of(user->keys.id);
    if (old) update.erase_blob(*old);
  }
  put_organisation_keys(update, new_statement(session, "organisation"), ring, session.identity().signing);
  append_recovery_keys(update, author_of(session), own_role_keys(session), ring);
  update.commit();
  session.record("contact-renew", "");
  renew_policies(session);  // custodians witness what the newest keys sign
}

ContactCard own_card(Session& session) {
  require_sharer(session, "contact-self", "");
  require_organisation_keys(session);
  session.record("contact-self", "");
  const auto& keys = session.state().sharing().own_keys().back();
  const auto sign = minisign_key(keys.sign).encode();
  const auto& vault = session.state().vault();
  return {session.state().organisation(), keys.age, sign, contact_fingerprint(keys.age, sign),
          NoteVerifier(log_origin(vault), keys.sign).encode()};
}

std::vector<ContactView> list_contacts(Session& session) {
  session.record("contact-list", "");
  std::vector<ContactView> views;
  for (const auto& contact : session.state().sharing().contacts()) views.push_back(view_of(session, contact));
  return views;
}

std::string fingerprint_of_keys(const std::string& age, const std::string& sign) {
  AgeRecipient::from_text(age);  // refuses what is none, or cannot be served by this build
  require_minisign_key(sign);
  return contact_fingerprint(age, sign);
}

std::string add_contact(Session& session, const std::string& name, const std::string& age, const std::string& sign) {
  require_sharer(session, "contact-add", name);
  if (!is_valid_user_name(name) || parse_object_name(name)) {
    throw Error(
        Errc::kUsage,
        "a contact's name is 1 to 64 bytes of text, without commas, control or path characters, and not like C-1",
        "casevault contact add NAME --age RECIPIENT --sign KEY");
  }
  auto fingerprint = fingerprint_of_keys(age, sign);
  session.record("contact-add", name, "begun");
  Catalog::Update update(session.catalog());
  require_new(update.state().sharing(), name, age, sign);
  auto statement = new_statement(session, "contact");
  statement["name"] = name;
  statement["age"] = age;
  statement["sign"] = sign;
  update.append(statement, session.identity().signing);
  update.commit();
  session.record("contact-add", name);
  return fingerprint;
}

void remove_contact(Session& session, const std::string& name) {
  require_sharer(session, "contact-remove", name);
  require_contact(session, name);
  session.record("contact-remove", name, "begun");
  Catalog::Update update(session.catalog());
  auto statement = new_statement(session, "contact-remove");
  statement["contact"] = name;
  update.append(statement, session.identity().signing);
  update.commit();
  session.record("contact-remove", name);
}

FiledReceipt file_receipt(Session& session, const Path& file) {
  require_sharer(session, "contact-receipt", "");
  const auto bytes = read_small_file(file, kMaxReceiptSize);
  if (!bytes) throw Error(Errc::kUsage, "there is no such file: " + file.string());
  auto filed = check_receipt(session.state().sharing(), as_text(*bytes));
  session.record("contact-receipt", filed.contact, "begun");
  Catalog::Update update(session.catalog());
  const auto shared = update.state().sharing().shared().find(*array_from_hex<32>(filed.bundle));
  if (shared->second.receipts.contains(filed.contact)) return filed;  // the same again
  auto statement = new_statement(session, "receipt");
  statement["bundle"] = filed.bundle;
  statement["contact"] = filed.contact;
  statement["receipt"] = to_hex(update.put_blob(*bytes));
  update.append(statement, session.identity().signing);
  update.commit();
  session.record("contact-receipt", filed.contact);
  return filed;
}

}  // namespace casevault
