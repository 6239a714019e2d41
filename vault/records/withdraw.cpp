#include "vault/access/session_keys.h"
#include "vault/records/objects.h"
#include "vault/records/pack.h"
#include "vault/records/reading.h"
#include "vault/text.h"

namespace casevault {
namespace {

constexpr std::size_t kMaxReasonSize = 2000;  // bytes

// Damaged details must not keep a record from being withdrawn, so they are not looked at.
std::optional<Withdrawal> withdrawal_of(const OpenCase& open, RecordId id) {
  const auto record = open.store.record_without_details(id);
  if (!record)
    throw Error(Errc::kNotFound, "there is no record " + record_label(open.number, id),
                "casevault list " + case_label(open.number));
  return record->withdrawal;
}

}  // namespace

void withdraw_record(Session& session, const ObjectName& object, const std::string& reason) {
  const auto id = require_record(object);
  const auto label = to_string(object);
  if (reason.empty() || reason.size() > kMaxReasonSize || !is_utf8(reason)) {
    throw Error(Errc::kUsage, "the reason is 1 to 2000 bytes of UTF-8 text");
  }
  auto open = open_case(session, object.case_number, Right::kManage, "withdraw", label);
  const auto withdrawal = withdrawal_of(open, id);
  if (withdrawal) throw Error(Errc::kUsage, label + " was withdrawn already, on " + to_date(withdrawal->time_ms));
  session.record("withdraw", label, "begun");
  const ExclusiveAccess exclusive(session);  // its neighbours must not change between being read and being moved
  separate_from(session, open, id);
  rotate_case(session, open, {.left_out = id, .extra = [&](CaseStore& target, const CaseStamp& stamp) {
                                target.add_withdrawal(id, reason, stamp);
                              }});
  session.record("withdraw", label);
}

}  // namespace casevault
