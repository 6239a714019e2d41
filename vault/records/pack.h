#pragma once
#include "vault/access/case_access.h"
#include "vault/records/gather.h"

namespace casevault {

// Small contents that are not text stand in one body together where there are many of them.

/// As long as no more bytes than this wait in a batch, they go into the case database.
inline constexpr std::uint64_t kMaxLooseBytes = 1u << 20;

/// Puts a small content into the batch: into memory, or into the batch's pack.
void place_content(Batch& batch, ReadyFile& file, Bytes content, const BodyStore& bodies, const BodyNameKey& name_key);
/// No more contents follow.
void finish_pack(Batch& batch);

/// Drops the bodies of files that are known to the case already, and their parts of the pack.
void drop_known(Batch& batch, const BodyStore& bodies, const BodyNameKey& name_key);

/// Gives the contents that stand in one body with a content of `record` a body of their own, so that this one can be
/// removed. @throws Error{kDamaged} when they cannot be read: then they stay where they are.
void separate_from(const Session& session, OpenCase& open, RecordId record);

}  // namespace casevault
