#include "vault/sharing/bundle_check.h"

#include <algorithm>
#include <array>

#include "crypto/tlog_proof.h"
#include "vault/audit/disclosure.h"
#include "vault/records/details.h"
#include "vault/records/hashing.h"
#include "vault/records/intake.h"
#include "vault/text.h"

namespace casevault {
namespace {

[[noreturn]] void fail(const std::string& why) {
  throw Error(Errc::kDamaged, "the bundle is damaged or forged: " + why);
}

std::string shown(std::string_view path) { return "'" + escape_for_display(path) + "'"; }

// Whoever else signs the same bag sends another bundle.
BundleId stock_bundle_id(const BundleId& tag_manifest, std::string_view sign) {
  return sha256({as_bytes("casevault/v1/stock-bundle"), tag_manifest, as_bytes(sign)});
}

bool is_testimony_text(ByteView text) { return !text.empty() && is_utf8(as_text(text)); }

/// One run over a bundle.
class BundleCheck {
 public:
  BundleCheck(const Session& session, const ReceiveRequest& request, std::span<const AgeIdentity> identities)
      : session_(session),
        sharing_(session.state().sharing()),
        request_(request),
        reader_(request.file, identities),
        head_(reader_.head()) {}
  BundleFacts run(const std::function<void(std::uint64_t, std::uint64_t)>& progress);

 private:
  void find_sender();
  const Contact* find_contact_of(const MinisignSignature& signature) const;
  void refuse_unknown() const;
  bool is_signed_with(const MinisignSignature& signature, const std::string& sign) const;
  void require_signature(const MinisignSignature& signature, const std::string& sign) const;
  void check_sender();
  void check_freshness(const Peer& peer) const;
  void check_roots() const;
  void check_person();
  void check_recipients() const;
  void check_checkpoint();
  void check_proof(const BundleHead::Proof& proof, const NoteVerifier& log) const;
  void check_records();
  void take_stock_records();
  void check_payload(const std::function<void(std::uint64_t, std::uint64_t)>& progress);
  const Bundle& bundle() const { return facts_.bundle->bundle; }

  const Session& session_;
  const SharingState& sharing_;
  const ReceiveRequest& request_;
  BundleReader reader_;
  const BundleHead& head_;
  BundleFacts facts_;
};

BundleFacts BundleCheck::run(const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  if (!head_.bundle_json.empty()) facts_.bundle = check_bundle(parse_bundle(head_.bundle_json));
  find_sender();
  facts_.tag_manifest = head_.id;
  facts_.id = facts_.bundle ? head_.id : stock_bundle_id(head_.id, facts_.sender.sign);
  if (facts_.bundle) {
    check_sender();
    check_roots();
    check_recipients();
    check_checkpoint();
    check_records();
  } else {
    take_stock_records();
  }
  check_payload(progress);
  return std::move(facts_);
}

// Key ids are chosen by whoever makes a key, so several contacts may have the same one.
const Contact* BundleCheck::find_contact_of(const MinisignSignature& signature) const {
  const Contact* named = nullptr;
  for (const auto& contact : sharing_.contacts()) {
    if (!contact.active() || MinisignPublicKey::parse(contact.sign).id != signature.key_id()) continue;
    named = &contact;
    if (is_signed_with(signature, contact.sign)) break;
  }
  return named;
}

bool BundleCheck::is_signed_with(const MinisignSignature& signature, const std::string& sign) const {
  return signature.verify(MinisignPublicKey::parse(sign), minisign_digest(as_bytes(head_.tag_manifest))).has_value();
}

void BundleCheck::find_sender() {
  const auto signature = MinisignSignature::parse(head_.signature);
  if (const auto* contact = find_contact_of(signature)) {
    require_signature(signature, contact->sign);
    facts_.sender = {contact->name, contact->age, contact->sign, contact};
    return;
  }
  if (!facts_.bundle) {
    throw Error(Errc::kNotFound,
                "the bundle is signed with the minisign key " + to_text(signature.key_id()) + ", which is no contact's",
                "ask the sender for their keys, then casevault contact add NAME --age RECIPIENT --sign KEY");
  }
  require_signature(signature, bundle().sign);
  facts_.sender = {facts_.bundle->sender().organisation(), bundle().age, bundle().sign, nullptr};
  refuse_unknown();
}

void BundleCheck::require_signature(const MinisignSignature& signature, const std::string& sign) const {
  if (!is_signed_with(signature, sign)) fail("the signature on its tag manifest is not the sender's");
}

void BundleCheck::refuse_unknown() const {
  const auto& sender = facts_.sender;
  const auto words = contact_fingerprint(sender.age, sender.sign);
  const auto name = escape_for_display(sender.name);
  const bool same_vault = std::ranges::any_of(sharing_.contacts(), [&](const Contact& contact) {
    return contact.active() && contact.peer && contact.peer->vault == bundle().vault;
  });
  if (same_vault || sharing_.find_contact(sender.name) != nullptr) {
    throw Error(Errc::kDamaged,
                "the sender, " + name + ", has other keys than the contact that you verified; their fingerprint now: " +
                    words + ". Ask them over the telephone before anything else",
                "casevault contact remove NAME, and only then casevault contact add, after comparing all eight words");
  }
  if (request_.accept_sender) {
    AgeRecipient::from_text(sender.age);  // refuses what nothing can be sealed to
    if (is_own_key(sharing_, sender.age, sender.sign)) fail("it claims to be sent with your own organisation's keys");
    if (is_valid_user_name(sender.name)) return;
    throw Error(Errc::kUsage, "the sender's name cannot be a contact's",
                "casevault contact add NAME --age " + sender.age + " --sign " + sender.sign);
  }
  throw Error(
      Errc::kNotFound,
      "the sender is no contact of yours. They call themselves " + name + "; fingerprint of their keys: " + words,
      "compare the eight words with them by telephone, then repeat with --accept-sender");
}

void BundleCheck::check_sender() {
  if (facts_.sender.age != bundle().age || facts_.sender.sign != bundle().sign)
    fail("it names other keys of the sender than those you verified");
  const auto* contact = facts_.sender.contact;
  if (contact != nullptr && contact->peer && contact->peer->vault != bundle().vault) {
    fail("it comes from another vault of " + escape_for_display(contact->name) +
         " than those before; if they made a new one, remove the contact and add it again");
  }
  const auto peer = sharing_.find_peer(bundle().vault);
  if (peer) facts_.bundle->sender_to_update().learn_removals(peer->removed);
  check_person();
  if (peer) check_freshness(*peer);
}

// A vault that we know, our own included, has one root key, whoever speaks of it.
void BundleCheck::check_roots() const {
  for (const auto& [id, vault] : facts_.bundle->vaults) {
    const auto peer = sharing_.find_peer(id);
    const bool is_other = (id == session_.state().vault() && vault.root() != session_.state().root()) ||
                          (peer && peer->root != vault.root());
    if (is_other)
      fail("it tells of the vault of " + escape_for_display(vault.organisation()) + " under another root key");
  }
}

void BundleCheck::check_freshness(const Peer& peer) const {
  const auto& log = bundle().log;
  if (log.size == peer.newest.size && log.root != peer.newest.root)
    fail("it tells of another audit log than an earlier bundle: the sender's vault was forked or rolled back");
  if (log.size < peer.newest.size && !request_.accept_older) {
    throw Error(Errc::kNotAllowed,
                "the bundle is older than one that you received from " + facts_.sender.name +
                    " before; an old one may have been sent again by somebody else",
                "ask the sender; if they mean it, repeat with --accept-older");
  }
}

// Whether it was before or after the removal that they signed this only they can say: the log they cite may be an old
// copy.
void BundleCheck::check_person() {
  const auto& sender = facts_.bundle->sender();
  if (!sender.removed().contains(bundle().by)) return;
  fail(escape_for_display(sender.find(bundle().by)->keys.name) + ", who signed it, was removed from " +
       escape_for_display(sender.organisation()) +
       ": their membership was revoked; ask the organisation to share it anew");
}

void BundleCheck::check_recipients() const {
  const bool for_us = std::ranges::any_of(sharing_.own_keys(), [&](const OrganisationPublicKeys& keys) {
    return std::ranges::binary_search(bundle().recipients, recipient_mark(bundle().salt, keys.age));
  });
  if (!for_us) fail("it was made for others, and sealed to you by somebody else");
}

void BundleCheck::check_checkpoint() {
  const auto key = MinisignPublicKey::parse(facts_.sender.sign).key;
  const NoteVerifier log(log_origin(bundle().vault), key);
  const auto checkpoint = verify_checkpoint(SignedNote::parse(head_.checkpoint), log);
  if (!checkpoint || checkpoint->size != bundle().log.size || checkpoint->root != bundle().log.root)
    fail("its checkpoint is not the sender's, or of another log");
  for (const auto& proof : head_.proofs) check_proof(proof, log);
  facts_.proofs = head_.proofs.size();
  if (facts_.proofs == 0) {
    facts_.unchecked.emplace_back(
        "what happened to the records at the sender: the person who shared them could not disclose the audit log");
  }
  facts_.unchecked.emplace_back("that the sender's log is the only one it shows to anybody: no witness has signed it");
}

void BundleCheck::check_proof(const BundleHead::Proof& file, const NoteVerifier& log) const {
  const auto proof = TlogProof::parse(file.text);
  const auto disclosed = parse_disclosed(as_text(proof.unauthenticated_extra()));
  const auto proven = proof.verify(disclosed.leaf_hash(), log);
  const auto& people = facts_.bundle->sender();
  const auto entry = open_disclosed(disclosed, proven.root_before);
  const auto* person = disclosed.user ? people.find(disclosed.user->id) : nullptr;
  const bool is_sound = entry && disclosed.vault == bundle().vault && disclosed.index == proven.index &&
                        proven.checkpoint.size == bundle().log.size && proven.checkpoint.root == bundle().log.root &&
                        disclosed.user.has_value() == (person != nullptr) &&
                        (person == nullptr || person->keys == *disclosed.user);
  if (!is_sound) fail(shown(file.path) + " proves nothing");
}

void BundleCheck::check_records() {
  if (head_.payload.size() != bundle().records.size()) fail("bundle.json tells of other records than the manifest");
  for (std::size_t i = 0; i < head_.payload.size(); ++i) {
    const auto& entry = head_.payload[i];
    const auto& record = bundle().records[i];
    if (record.path != entry.path) fail("bundle.json tells of other records than the manifest");
    const auto& hop = record.hops.back();
    if (!hop.statement || hop.vault != bundle().vault) fail(shown(entry.path) + " is not vouched for by the sender");
    const auto details = parse_details(hop.details, shown(entry.path));
    auto checked = check_hops(record.hops, facts_.bundle->vaults, entry.digest, details.size, shown(entry.path));
    auto hops = record.hops;
    hops.back().bundle = facts_.id;
    facts_.records.push_back({entry, details.size, std::move(hops), std::move(checked.back())});
    facts_.payload_bytes += details.size;
  }
  const auto has_bag = std::ranges::any_of(bundle().records, [](const auto& r) { return !r.hops.front().statement; });
  if (has_bag) {
    facts_.unchecked.emplace_back(
        "that records which began in a bag made with stock tools are really of whom the next one names: nothing shows "
        "it");
  }
  if (facts_.bundle->vaults.size() > 1) {
    facts_.unchecked.emplace_back(
        "the root keys of organisations that records came through before: compare their fingerprints if it matters");
  }
}

// From an organisation with a vault it would be a way around everything that is checked of vaults. Its minisign key
// shows that it has one: the key's id follows from the key.
void BundleCheck::take_stock_records() {
  const auto key = MinisignPublicKey::parse(facts_.sender.sign);
  if (key == minisign_key(key.key)) {
    fail("it was made with stock tools, though " + escape_for_display(facts_.sender.name) +
         " shares with casevault: somebody may use their keys; ask them to share it with casevault");
  }
  for (const auto& entry : head_.payload) {
    Hop hop;
    hop.bundle = facts_.id;
    hop.path = entry.path;
    hop.sign = facts_.sender.sign;
    facts_.records.push_back({entry, 0, {std::move(hop)}, std::nullopt});
  }
  const auto oxum = payload_oxum(head_.info);
  facts_.payload_bytes = oxum ? oxum->octets : 0;
  facts_.unchecked.emplace_back(
      "who added the records and when, for whom they were sealed, and whether this is the newest: the sender used "
      "stock "
      "tools, so only their signature over the whole was checked");
}

void BundleCheck::check_payload(const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  HashingThread hashing;
  std::uint64_t done = 0;
  for (auto& record : facts_.records) {
    const auto member = reader_.next(record.entry);
    if (facts_.bundle && member.size != record.size) fail(shown(record.entry.path) + " is of another size than signed");
    record.size = member.size;
    const bool is_testimony = record.last && record.last->details.testimony;
    if (is_testimony && record.size > kMaxTestimonySize)
      fail(shown(record.entry.path) + " is too long for a testimony");
    Bytes text;  // of a testimony
    for (;;) {
      stop_if_interrupted(session_.environment());
      const auto buffer = hashing.buffer();
      const auto count = reader_.read(buffer);
      if (count == 0) break;
      hashing.submit(count);
      if (is_testimony) text.insert(text.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
      done += count;
      progress(done, facts_.payload_bytes);
    }
    if (is_testimony && !is_testimony_text(text)) fail(shown(record.entry.path) + " is a testimony, but no text");
    if (hashing.finish() != record.entry.digest) fail(shown(record.entry.path) + " is not what the manifest says");
  }
  reader_.finish();
  const auto oxum = payload_oxum(head_.info);
  if (oxum && (oxum->octets != done || oxum->streams != facts_.records.size()))
    fail("its Payload-Oxum is wrong: files are missing or too many");
  facts_.payload_bytes = done;
}

}  // namespace

BundleFacts check_bundle_file(const Session& session, const ReceiveRequest& request,
                              std::span<const AgeIdentity> identities,
                              const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) {
  return BundleCheck(session, request, identities).run(progress);
}

}  // namespace casevault
