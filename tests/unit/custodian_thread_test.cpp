#include "vault/custody/custodian_thread.h"

#include <gmock/gmock.h>

#include <latch>

#include "tests/support/test_custodian.h"

namespace casevault {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr ConnectionId kAnybody = 1;
constexpr ConnectionId kGuard = 2;
constexpr ConnectionId kCard = 3;

/// What a connection was answered, and whether the store's journal was in use then: not committed.
struct Answered {
  ConnectionId connection;
  int status;
  bool is_before_commit;
  bool operator==(const Answered&) const = default;
};
void PrintTo(const Answered& answered, std::ostream* out) {
  *out << answered.connection << ": " << answered.status << (answered.is_before_commit ? " before" : " after");
}

/// A custodian with a thread, which is given requests in one batch.
class OneBatch : public testing::Test {
 protected:
  void SetUp() override { vault.set_up(); }

  HttpRequest signed_order(const Json& statement, const std::vector<const SigningKey*>& by) const {
    return {.wire = {"POST", "/v1/orders", "", TestVault::order_body(statement, by).dump()}, .signature = {}};
  }
  HttpRequest order(const std::string& type, const std::vector<const SigningKey*>& by) const {
    return signed_order(vault.order(type), by);
  }
  HttpRequest destroy() const { return order("destroy", {&vault.cards[0], &vault.cards[1]}); }
  HttpRequest poll() const {
    const WireRequest request{"GET", "/v1/orders/wait", vault.query("?after=0&"), ""};
    return {.wire = request, .signature = sign_request(request, vault.device.key, at.now / 1000)};
  }

  /// The answers in their order.
  std::vector<Answered> answers_to(std::vector<std::pair<ConnectionId, HttpRequest>> requests) {
    std::latch begun(1);
    std::latch queued(1);
    std::vector<Answered> answers;
    const auto deliver = [&](const std::vector<Reply>& replies) {
      for (const auto& reply : replies) {
        if (reply.connection == kAnybody) {
          begun.count_down();
          queued.wait();
        } else {
          answers.push_back({reply.connection, reply.answer.status, is_open_transaction()});
        }
      }
    };
    const auto now = [this] { return at.now; };
    CustodianThread thread(std::move(*at.custodian), now, deliver, [] {});
    at.custodian.reset();
    thread.submit(kAnybody, {.wire = {"GET", "/healthz", "", ""}, .signature = {}});
    begun.wait();
    for (auto& [connection, request] : requests) thread.submit(connection, std::move(request));
    queued.count_down();
    thread.drain();
    thread.join();
    return answers;
  }
  bool is_open_transaction() const { return std::filesystem::file_size(at.data() / "store.db-journal") > 0; }

  TestCustodian at;
  TestVault vault{at};
};

TEST_F(OneBatch, TellsGuardsToDestroyBeforeTheCommit) {
  EXPECT_THAT(answers_to({{kGuard, poll()}, {kCard, destroy()}}),
              ElementsAre(Answered{kGuard, 200, true}, Answered{kCard, 200, false}));
}

TEST_F(OneBatch, TellsGuardsToLockAfterTheCommit) {
  EXPECT_THAT(answers_to({{kGuard, poll()}, {kCard, order("lock", {&vault.cards[0]})}}),
              UnorderedElementsAre(Answered{kGuard, 200, false}, Answered{kCard, 200, false}));
}

TEST_F(OneBatch, AnswersEachOnceWhereThereIsNoSpaceForTheCommit) {
  const FileSizeLimit limit(std::filesystem::file_size(at.data() / "store.db"));
  std::vector<std::pair<ConnectionId, HttpRequest>> requests;
  for (const auto& card : vault.cards) {  // orders that wait for others' signatures, and take space
    for (const auto& of : {vault.first.id, vault.second.id}) {
      for (const auto* type : {"destroy", "unlock"}) {
        const Json more = {{"reason", std::string(480, 'x')}};
        requests.emplace_back(kCard + requests.size(),
                              signed_order(vault.with(vault.order(type, "case:" + hex(of)), more), {&card}));
      }
    }
  }
  const auto last = kCard + requests.size();
  requests.emplace_back(kGuard, poll());
  requests.emplace_back(last, destroy());
  const auto answers = answers_to(std::move(requests));
  std::map<ConnectionId, int> statuses;
  for (const auto& answer : answers) EXPECT_TRUE(statuses.emplace(answer.connection, answer.status).second);
  EXPECT_EQ(answers.front(), (Answered{kGuard, 200, true}));
  EXPECT_EQ(statuses.size(), last - kCard + 2);
  EXPECT_EQ(statuses[last], 200);
  EXPECT_EQ(statuses[kCard + 1], 403) << "the unlock came again, after the destroy";
}

}  // namespace
}  // namespace casevault
