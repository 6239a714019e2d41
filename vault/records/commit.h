#pragma once
#include <functional>

#include "vault/access/case_access.h"
#include "vault/records/gather.h"
#include "vault/records/intake.h"

namespace casevault {

/// Puts batches into an open case: bodies synced, then one transaction, then the head published and the audit entry
/// written. What a call returns is there to stay. A crash leaves at most bodies without a record.
class Committer {
 public:
  Committer(Session& session, OpenCase& open, std::string action)
      : session_(session), open_(open), action_(std::move(action)) {}

  /// Each file becomes a new record, unless the case has its content already.
  std::vector<Added> add_records(Batch& batch, RecordKind kind);
  /// The batch's one file becomes a version of a record, unless it is what `newest` holds already.
  Added add_version(Batch& batch, const Version& newest);

 private:
  using Rows = std::vector<CaseStore::NewRow>;
  /// Makes the bodies durable, then stores the rows that `choose` names, looking at the database as it is then.
  void write(Batch& batch, const std::function<Rows()>& choose);
  void find_known(Batch& batch);
  Added report(const ReadyFile& file, const CaseStore::Place& place, bool already_there) const;

  Session& session_;
  OpenCase& open_;
  std::string action_;
};

/// Removes bodies of this case that no record refers to: of a process that was cut off.
void remove_leftovers(const Session& session, const OpenCase& open);

}  // namespace casevault
