#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/test_vault.h"
#include "vault/audit/log.h"
#include "vault/records/intake.h"
#include "vault/sharing/contacts.h"
#include "vault/sharing/receive.h"
#include "vault/sharing/share.h"
#include "vault/storage/catalog.h"

namespace casevault {
namespace {

using namespace test;

/// Every n-th byte is changed, every n-th length cut. CASEVAULT_BUNDLE_EVERY=1 takes all (some minutes).
std::size_t step() {
  const char* text = std::getenv("CASEVAULT_BUNDLE_EVERY");
  return text == nullptr ? 997 : std::stoul(text);
}

/// Beta receives a small bundle of Alpha's that somebody has changed on the way. In one process and one session, so
/// that all places can be tried; tests/faults/test_bundles.py does the same with the program and looks at the disk.
class BundleHarm : public testing::Test {
 protected:
  BundleHarm() : alpha_(alpha_vault_.unlock("anna")), beta_(beta_vault_.unlock("anna")) {
    introduce(alpha_, beta_, "Beta");
    introduce(beta_, alpha_, "Alpha");
    write_file(folder_ / "scan.txt", as_bytes("Zimorodok"));
    const auto number = new_case(alpha_, "case");
    add_files(alpha_, number, {folder_ / "scan.txt"}, {}, {});
    share_records(alpha_, {.objects = {{number, std::nullopt}}, .contacts = {"Beta"}, .out = folder_ / "whole.age"},
                  {});
    bundle_ = read_file(folder_ / "whole.age");
    before_ = beta_.state().head();
  }

  static void introduce(Session& to, Session& who, const std::string& name) {
    const auto card = own_card(who);
    add_contact(to, name, card.age, card.sign);
  }

  void expect_refused(ByteView harmed, std::size_t place) {
    write_file(folder_ / "harmed.age", harmed);
    const auto code = code_of([&] {
      receive_bundle(beta_, {.file = folder_ / "harmed.age", .accept_older = true, .receipt = folder_ / "receipt"}, {});
    });
    // Not sealed to us is what a changed header may look like.
    EXPECT_TRUE(code == Errc::kDamaged || (place < kHeaderEnd && code == Errc::kNotAllowed)) << "at byte " << place;
    EXPECT_EQ(beta_.state().head(), before_) << "at byte " << place;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "receipt"));
  }

  static constexpr std::size_t kHeaderEnd = 1000;  // bytes; the age header ends before
  TempFolder folder_;
  TestVault alpha_vault_;
  TestVault beta_vault_;
  Session alpha_;
  Session beta_;
  Bytes bundle_;
  ChainHead before_;
};

TEST_F(BundleHarm, ChangedBytesAreRefused) {
  for (std::size_t place = 0; place < bundle_.size(); place += step()) {
    auto harmed = bundle_;
    harmed[place] ^= static_cast<std::byte>(1u << (place % 8));
    expect_refused(harmed, place);
  }
  EXPECT_TRUE(std::filesystem::is_empty(beta_vault_.path() / "cases"));
  RecordProperty("size", static_cast<int>(bundle_.size()));
}

TEST_F(BundleHarm, CutBundlesAreRefused) {
  for (std::size_t size = 0; size < bundle_.size(); size += step()) expect_refused(ByteView(bundle_).first(size), size);
  EXPECT_TRUE(std::filesystem::is_empty(beta_vault_.path() / "cases"));
}

TEST_F(BundleHarm, TheUnchangedOneIsReceived) {
  const auto result = receive_bundle(beta_, {.file = folder_ / "whole.age", .receipt = folder_ / "receipt"}, {});
  EXPECT_EQ(result.records, 1u);
}

}  // namespace
}  // namespace casevault
