#include "vault/sharing/share.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "crypto/age.h"
#include "crypto/encoding.h"
#include "crypto/random.h"
#include "vault/access/session_keys.h"
#include "vault/audit/proof.h"
#include "vault/records/content.h"
#include "vault/records/export_folder.h"
#include "vault/records/objects.h"
#include "vault/records/reading.h"
#include "vault/records/selection.h"
#include "vault/records/statement.h"
#include "vault/sharing/bag.h"
#include "vault/sharing/bundle.h"
#include "vault/sharing/bundle_reader.h"
#include "vault/sharing/custody_hops.h"
#include "vault/sharing/organisation.h"
#include "vault/sharing/payload_names.h"
#include "vault/sharing/tar.h"
#include "vault/storage/json.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr const char* kTopFolder = "bag";
constexpr std::size_t kWriteSize = 1u << 20;  // bytes written at once
constexpr std::size_t kMaxProofs = 500;

struct TagFile {
  std::string path;
  std::string content;
};

/// An age file that appears under its name when it is finished, and leaves nothing when it is not.
class OutputFile {
 public:
  explicit OutputFile(const Path& target)
      : target_(target),
        partial_(target.parent_path() / ("." + to_hex(random_array<8>()) + ".partial")),
        file_(File::create_new(partial_)) {}
  ~OutputFile() {
    if (published_) return;
    try {
      remove_file(partial_);
    } catch (const Error&) {
      // What stays is sealed and cut off, and is called so.
    }
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(ByteView sealed) {
    buffer_.insert(buffer_.end(), sealed.begin(), sealed.end());
    if (buffer_.size() >= kWriteSize) flush();
  }
  void publish() {
    flush();
    file_.sync();
    publish_file(partial_, target_);
    published_ = true;
  }

 private:
  void flush() {
    file_.write_at(written_, buffer_);
    file_.start_writeback(written_, buffer_.size());
    written_ += buffer_.size();
    buffer_.clear();
  }
  Path target_;
  Path partial_;
  File file_;
  Bytes buffer_;
  std::uint64_t written_ = 0;
  bool published_ = false;
};

/// Partners could not receive it.
void refuse_too_large(const std::vector<TagFile>& files) {
  std::uint64_t sum = 0;
  bool too_large = files.size() > kMaxTagFiles;
  for (const auto& file : files) {
    sum += file.content.size();
    too_large = too_large || file.content.size() > kMaxBundleFileSize;
  }
  if (too_large || sum > kMaxTagBytes)
    throw Error(Errc::kUsage, "there is too much to tell of so many records in one bundle", "share them in several");
}

/// One run of `share`.
class Share {
 public:
  Share(Session& session, const ShareRequest& request, const ShareObserver& observer)
      : session_(session),
        request_(request),
        observer_(observer),
        ring_(open_organisation_keys(session, "share")),
        selection_(session, request.objects, "share") {}
  ShareResult run();

 private:
  void find_contacts();
  void refuse_target() const;
  void describe();
  std::vector<UserId> own_people() const;
  void collect_vaults();
  BundleRecord describe(const Selection::Item& item, const std::string& path);
  void prove_events();
  std::vector<CustodyEvent> find_events(const RoleKeys& role_keys);
  void compose();
  void announce();
  void write();
  CustodyReport report() const;
  CustodyRecord report_of(std::size_t index, const std::map<VaultId, ForeignVault>& vaults) const;
  const OrganisationKeys& keys() const { return ring_.back(); }

  Session& session_;
  const ShareRequest& request_;
  const ShareObserver& observer_;
  const OrganisationKeyRing ring_;
  const Selection selection_;
  std::vector<AgeRecipient> recipients_;
  std::string objects_;  // for the audit log
  std::vector<std::string> paths_;
  std::map<VaultId, std::map<std::uint64_t, SignedStatement>> foreign_;  // certificates of earlier vaults, by number
  std::map<VaultId, VerifyKey> foreign_roots_;
  Bundle bundle_;
  std::optional<SignedNote> checkpoint_;
  std::vector<CustodyEvent> events_;
  std::set<UserId> event_people_;
  std::vector<TagFile> tags_;  // in the order in which they stand in the tar
  BundleId id_{};
  std::uint64_t done_bytes_ = 0;
  ShareResult result_;
};

ShareResult Share::run() {
  find_contacts();
  refuse_target();
  if (selection_.items().empty())
    throw Error(Errc::kUsage, "there is nothing to share: " + objects_ + " holds no record");
  if (selection_.items().size() > kMaxBundleRecords) {
    throw Error(Errc::kUsage, "these are more than " + std::to_string(kMaxBundleRecords) + " records",
                "share them in several bundles");
  }
  session_.record("share", objects_, "begun");
  describe();
  prove_events();
  collect_vaults();
  compose();
  announce();
  write();
  session_.record("share", objects_);
  result_.bundle = to_hex(id_);
  result_.sign = bundle_.sign;
  return std::move(result_);
}

void Share::find_contacts() {
  objects_ = selection_.objects();
  const auto& sharing = session_.state().sharing();
  bundle_.salt = random_array<16>();
  for (const auto& name : request_.contacts) {
    const auto* contact = sharing.find_contact(name);
    if (contact == nullptr) {
      throw Error(Errc::kNotFound, "there is no contact " + escape_for_display(name), "casevault contact list");
    }
    recipients_.push_back(AgeRecipient::from_text(contact->age));
    bundle_.recipients.push_back(recipient_mark(bundle_.salt, contact->age));
    objects_ += ", " + name;
  }
  std::ranges::sort(bundle_.recipients);
}

// Before anything is logged as begun, and long before it is written.
void Share::refuse_target() const {
  if (std::filesystem::exists(std::filesystem::symlink_status(request_.out)))
    throw Error(Errc::kUsage, request_.out.string() + " exists already", "name another file with --out FILE");
  refuse_inside_vault(session_.folder(), request_.out, "the bundle");
  const auto folder = std::filesystem::absolute(request_.out).parent_path();
  if (!std::filesystem::is_directory(folder))
    throw Error(Errc::kUsage, "there is no folder " + folder.string(), "mkdir -p " + folder.string());
}

void Share::describe() {
  bundle_.by = session_.user_id();
  bundle_.time_ms = session_.environment().now_ms();
  bundle_.vault = session_.state().vault();
  bundle_.age = keys().public_keys().age;
  bundle_.sign = minisign_key(keys().sign.verify_key()).encode();
  bundle_.note = request_.note;
  paths_ = assign_payload_paths(selection_, request_.plain_names);
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    stop_if_interrupted(session_.environment());
    const auto& item = selection_.items()[i];
    bundle_.records.push_back(describe(item, paths_[i]));
    const auto& name = item.version.details->name;
    const bool is_renamed = paths_[i] != "data/" + case_label(item.open->number) + "/" + name;
    result_.files.push_back({record_label(item.open->number, item.version.record), paths_[i], is_renamed ? name : "",
                             item.version.details->size});
  }
}

BundleRecord Share::describe(const Selection::Item& item, const std::string& path) {
  const auto& store = item.open->store;
  const auto label = record_label(item.open->number, item.version.record);
  BundleRecord record{path, {}};
  if (const auto origin = in_case(item.open->number, [&] { return store.origin(item.version); })) {
    record.hops = hops_from_json(parse_canonical_array(origin->hops, label), label);
    for (const auto& vault : parse_canonical_array(origin->vaults, label)) {
      const auto certificates = vault_certificates_from_json(vault, label);
      foreign_roots_.emplace(certificates.vault, certificates.root);
      auto& known = foreign_[certificates.vault];
      for (const auto& statement : certificates.statements) known.emplace(statement.number, statement);
    }
  }
  const auto change = store.change(item.version.change);
  const auto previous = chain_hash_at(store.database(), change.number - 1).value_or(Sha256Digest{});
  Hop hop;
  hop.statement = SignedStatement{previous, change.number, change.signature, change.statement};
  hop.vault = session_.state().vault();
  hop.case_number = item.open->number;
  hop.details = in_case(item.open->number, [&] { return store.details_text(item.version); });
  record.hops.push_back(std::move(hop));
  return record;
}

/// Everybody of ours who signed something in the bundle, also on its way to others and back.
std::vector<UserId> Share::own_people() const {
  std::set<UserId> people{session_.user_id()};
  for (const auto& record : bundle_.records) {
    for (const auto& hop : record.hops) {
      if (hop.statement && hop.vault == bundle_.vault)
        people.insert(parse_statement(hop.statement->statement, record.path).by);
    }
  }
  people.insert(event_people_.begin(), event_people_.end());
  return {people.begin(), people.end()};
}

void Share::collect_vaults() {
  bundle_.vaults.push_back(own_certificates(session_.catalog(), own_people()));
  for (auto& [vault, statements] : foreign_) {
    if (vault == bundle_.vault) continue;  // what came back to us: our own certificates say more
    VaultCertificates certificates{vault, foreign_roots_.at(vault), {}};
    for (auto& [number, statement] : statements) certificates.statements.push_back(std::move(statement));
    bundle_.vaults.push_back(std::move(certificates));
  }
}

/// Which entries of the audit log tell of a record's custody. Not what was shared: that would name other partners.
bool is_custody_action(std::string_view action) {
  static constexpr std::array<std::string_view, 6> kActions = {"add",     "testimony-add", "update",
                                                               "receive", "cat",           "export"};
  return std::ranges::find(kActions, action) != kActions.end();
}

void Share::prove_events() {
  session_.log().refresh();
  const auto role_keys = open_role_keys(session_.catalog(), session_.identity());
  if (!role_keys) {
    bundle_.log = session_.log().head();
    checkpoint_ = sign_log_head(bundle_.vault, bundle_.log, keys().sign);
    return;
  }
  const EntryProver prover(session_, *role_keys, keys().sign);
  bundle_.log = prover.head();
  checkpoint_ = prover.checkpoint();
  result_.events_disclosed = true;
  events_ = find_events(*role_keys);
  for (const auto& event : events_) tags_.push_back({event.proof, prover.prove(event.index)});
  result_.proofs = events_.size();
}

/// The newest of those that tell of the records' custody.
std::vector<CustodyEvent> Share::find_events(const RoleKeys& role_keys) {
  std::set<std::pair<std::int64_t, RecordId>> shared;
  for (const auto& item : selection_.items()) shared.emplace(item.open->number, item.version.record);
  const auto is_shared = [&](const RecordRun& run) {
    const auto found = shared.lower_bound({run.case_number, run.first});
    return found != shared.end() && run.holds(found->first, found->second);
  };
  std::vector<CustodyEvent> found;
  session_.log().read_all(role_keys.audit, session_.state(),
                          [&](std::uint64_t index, const std::optional<OpenedEntry>& entry) {
                            if (!entry || index >= bundle_.log.size || !is_custody_action(entry->event.action)) return;
                            if (std::ranges::none_of(record_runs(entry->event.objects), is_shared)) return;
                            if (entry->by) event_people_.insert(*entry->by);
                            found.push_back({index, entry->time_ms, entry->by ? user_name(session_, *entry->by) : "",
                                             entry->event.action, entry->event.objects, entry->event.outcome,
                                             std::string(kProofsFolder) + std::to_string(index) + ".tlog-proof"});
                          });
  if (found.size() > kMaxProofs) found.erase(found.begin(), found.end() - kMaxProofs);
  return found;
}

CustodyRecord Share::report_of(std::size_t index, const std::map<VaultId, ForeignVault>& vaults) const {
  const auto& item = selection_.items()[index];
  const auto& details = *item.version.details;
  const auto label = record_label(item.open->number, item.version.record);
  return {.path = paths_[index],
          .record = label,
          .name = details.name,
          .title = details.title,
          .media_type = details.media_type,
          .size = details.size,
          .sha256 = details.sha256,
          .hops = custody_hops(bundle_.records[index].hops, vaults, details, label)};
}

CustodyReport Share::report() const {
  CustodyReport report{.organisation = session_.state().organisation(),
                       .person = session_.user_name(),
                       .time_ms = bundle_.time_ms,
                       .sign_key = bundle_.sign,
                       .fingerprint = contact_fingerprint(bundle_.age, bundle_.sign),
                       .note = bundle_.note,
                       .log_size = bundle_.log.size,
                       .log_root = to_hex(bundle_.log.root),
                       .events_disclosed = result_.events_disclosed,
                       .records = {},
                       .events = events_};
  std::map<VaultId, ForeignVault> vaults;
  for (const auto& certificates : bundle_.vaults)
    vaults.emplace(certificates.vault, ForeignVault(certificates, "a vault"));
  for (std::size_t i = 0; i < paths_.size(); ++i) report.records.push_back(report_of(i, vaults));
  return report;
}

void Share::compose() {
  const auto custody = report();
  const PayloadOxum oxum{selection_.total_bytes(), paths_.size()};
  std::vector<BagInfoElement> info = {{"Source-Organization", escape_for_display(custody.organisation)},
                                      {"Bagging-Date", to_date(bundle_.time_ms)},
                                      {"Payload-Oxum", encode_payload_oxum(oxum)},
                                      {"Bag-Software-Agent", "casevault"}};
  std::vector<ManifestEntry> payload;
  for (std::size_t i = 0; i < paths_.size(); ++i)
    payload.push_back({paths_[i], selection_.items()[i].version.details->sha256});

  std::vector<TagFile> files = {
      {std::string(kBagDeclarationPath), encode_bag_declaration()},
      {std::string(kBagInfoPath), encode_bag_info(info)},
      {std::string(kManifestPath), encode_manifest(ManifestKind::kPayload, payload)},
      {std::string(kBundlePath), encode_bundle(sign_bundle(bundle_, session_.identity().signing))},
      {std::string(kCheckpointPath), checkpoint_->encode()},
      {std::string(kCustodyJsonPath), custody_jsonld(custody)},
      {std::string(kCustodyPagePath), custody_html(custody)}};
  std::ranges::move(tags_, std::back_inserter(files));
  std::vector<ManifestEntry> tag_entries;
  tag_entries.reserve(files.size());
  for (const auto& file : files) tag_entries.push_back({file.path, sha256(as_bytes(file.content))});
  const auto tag_manifest = encode_manifest(ManifestKind::kTag, tag_entries);
  id_ = sha256(as_bytes(tag_manifest));
  const auto signature = MinisignSignature::sign(
      keys().sign, minisign_key(keys().sign.verify_key()).id, minisign_digest(as_bytes(tag_manifest)),
      "timestamp:" + std::to_string(bundle_.time_ms / 1000) + "\tfile:" + std::string(kTagManifestPath));
  refuse_too_large(files);
  // What tells of all the rest comes first, so that a reader can check each file as it comes.
  tags_ = {{std::string(kTagManifestPath), tag_manifest}, {std::string(kTagSignaturePath), signature.encode()}};
  std::ranges::move(files, std::back_inserter(tags_));
}

// What goes out is in the log, and in the catalogue by name and hash, before there is a byte of it.
void Share::announce() {
  Catalog::Update update(session_.catalog());
  for (std::size_t i = 0; i < request_.contacts.size(); ++i) {
    const auto* contact = update.state().sharing().find_contact(request_.contacts[i]);
    if (contact == nullptr || contact->age != recipients_[i].text())
      throw Error(Errc::kBusy, "the contact " + request_.contacts[i] + " was changed by another process",
                  "casevault contact list");
  }
  auto statement = new_statement(session_, "share");
  statement["bundle"] = to_hex(id_);
  statement["contacts"] = request_.contacts;
  update.append(statement, session_.identity().signing);
  update.commit();
  const auto hash = to_hex(id_);
  session_.record("share", "bundle " + hash.substr(0, 32) + ", " + hash.substr(32), "begun");
}

void Share::write() {
  OutputFile file(std::filesystem::absolute(request_.out));
  AgeWriter age(recipients_, [&](ByteView sealed) { file.write(sealed); });
  TarWriter tar([&](ByteView plain) { age.write(plain); }, kTopFolder, bundle_.time_ms / 1000);
  for (const auto& tag : tags_) {
    tar.begin_file(tag.path, tag.content.size());
    tar.write(as_bytes(tag.content));
    tar.end_file();
  }
  ContentOpener contents(session_);
  HashingThread hashing;
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    const auto& item = selection_.items()[i];
    tar.begin_file(paths_[i], item.version.details->size);
    contents.open(*item.open, item.version).read_all(hashing, [&](std::uint64_t, ByteView block) {
      stop_if_interrupted(session_.environment());
      tar.write(block);
      done_bytes_ += block.size();
      if (observer_.progress) observer_.progress(done_bytes_, selection_.total_bytes());
    });
    tar.end_file();
  }
  tar.finish();
  age.finish();
  file.publish();
}

}  // namespace

ShareResult share_records(Session& session, const ShareRequest& request, const ShareObserver& observer) {
  if (session.role() == Role::kAuditor) session.refuse("share", "", "auditors read; they share nothing");
  return Share(session, request, observer).run();
}

}  // namespace casevault
