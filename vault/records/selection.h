#pragma once
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "vault/access/case_access.h"
#include "vault/records/record.h"

namespace casevault {

/// The newest versions of the records that somebody named, each checked: signature, and the author's right.
class Selection {
 public:
  struct Item {
    const OpenCase* open = nullptr;
    Version version;
  };
  /// Cases named alone stand for all their records that were not withdrawn. Refusals are logged as `action`.
  /// @throws Error: kNotFound, also for a record that was withdrawn; kNotAllowed, kDamaged.
  Selection(Session& session, const std::vector<ObjectName>& objects, std::string_view action);
  Selection(const Selection&) = delete;
  Selection& operator=(const Selection&) = delete;

  const std::vector<Item>& items() const { return items_; }
  /// For the audit log.
  std::string objects() const;
  std::uint64_t total_bytes() const;

 private:
  struct Wanted {
    bool all = false;
    std::set<RecordId> records;
  };
  void add_case(Session& session, std::int64_t number, const Wanted& wanted, std::string_view action);

  std::map<std::int64_t, OpenCase> cases_;
  std::vector<Item> items_;
};

}  // namespace casevault
