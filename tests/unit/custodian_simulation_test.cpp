#include <deque>
#include <random>

#include "crypto/checkpoint.h"
#include "tests/support/test_custodian.h"
#include "vault/custody/custodian.h"

// A hundred thousand random events against a small model: requests that come late, twice and out of order, a clock that
// jumps, crashes that lose what was not committed, old copies of the store put back. The model forgets what was not
// committed too, but for what can never be undone.
namespace casevault {
namespace {

using namespace test;

enum class Is { kActive, kLocked, kDestroyed };

struct ScopeModel {
  Is state = Is::kActive;
  int tries = 0;
  int lifted = 0;              // by an unlock order, and still to be told
  std::int64_t stamp = 0;      // of the newest deposit
  std::int64_t confirmed = 0;  // time of the newest confirmation
  std::set<int> versions = {1};
};

struct OrderModel {
  Json statement;
  std::set<int> cards;
  int opener = 0;
  bool done = false;
};

struct VaultModel {
  Is state = Is::kActive;
  bool duress = false;
  std::map<int, ScopeModel> scopes;  // 0 and 1 users, the rest cases
  std::set<int> burned;
  std::map<std::string, OrderModel> orders;  // by statement
  std::set<std::string> done_for_ever;       // destroy and burn, by statement
};

constexpr int kUsers = 2, kScopes = 5, kDevices = 3, kCards = 3, kQuorum = 2;

void lift_tries(ScopeModel& of) {
  of.lifted += of.tries;
  of.tries = 0;
}

/// What an order does to a model, once it has its signatures.
void carry_out(VaultModel& model, const Json& statement, const std::vector<std::string>& scopes,
               const std::vector<std::string>& devices) {
  const std::string type = statement.at("type"), scope = statement.at("scope");
  const auto find = [&](const std::vector<std::string>& names) {
    return static_cast<int>(std::ranges::find(names, scope) - names.begin());
  };
  if (type == "burn") {
    model.burned.insert(find(devices));
  } else if (scope == "vault") {
    if (model.state == Is::kDestroyed) return;
    model.state = type == "lock" ? Is::kLocked : type == "unlock" ? Is::kActive : Is::kDestroyed;
    model.duress = false;
    if (type != "unlock") return;
    for (auto& [number, of] : model.scopes) {
      if (of.tries >= 10) lift_tries(of);
    }
  } else if (auto& of = model.scopes.at(find(scopes)); of.state != Is::kDestroyed) {
    of.state = type == "lock" ? Is::kLocked : type == "unlock" ? Is::kActive : Is::kDestroyed;
    if (type == "unlock") lift_tries(of);
  }
}

class Simulation {
 public:
  explicit Simulation(unsigned seed) : random_(seed), vault_(at_) {
    at_.commits = false;
    vault_.quorum = kQuorum;
    for (int i = 0; i < kDevices; ++i) devices_.emplace_back();
    users_.resize(kUsers);
    for (int i = kUsers; i < kScopes; ++i) cases_.emplace_back();
    enrol();
  }

  void run(int events) {
    for (int i = 0; i < events && !testing::Test::HasFailure(); ++i) {
      at_.now += below(100) == 0 ? below(200'000) : below(2'000);
      step();
    }
    finish();
  }
  const std::map<std::string, int>& seen() const { return seen_; }

 private:
  int below(int limit) { return std::uniform_int_distribution<int>(0, limit - 1)(random_); }
  bool chance(int percent) { return below(100) < percent; }

  // ---- Names.
  CustodyId id_of(int scope) const { return scope < kUsers ? users_[scope].id : cases_[scope - kUsers].id; }
  std::vector<std::string> scope_names() const {
    std::vector<std::string> names;
    for (int i = 0; i < kScopes; ++i) names.push_back((i < kUsers ? "user:" : "case:") + hex(id_of(i)));
    return names;
  }
  std::vector<std::string> device_names() const {
    std::vector<std::string> names;
    for (const auto& device : devices_) names.push_back("device:" + hex(device.id));
    return names;
  }

  void enrol() {
    std::swap(vault_.device, devices_[0]);
    ASSERT_EQ(word(vault_.enrol()), "200");
    JsonList others;
    for (int i = 1; i < kDevices; ++i) others.push_back(TestVault::device_json(devices_[i]));
    ASSERT_EQ(word(vault_.change_devices(others, {})), "200");
    JsonList puts;
    for (const auto& user : users_) {
      puts.push_back(vault_.put_oprf(user));
      puts.push_back(vault_.put_share(user.id, "user", user.share));
    }
    for (const auto& one : cases_) puts.push_back(vault_.put_share(one.id, "case", one.share));
    ASSERT_EQ(word(vault_.deposit(vault_.secrets(puts), vault_.owner)), "200");
    std::swap(vault_.device, devices_[0]);
    for (int i = 0; i < kScopes; ++i) now_.scopes[i].stamp = at_.now;
    commit();
  }

  // ---- The custodian's life.
  void commit() {
    at_.custodian->commit();
    committed_ = now_;
  }
  void start_again(VaultModel state, bool may_restore) {
    at_.now += kSecondMs;
    at_.custodian.reset();
    if (may_restore && chance(10) && std::filesystem::exists(backup())) {
      std::filesystem::copy(backup(), at_.data() / "store.db", std::filesystem::copy_options::overwrite_existing);
      revert_to(backed_up_);
      ++seen_["restored"];
    } else {
      revert_to(std::move(state));
    }
    at_.start();
    committed_ = now_;
    started_ = at_.now / 1000;
    highest_ = at_.now;
    sent_.clear();
  }
  // What is for ever stays, and is carried out once more.
  void revert_to(VaultModel state) {
    const auto for_ever = now_.done_for_ever;
    auto orders = std::exchange(now_, std::move(state)).orders;
    for (const auto& text : for_ever) {
      auto& order = now_.orders[text];
      if (!order.done) order = orders.at(text);
      carry_out(now_, order.statement, scope_names(), device_names());
    }
    now_.done_for_ever = for_ever;
  }
  std::filesystem::path backup() const { return at_.folder / "backup.db"; }
  void back_up() {
    commit();
    std::filesystem::copy(at_.data() / "store.db", backup(), std::filesystem::copy_options::overwrite_existing);
    backed_up_ = now_;
  }

  void step() {
    const int what = below(1000);
    if (what < 30) return commit();
    if (what < 33) return start_again(committed_, true);
    if (what < 34) return commit(), start_again(now_, true);
    if (what < 35) return back_up();
    if (what < 37) return void(at_.now += below(static_cast<int>(kDayMs)));
    if (what < 38) return void(at_.now -= below(400'000));
    if (what < 40) return at_.custodian->tick(at_.now);
    if (what < 100) return replay();
    if (what < 120) return spoil();
    if (what < 150) return wait();
    if (what < 300) return order();
    if (what < 350) return deposit();
    if (what < 700) return evaluate();
    if (what < 740) return confirm();
    release();
  }

  // ---- Requests.
  struct Sent {
    WireRequest request;
    WireSignature signature;
    std::int64_t created = 0;
  };
  /// As the device sends it, at once or a little late. nullopt when it came at the wrong time.
  std::optional<WireAnswer> send(int device, const std::string& path, const Json& body) {
    Sent sent{{"POST", path, "", vault_.body(body).dump()}, {}, at_.now / 1000};
    sent.signature = sign_request(sent.request, devices_[device].key, sent.created);
    if (chance(5)) at_.now += below(400'000);
    auto answer = at_.custodian->handle(sent.request, &sent.signature, at_.now);
    highest_ = std::max(highest_, at_.now);
    ++seen_[path + " " + word(answer)];
    if (word(answer) == "401 time" && sent.created > 0) {
      const auto now = at_.now / 1000;
      EXPECT_TRUE(sent.created < now - 300 || sent.created < started_ || at_.now < highest_) << "no reason";
      return std::nullopt;
    }
    sent_.push_back(std::move(sent));
    if (sent_.size() > 64) sent_.pop_front();
    return answer;
  }
  void replay() {
    if (sent_.empty()) return;
    const auto& sent = sent_[static_cast<std::size_t>(below(static_cast<int>(sent_.size())))];
    const auto answer = at_.custodian->handle(sent.request, &sent.signature, at_.now);
    ++seen_["replay " + word(answer)];
    EXPECT_NE(answer.status, 200) << sent.request.path << answer.body;
  }
  // One bit of a request that was never sent: nothing happens.
  void spoil() {
    WireRequest request{"POST", "/v1/evaluate", "", evaluation(below(kUsers)).dump()};
    auto signature = sign_request(request, devices_[0].key, at_.now / 1000);
    auto& part = chance(50) ? request.body : signature.signature_input;
    part[static_cast<std::size_t>(below(static_cast<int>(part.size())))] ^= static_cast<char>(1 << below(7));
    const auto answer = at_.custodian->handle(request, &signature, at_.now);
    ++seen_["spoilt " + word(answer)];
    EXPECT_NE(answer.status, 200);
  }

  // ---- What the model says.
  std::string refused(int device) const { return now_.burned.contains(device) ? "403 burned" : ""; }
  std::string refused_by_vault(int scope) const {
    if (now_.state == Is::kDestroyed) return "403 destroyed";
    const bool is_exempt = now_.duress && scope == duress_user_;
    return now_.state == Is::kLocked && !is_exempt ? "403 locked" : "";
  }
  std::string refused_by_scope(int scope) const {
    const auto& of = now_.scopes.at(scope);
    return of.state == Is::kDestroyed ? "403 destroyed" : of.state == Is::kLocked ? "403 locked" : "";
  }
  static std::string first_of(std::initializer_list<std::string> words) {
    for (const auto& word : words) {
      if (!word.empty()) return word;
    }
    return "200";
  }

  Json evaluation(int user) const {
    static const auto element = hex(generator_times(random_scalar()).bytes);
    return vault_.body({{"element", element}, {"id", hex(users_[user].id)}, {"version", 1}});
  }
  void evaluate() {
    const int user = below(kUsers), device = below(kDevices);
    const auto answer = send(device, "/v1/evaluate", evaluation(user));
    if (!answer) return;
    auto& of = now_.scopes.at(user);
    const auto expected = first_of({refused(device), refused_by_vault(user), refused_by_scope(user),
                                    of.versions.contains(1) ? "" : "404 unknown", of.tries >= 10 ? "403 tries" : ""});
    ASSERT_EQ(word(*answer), expected);
    if (answer->status != 200) return;
    ASSERT_EQ(Json::parse(answer->body).at("tries"), ++of.tries);
    ASSERT_LE(of.tries, 10);
  }

  void confirm() {
    const int user = below(kUsers), device = below(kDevices);
    const bool is_duress = below(100) == 0;
    const auto& who = users_[user];
    const auto time = at_.now;
    const auto answer = send(device, "/v1/confirm", vault_.confirm_body(who, is_duress ? who.duress : who.key));
    if (!answer) return;
    auto& of = now_.scopes.at(user);
    const auto expected =
        first_of({refused(device), refused_by_vault(user), refused_by_scope(user),
                  of.versions.contains(1) ? "" : "401 signature", time < at_.now - 300'000 ? "401 time" : "",
                  time <= of.confirmed ? "409 conflict" : ""});
    ASSERT_EQ(word(*answer), expected);
    if (answer->status != 200) return;
    ASSERT_EQ(Json::parse(answer->body).at("unconfirmed"), of.tries + of.lifted);
    of.tries = 0;
    of.lifted = 0;
    of.confirmed = time;
    if (!is_duress || now_.state != Is::kActive) return;
    now_.state = Is::kLocked;
    now_.duress = true;
    duress_user_ = user;
  }

  void release() {
    const int scope = below(kScopes), device = below(kDevices), version = 1 + below(2);
    static const auto box = hex(BoxKeyPair::random().public_key.bytes);
    const auto names = JsonList{vault_.secret_name(id_of(scope), static_cast<std::uint32_t>(version))};
    const auto answer = send(device, "/v1/release", {{"box", box}, {"secrets", names}});
    if (!answer) return;
    const bool is_whole = now_.state == Is::kDestroyed || (now_.state == Is::kLocked && !now_.duress);
    const auto whole = first_of({refused(device), is_whole ? refused_by_vault(scope) : ""});
    ASSERT_EQ(word(*answer), whole);
    if (answer->status != 200) return;
    const auto item = Json::parse(answer->body).at("released").at(0);
    const auto expected = first_of({refused_by_vault(scope), refused_by_scope(scope),
                                    now_.scopes.at(scope).versions.contains(version) ? "" : "404 unknown"});
    ASSERT_EQ(item.contains("sealed") ? "200" : item.at("error").get<std::string>(),
              expected == "200" ? expected : expected.substr(4));
    ++seen_["released " + expected];
  }

  void deposit() {
    const int scope = below(kScopes), device = below(kDevices);
    auto& of = now_.scopes.at(scope);
    const auto time = at_.now;
    const bool is_delete = of.versions.contains(2) && chance(50);
    const auto id = id_of(scope);
    const auto kind = scope < kUsers ? "user" : "case";
    const auto statement = is_delete
                               ? vault_.secrets({}, {hex(id) + "/share/2"})
                               : vault_.secrets({vault_.put_share(id, kind, random_scalar(), chance(50) ? 1 : 2)});
    const int version = is_delete ? 2 : statement.at("put").at(0).at("version").get<int>();
    const auto answer =
        send(device, "/v1/secrets", {{"deposit", TestVault::signed_by(vault_.owner, kSecretsDomain, statement)}});
    if (!answer) return;
    const auto expected =
        first_of({refused(device), refused_by_vault(-1), refused_by_scope(scope),
                  time > at_.now + 300'000 ? "401 time" : "", time <= of.stamp ? "409 conflict" : ""});
    ASSERT_EQ(word(*answer), expected);
    if (answer->status != 200) return;
    of.stamp = time;
    is_delete ? void(of.versions.erase(version)) : void(of.versions.insert(version));
  }

  // ---- Orders: new ones, more signatures for those that wait, and old ones once more.
  Json new_order() {
    const int what = below(1000);
    const auto any_scope = below(3) == 0 ? "vault" : scope_names()[static_cast<std::size_t>(below(kScopes))];
    if (what < 250) return vault_.order("lock", any_scope);
    if (what < 990) return vault_.order("unlock", any_scope);
    if (what < 994) return vault_.order("burn", device_names()[static_cast<std::size_t>(below(kDevices - 1))]);
    return vault_.order("destroy", below(20) == 0 ? "vault" : any_scope == "vault" ? scope_names()[4] : any_scope);
  }
  Json some_order() {
    if (now_.orders.empty() || chance(40)) return new_order();
    return std::next(now_.orders.begin(), below(static_cast<int>(now_.orders.size())))->second.statement;
  }
  std::string expected_of(const OrderModel& order) const {
    const std::string type = order.statement.at("type"), scope = order.statement.at("scope");
    const bool is_final = type == "destroy" || type == "burn";
    if (order.statement.at("expires").get<std::int64_t>() <= at_.now ||
        order.statement.at("issued").get<std::int64_t>() > at_.now + kDayMs)
      return "403 order";
    if (now_.state == Is::kDestroyed && !is_final) return "403 destroyed";
    const auto names = scope_names();
    const auto at = std::ranges::find(names, scope);
    if (at != names.end() && now_.scopes.at(static_cast<int>(at - names.begin())).state == Is::kDestroyed && !is_final)
      return "403 destroyed";
    return now_.orders.contains(order.statement.dump()) ? "200" : "new";
  }
  /// The first card that may bring a new order, or what it is refused with.
  std::pair<int, std::string> bringer_of(const Json& statement, const std::vector<int>& cards) const {
    const bool waits = statement.at("type") != "lock" && cards.size() < kQuorum;
    bool waits_already = false;
    for (const int card : cards) {
      int kept = 0, waiting = 0, same = 0;
      for (const auto& [text, order] : now_.orders) {
        const auto expires = order.statement.at("expires").get<std::int64_t>();
        if (order.opener != card || expires + kDayMs <= at_.now) continue;
        ++kept;
        if (order.done || expires <= at_.now) continue;
        ++waiting;
        same +=
            order.statement.at("type") == statement.at("type") && order.statement.at("scope") == statement.at("scope");
      }
      const bool has_room = !waits || (same == 0 && waiting < 4);
      if (has_room && kept < 64) return {card, "200"};
      waits_already |= !has_room;
    }
    return {0, waits_already ? "403 waiting" : "429 rate"};
  }
  void order() {
    const auto statement = some_order();
    const auto text = statement.dump();
    std::vector<int> cards{below(kCards)};
    if (chance(30)) cards.push_back((cards[0] + 1) % kCards);
    std::vector<const SigningKey*> keys;
    for (const int card : cards) keys.push_back(&vault_.cards[static_cast<std::size_t>(card)]);
    const auto known = now_.orders.find(text);
    const bool was_done = known != now_.orders.end() && known->second.done;
    auto expected = was_done ? "200" : expected_of({statement, {}, 0, false});
    int opener = cards[0];
    if (expected == "new") std::tie(opener, expected) = bringer_of(statement, cards);
    const auto answer = vault_.give(statement, keys);
    ++seen_["order " + statement.at("type").get<std::string>() + " " + word(answer)];
    ASSERT_EQ(word(answer), expected) << text;
    if (answer.status != 200) return;
    auto& order = now_.orders[text];
    if (order.cards.empty()) order = {statement, {}, opener, false};
    if (!order.done) order.cards.insert(cards.begin(), cards.end());
    const bool is_done = order.cards.size() >= (statement.at("type") == "lock" ? 1 : kQuorum);
    const auto receipt = vault_.receipt(answer);
    ASSERT_EQ(receipt.at("state"), is_done ? "done" : "waiting") << text;
    ASSERT_EQ(receipt.at("have"), order.cards.size());
    if (was_done || !is_done) return;
    order.done = true;
    carry_out(now_, statement, scope_names(), device_names());
    if (statement.at("type") == "destroy" || statement.at("type") == "burn") now_.done_for_ever.insert(text);
  }

  void wait() {
    const int device = below(kDevices);
    const WireRequest request{"GET", "/v1/orders/wait", vault_.query("?after=0&"), ""};
    const auto signature = sign_request(request, devices_[device].key, at_.now / 1000);
    const auto begun = at_.custodian->begin_wait(request, &signature, at_.now);
    highest_ = std::max(highest_, at_.now);
    if (begun.answer && word(*begun.answer) == "401 time") return;
    const bool any = std::ranges::any_of(now_.orders, [](const auto& entry) { return entry.second.done; });
    ASSERT_EQ(begun.answer.has_value(), any);
    if (!any) return;
    const auto answer = json_of(*begun.answer);
    if (now_.burned.contains(device)) {
      ASSERT_EQ(answer.at("orders").size(), 1u);
      const std::string text = answer.at("orders").at(0).at("order").at("statement");
      ASSERT_EQ(Json::parse(text).at("scope"), device_names()[static_cast<std::size_t>(device)]);
      return;
    }
    for (const auto& item : answer.at("orders")) {
      ASSERT_TRUE(now_.orders.at(item.at("order").at("statement").get<std::string>()).done);
    }
  }

  // ---- In the end.
  std::vector<std::string> everything() {
    std::vector<std::string> words;
    for (auto& device : devices_) {
      std::swap(vault_.device, device);
      for (int i = 0; i < kScopes; ++i) words.push_back(vault_.released(id_of(i)));
      std::swap(vault_.device, device);
    }
    auto orders = json_of(at_.get("/v1/orders", vault_.query(), vault_.owner));
    words.push_back(orders.dump());
    return words;
  }
  void finish() {
    commit();
    start_again(now_, false);
    const auto before = everything();
    commit();
    start_again(now_, false);
    EXPECT_EQ(before, everything());
    const auto account = vault_.account(vault_.owner);
    const NoteVerifier log("casevault-custodian/" + at_.to().substr(0, 32), at_.custodian->identity().key);
    const auto checkpoint = *verify_checkpoint(SignedNote::parse(account.at("checkpoint").get<std::string>()), log);
    for (const auto& item : account.at("entries")) {
      std::vector<TreeHash> proof;
      for (const auto& hash : item.at("proof")) proof.push_back(*array_from_hex<32>(hash.get<std::string>()));
      const auto leaf = merkle_leaf_hash(as_bytes(item.at("entry").get<std::string>()));
      EXPECT_TRUE(verify_inclusion(leaf, item.at("index"), checkpoint.size, proof, checkpoint.root));
    }
  }

  std::mt19937 random_;
  TestCustodian at_;
  TestVault vault_;
  std::vector<TestDevice> devices_;
  std::vector<TestUser> users_;
  std::vector<TestCase> cases_;
  VaultModel now_, committed_, backed_up_;
  int duress_user_ = 0;
  std::int64_t started_ = 0;  // Unix seconds
  std::int64_t highest_ = 0;  // the newest time since then
  std::deque<Sent> sent_;     // since then
  std::map<std::string, int> seen_;
};

class Simulations : public testing::TestWithParam<unsigned> {};
TEST_P(Simulations, FindNothing) {
  Simulation simulation(GetParam());
  simulation.run(10'000);
  for (const auto& [what, count] : simulation.seen()) RecordProperty(what, count);
  for (const auto* what : {"/v1/evaluate 200", "/v1/evaluate 403 tries", "/v1/evaluate 403 locked", "/v1/confirm 200",
                           "released 200", "/v1/secrets 200", "order unlock 200", "replay 401 replay"}) {
    EXPECT_TRUE(simulation.seen().contains(what)) << what;
  }
}
INSTANTIATE_TEST_SUITE_P(Custodians, Simulations, testing::Range(1u, 11u));

}  // namespace
}  // namespace casevault
