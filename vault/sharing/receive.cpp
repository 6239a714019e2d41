#include "vault/sharing/receive.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "vault/access/new_case.h"
#include "vault/access/session_keys.h"
#include "vault/audit/log.h"
#include "vault/records/commit.h"
#include "vault/records/export_folder.h"
#include "vault/records/hashing.h"
#include "vault/records/media_type.h"
#include "vault/records/objects.h"
#include "vault/records/pack.h"
#include "vault/records/testimony.h"
#include "vault/sharing/bundle_check.h"
#include "vault/sharing/organisation.h"
#include "vault/sharing/receipt.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxCaseTitle = 200;
constexpr std::size_t kMaxCases = 100;  // of one bundle

std::vector<AgeIdentity> identities_of(const OrganisationKeyRing& ring) {
  std::vector<AgeIdentity> identities;
  for (auto keys = ring.rbegin(); keys != ring.rend(); ++keys) identities.push_back(keys->identity());
  return identities;
}

/// The sender's name of the case that a record comes from; "bag" where there are no cases.
std::string case_there(const CheckedRecord& record) {
  return record.last ? case_label(record.last->case_number) : "bag";
}

std::uint64_t size_of(const Origin& origin) { return origin.hops.size() + origin.vaults.size(); }

/// One run of `receive`: the bundle is checked whole, then read once more and imported.
class Receive {
 public:
  Receive(Session& session, const ReceiveRequest& request, const ReceiveObserver& observer)
      : session_(session),
        request_(request),
        observer_(observer),
        ring_(open_organisation_keys(session, "receive")),
        identities_(identities_of(ring_)) {}
  ReceiveResult run();

 private:
  void check();
  void refuse_repeated();
  void refuse_many_cases() const;
  void refuse_receipt() const;
  void begin();
  void pin_sender(Catalog::Update& update) const;
  nlohmann::json peer() const;
  nlohmann::json make_cases(Catalog::Update& update);
  std::optional<std::int64_t> case_of_earlier_bundle(const std::string& from) const;
  void import();
  void import_run(BundleReader& reader, std::size_t first, std::size_t last);
  void read_into(Batch& batch, const OpenCase& open, BundleReader& reader, const CheckedRecord& record);
  void read_body(Batch& batch, ReadyFile& file, const OpenCase& open, BundleReader& reader,
                 const CheckedRecord& record);
  VersionDetails details_of(const CheckedRecord& record, const Origin& origin, ByteView first_bytes) const;
  Origin origin_of(const CheckedRecord& record) const;
  void commit(Batch& batch, OpenCase& open, RecordKind kind, std::size_t first);
  void end();
  void write_receipt();
  void progress(std::uint64_t done) const {
    if (observer_.progress) observer_.progress(done, 2 * facts_.payload_bytes);  // it is read twice
  }

  Session& session_;
  const ReceiveRequest& request_;
  const ReceiveObserver& observer_;
  const OrganisationKeyRing ring_;
  const std::vector<AgeIdentity> identities_;
  BundleFacts facts_;
  std::map<std::string, CaseId> cases_;  // the sender's → ours
  HashingThread hashing_;
  std::uint64_t done_bytes_ = 0;
  ReceiveResult result_;
};

ReceiveResult Receive::run() {
  refuse_inside_vault(session_.folder(), request_.receipt, "the receipt");
  check();
  refuse_receipt();
  begin();
  import();
  end();
  return std::move(result_);
}

void Receive::check() {
  facts_ = check_bundle_file(session_, request_, identities_, [&](std::uint64_t done, std::uint64_t total) {
    if (observer_.progress) observer_.progress(done, 2 * total);
  });
  refuse_repeated();
  refuse_many_cases();
  result_.bundle = to_hex(facts_.id);
  result_.contact = facts_.sender.name;
  result_.fingerprint = contact_fingerprint(facts_.sender.age, facts_.sender.sign);
  result_.proofs = facts_.proofs;
  result_.unchecked = facts_.unchecked;
  if (!facts_.bundle) return;
  result_.note = facts_.bundle->bundle.note;
  result_.person = facts_.bundle->sender().find(facts_.bundle->bundle.by)->keys.name;
}

/// A receipt that was lost can be had again.
void Receive::refuse_repeated() {
  const auto& received = session_.state().sharing().received();
  const auto before = received.find(facts_.id);
  if (before == received.end() || !before->second.whole) return;
  std::string what =
      "this bundle was received on " + to_date(before->second.time_ms) + " already; nothing was imported";
  if (!std::filesystem::exists(std::filesystem::symlink_status(request_.receipt))) {
    write_receipt();
    if (result_.receipt_fault.empty()) what += ", but its receipt was written again: " + request_.receipt.string();
  }
  throw Error(Errc::kNotAllowed, what, "casevault case list");
}

void Receive::refuse_many_cases() const {
  std::set<std::string> cases;
  for (const auto& record : facts_.records) cases.insert(case_there(record));
  if (request_.into || cases.size() <= kMaxCases) return;
  throw Error(Errc::kUsage, "the bundle would make more than " + std::to_string(kMaxCases) + " cases",
              "put its records into one: casevault receive FILE --into CASE");
}

void Receive::refuse_receipt() const {
  if (std::filesystem::exists(std::filesystem::symlink_status(request_.receipt)))
    throw Error(Errc::kUsage, request_.receipt.string() + " exists already", "name another file with --receipt FILE");
}

// All that must be known to go on after an interruption, in one change of the catalogue. Another process may be at the
// same bundle: then both import, and each finds what the other has added.
void Receive::begin() {
  const bool is_new_contact = facts_.sender.contact == nullptr;
  if (is_new_contact) session_.record("contact-add", facts_.sender.name, "begun");
  Catalog::Update update(session_.catalog());
  const auto& sharing = update.state().sharing();
  if (const auto before = sharing.received().find(facts_.id); before != sharing.received().end()) {
    cases_ = before->second.cases;
    return;
  }
  if (is_new_contact && sharing.find_contact(facts_.sender.name) == nullptr) pin_sender(update);
  auto cases = make_cases(update);
  auto statement = new_statement(session_, "receive");
  statement["bundle"] = to_hex(facts_.id);
  statement["contact"] = facts_.sender.name;
  statement["cases"] = std::move(cases);
  statement["peer"] = peer();
  update.append(statement, session_.identity().signing);
  update.commit();
  if (is_new_contact) session_.record("contact-add", facts_.sender.name);
}

void Receive::pin_sender(Catalog::Update& update) const {
  auto statement = new_statement(session_, "contact");
  statement["name"] = facts_.sender.name;
  statement["age"] = facts_.sender.age;
  statement["sign"] = facts_.sender.sign;
  update.append(statement, session_.identity().signing);
}

nlohmann::json Receive::peer() const {
  if (!facts_.bundle) return nullptr;
  const auto& bundle = facts_.bundle->bundle;
  auto removed = nlohmann::json::array();
  for (const auto& [user, log_size] : facts_.bundle->sender().removed())
    removed.push_back({{"user", to_hex(user)}, {"log_size", log_size}});
  return {{"vault", to_hex(bundle.vault)},
          {"root", to_hex(facts_.bundle->sender().root().bytes)},
          {"log_size", bundle.log.size},
          {"log_root", to_hex(bundle.log.root)},
          {"removed", std::move(removed)}};
}

nlohmann::json Receive::make_cases(Catalog::Update& update) {
  auto list = nlohmann::json::array();
  for (const auto& record : facts_.records) {
    const auto from = case_there(record);
    if (cases_.contains(from)) continue;
    auto title = facts_.sender.name + ", " + from;
    if (title.size() > kMaxCaseTitle) title.resize(kMaxCaseTitle);
    const auto known = request_.into ? request_.into : case_of_earlier_bundle(from);
    const auto number = known ? *known : append_new_case(session_, update, title);
    const auto id = update.state().find_case(number)->id;
    cases_.emplace(from, id);
    list.push_back({{"from", from}, {"case", to_hex(id)}});
  }
  return list;
}

/// Where records of the same case of the same sender went before, if the user may still add to it.
std::optional<std::int64_t> Receive::case_of_earlier_bundle(const std::string& from) const {
  const auto& state = session_.state();
  const ReceivedBundle* newest = nullptr;
  for (const auto& [id, bundle] : state.sharing().received()) {
    if (bundle.contact != facts_.sender.name || !bundle.cases.contains(from)) continue;
    if (newest == nullptr || bundle.time_ms > newest->time_ms) newest = &bundle;
  }
  if (newest == nullptr) return std::nullopt;
  const auto* entry = state.find_case(newest->cases.at(from));
  const auto* grant = state.grant_of(*entry, session_.user_id());
  if (entry->closed || grant == nullptr || grant->right < Right::kAdd) return std::nullopt;
  return entry->number;
}

// In runs of records that go to one case and are of one kind.
void Receive::import() {
  BundleReader reader(request_.file, identities_);
  if (reader.head().id != facts_.tag_manifest) throw Error(Errc::kDamaged, "the file was changed while it was read");
  done_bytes_ = facts_.payload_bytes;
  const auto& records = facts_.records;
  const auto run_of = [](const CheckedRecord& record) {
    return std::pair(case_there(record), record.last ? record.last->record.kind : RecordKind::kEvidence);
  };
  for (std::size_t first = 0, last = 0; first < records.size(); first = last) {
    while (last < records.size() && run_of(records[last]) == run_of(records[first])) ++last;
    import_run(reader, first, last);
  }
  reader.finish();
}

void Receive::import_run(BundleReader& reader, std::size_t first, std::size_t last) {
  const auto& front = facts_.records[first];
  const auto number = session_.state().find_case(cases_.at(case_there(front)))->number;
  const auto kind = front.last ? front.last->record.kind : RecordKind::kEvidence;
  auto open = open_case_for_adding(session_, number, "receive", case_label(number));
  remove_leftovers(session_, open);
  Batch batch;
  auto begun = first;
  for (auto i = first; i < last; ++i) {
    read_into(batch, open, reader, facts_.records[i]);
    if (!batch.is_full() && i + 1 < last) continue;
    commit(batch, open, kind, begun);
    batch = {};
    begun = i + 1;
  }
}

void Receive::read_into(Batch& batch, const OpenCase& open, BundleReader& reader, const CheckedRecord& record) {
  stop_if_interrupted(session_.environment());
  if (reader.next(record.entry).size != record.size)
    throw Error(Errc::kDamaged, "the file was changed while it was read");
  ReadyFile file{.name = record.entry.path, .size = record.size, .sha256 = record.entry.digest};
  // Testimonies are searched whole; the words of what is larger are those of its details.
  const bool in_memory = record.size <= kMaxInlineSize ||
                         (record.last && record.last->details.testimony && record.size <= kMaxTestimonySize);
  if (!in_memory) return read_body(batch, file, open, reader, record);

  Bytes content(record.size);
  std::size_t size = 0;
  while (const auto count = reader.read(std::span(content).subspan(size))) {
    size += count;
    if (size == content.size()) break;
  }
  if (size != content.size() || sha256(content) != record.entry.digest)
    throw Error(Errc::kDamaged, "the file was changed while it was read");
  auto origin = origin_of(record);
  const auto details = details_of(record, origin, content);
  const bool is_inline = record.size <= kMaxInlineSize;
  const bool is_text = is_plain_text(content, false);
  file.prepared = prepare_version(details, is_text ? as_text(content) : std::string_view(), is_inline);
  file.prepared.origin = std::move(origin);
  file.name = details.name;
  if (details.testimony) {
    file.may_be_known = false;
    file.known = find_same_testimony(open, details);
  }
  batch.held_bytes += file.prepared.index_text.size() + size_of(*file.prepared.origin);
  if (is_inline) {
    place_content(batch, file, std::move(content), session_.bodies(), open.store.body_name_key());
  } else {
    file.body = batch.bodies.size();
    batch.body_bytes += content.size();
    batch.bodies.push_back(session_.bodies().create(open.store.body_name_key()));
    batch.bodies.back().write(content);
    batch.bodies.back().finish();
  }
  batch.files.push_back(std::move(file));
  done_bytes_ += size;
  progress(done_bytes_);
}

void Receive::read_body(Batch& batch, ReadyFile& file, const OpenCase& open, BundleReader& reader,
                        const CheckedRecord& record) {
  auto body = session_.bodies().create(open.store.body_name_key());
  Bytes first_bytes;
  for (;;) {
    stop_if_interrupted(session_.environment());
    const auto buffer = hashing_.buffer();
    const auto count = reader.read(buffer);
    if (count == 0) break;
    hashing_.submit(count);
    if (first_bytes.empty()) first_bytes.assign(buffer.begin(), buffer.begin() + std::min(count, kMediaTypeProbeSize));
    body.write(buffer.first(count));
    done_bytes_ += count;
    progress(done_bytes_);
  }
  if (hashing_.finish() != record.entry.digest || body.size() != record.size)
    throw Error(Errc::kDamaged, "the file was changed while it was read");
  body.finish();
  auto origin = origin_of(record);
  const auto details = details_of(record, origin, first_bytes);
  file.name = details.name;
  file.prepared = prepare_version(details, {}, false);
  file.prepared.origin = std::move(origin);
  batch.held_bytes += size_of(*file.prepared.origin);
  file.body = batch.bodies.size();
  batch.body_bytes += record.size;
  batch.bodies.push_back(std::move(body));
  batch.files.push_back(std::move(file));
}

VersionDetails Receive::details_of(const CheckedRecord& record, const Origin& origin, ByteView first_bytes) const {
  VersionDetails details;
  if (record.last) {
    details = record.last->details;
  } else {
    details.name = record.entry.path.substr(kPayloadFolder.size());
    details.media_type = guess_media_type(details.name, first_bytes);
    details.size = record.size;
    details.sha256 = record.entry.digest;
  }
  details.origin = sha256(as_bytes(origin.hops));
  return details;
}

Origin Receive::origin_of(const CheckedRecord& record) const {
  auto vaults = nlohmann::json::array();
  if (facts_.bundle) {
    for (const auto& certificates : facts_.bundle->bundle.vaults) {
      const bool is_needed = std::ranges::any_of(
          record.hops, [&](const Hop& hop) { return hop.statement && hop.vault == certificates.vault; });
      if (is_needed) vaults.push_back(to_json(certificates));
    }
  }
  return {encode_hops(record.hops), vaults.dump()};
}

void Receive::commit(Batch& batch, OpenCase& open, RecordKind kind, std::size_t first) {
  finish_pack(batch);
  const auto added = Committer(session_, open, "receive").add_records(batch, kind);
  for (std::size_t i = 0; i < added.size(); ++i) {
    const auto& record = facts_.records[first + i];
    ++result_.records;
    result_.already_there += added[i].already_there ? 1 : 0;
    const auto origin = record.last ? record_label(record.last->case_number, record.last->record) : record.entry.path;
    if (observer_.received)
      observer_.received({added[i].object, added[i].name, origin, added[i].size, added[i].already_there});
  }
}

void Receive::end() {
  Catalog::Update update(session_.catalog());
  if (!update.state().sharing().received().at(facts_.id).whole) {
    auto statement = new_statement(session_, "receive-done");
    statement["bundle"] = result_.bundle;
    update.append(statement, session_.identity().signing);
  }
  update.commit();
  session_.record("receive", "bundle " + result_.bundle.substr(0, 32) + ", " + result_.bundle.substr(32));
  write_receipt();
}

void Receive::write_receipt() {
  const Receipt receipt{facts_.id,
                        session_.state().vault(),
                        facts_.sender.sign,
                        facts_.records.size(),
                        session_.environment().now_ms(),
                        session_.log().head()};
  result_.receipt = encode_receipt(receipt, ring_.back().sign);
  try {
    write_new_file(request_.receipt, as_bytes(result_.receipt));
  } catch (const Error& error) {
    result_.receipt_fault = error.what();  // the records are there all the same
  }
}

}  // namespace

ReceiveResult receive_bundle(Session& session, const ReceiveRequest& request, const ReceiveObserver& observer) {
  if (session.role() == Role::kAuditor) session.refuse("receive", "", "auditors read; they import nothing");
  const auto object = request.into ? case_label(*request.into) : std::string();
  if (request.into) open_case(session, *request.into, Right::kAdd, "receive", object);
  session.record("receive", object, "begun");
  try {
    return Receive(session, request, observer).run();
  } catch (const Error& error) {
    if (error.code() == Errc::kDamaged || error.code() == Errc::kNotAllowed || error.code() == Errc::kNotFound)
      session.record("receive", object, "refused");
    throw;
  }
}

}  // namespace casevault
