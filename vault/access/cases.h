#pragma once
#include <string>
#include <vector>

#include "vault/access/users.h"

namespace casevault {

struct CaseMember {
  std::string name;
  Right right = Right::kRead;
  std::string granted_by;
  std::int64_t since_ms = 0;
};

struct CaseSummary {
  std::int64_t number = 0;  // C-n
  std::string title;
  Right my_right = Right::kRead;
  bool closed = false;
  std::int64_t created_ms = 0;
  std::string created_by;
  std::uint64_t changes = 0;  // length of its signed chain
};

struct CaseDetails {
  CaseSummary summary;
  std::vector<CaseMember> members;
  std::size_t records = 0;
  std::size_t withdrawn = 0;
  std::uint32_t key_epoch = 0;
};

/// Owners and members, not auditors. Returns its number. `title` is 1 to 200 bytes of UTF-8.
std::int64_t new_case(Session& session, const std::string& title);
/// The cases the user may read.
std::vector<CaseSummary> list_cases(Session& session);
CaseDetails show_case(Session& session, std::int64_t number);
/// Manage right needed. Raising or lowering a right is the same call; lowering rotates nothing: use revoke_case for
/// that.
void grant_case(Session& session, std::int64_t number, const std::string& user, Right right);
/// Manage right needed; not the last manager. Rotates the case key.
RemovalReport revoke_case(Session& session, std::int64_t number, const std::string& user);
/// Manage right needed. A closed case can be read, exported and withdrawn from, not added to.
void close_case(Session& session, std::int64_t number);

}  // namespace casevault
