#include <gtest/gtest.h>

#include "tests/support/test_vault.h"
#include "vault/access/cases.h"
#include "vault/access/session_keys.h"
#include "vault/custody/shares.h"
#include "vault/storage/catalog.h"

namespace casevault {
namespace {

/// What is announced for deletion at the custodians is signed by nobody.
TEST(Forgetting, IsNeverOfWhatIsInUse) {
  const test::TestVault vault;
  auto session = vault.unlock("anna");
  new_case(session, "a case");
  CustodyPlan plan;
  plan.epoch = 0;  // what a vault without custody has: then all of today is "under" it
  session.keys().header.custody.push_back(plan);
  const auto announce = [&](const std::string& row) {
    Catalog::Update update(session.catalog());
    update.announce_file(row);
    update.commit();
  };
  announce("share/0/1/1");
  announce("share/0/7/1");
  announce("handover/0/1");
  announce("user-secrets/0/" + to_hex(session.user_id()));
  EXPECT_TRUE(still_to_forget(session).empty());
  announce("share/0/1/0");
  ASSERT_EQ(still_to_forget(session).size(), 1);
  EXPECT_EQ(still_to_forget(session).front().of, std::vector<std::string>{"C-1"});
}

}  // namespace
}  // namespace casevault
