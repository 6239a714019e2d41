#include "vault/custody/order.h"

#include <algorithm>
#include <map>

#include "cli/commands/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/passphrase.h"
#include "cli/session.h"
#include "cli/statement.h"
#include "cli/text_input.h"
#include "crypto/hash.h"
#include "vault/custody/order_desk.h"

namespace casevault {
namespace {

const std::vector<Errc> kStatuses = {Errc::kPartial, Errc::kCustodiansRefused, Errc::kTooFewCustodians,
                                     Errc::kInterrupted};
constexpr const char* kUserScope = "scope-user";
constexpr TextLimit kCardLimit{kMaxCardFile, "the file is longer than a card", "give the text file: --card card-1.txt"};

template <typename Value>
using Answers = std::vector<OrderDesk::Said<Value>>;

// ---- What was asked for.

OrderCard read_card(Invocation& call, const std::string& path) {
  if (path != "-" && !std::filesystem::is_regular_file(path) && !std::filesystem::is_other(path)) {
    throw Error(Errc::kUsage, "there is no card " + path,
                "name the text file of a card, card-1.txt or so; or paste the card's long line after: --card -");
  }
  Bytes text = read_text_input(path, kCardLimit, call.process().environment);
  OrderCard card = parse_card(as_text(text));
  wipe(text);
  const std::int64_t now = call.process().environment.now_ms();
  if (card.expires_ms != 0 && card.expires_ms <= now)
    throw Error(Errc::kUsage, "this card expired on " + time_for_people(card.expires_ms),
                "ask the office for a new one, and other holders to act now");
  return card;
}

/// At least one, all of one vault.
std::vector<OrderCard> read_cards(Invocation& call) {
  std::vector<OrderCard> cards;
  for (const std::string& path : call.values("card")) cards.push_back(read_card(call, path));
  for (const OrderCard& card : cards) {
    if (card.vault != cards.front().vault)
      throw Error(Errc::kUsage, "the cards are for different vaults", "give the cards of one vault, or one card alone");
  }
  return cards;
}

std::string called(const OrderCard& card) {
  return "card " + std::to_string(card.number) + " of " +
         (card.organisation.empty() ? "vault " + to_hex(card.vault).substr(0, 8) : card.organisation);
}

/// What an order is about, and in words.
struct Target {
  OrderScope scope;
  std::string words;
};

Target target_of(Invocation& call, const CustodySalt& salt) {
  const auto user = call.value(kUserScope);
  const auto device = call.value("device");
  const auto case_text = call.value("case");
  if (int(user.has_value()) + int(device.has_value()) + int(case_text.has_value()) > 1)
    throw Error(Errc::kUsage, "only one of --user, --case and --device", help_hint(call.command()));
  const auto named = [&](ScopeKind kind, const char* word, const std::string& name) {
    return Target{{kind, custody_id(salt, kind, name)}, word + name};
  };
  if (user) return named(ScopeKind::kUser, "user ", *user);
  if (device) return named(ScopeKind::kDevice, "machine ", *device);
  if (case_text) return named(ScopeKind::kCase, "case ", case_name(case_argument(*case_text)));
  return {{}, "the whole vault"};
}

OrderType type_of(Invocation& call) {
  const auto type = parse_order_type(call.argument(0));
  if (!type) {
    throw Error(Errc::kUsage, "'" + call.argument(0) + "' is not an order: lock, unlock, destroy or burn",
                help_hint(call.command()));
  }
  return *type;
}

std::string question_of(const Order& order, const Target& target, const SignedOrder& so_far) {
  std::string text;
  if (!so_far.signatures.empty()) {
    text = "This order waits since " + time_for_people(order.issued_ms) + " with " +
           count_of(so_far.signatures.size(), "signature", "signatures") +
           (order.reason.empty() ? ". " : ", because: " + order.reason + ". ");
  }
  switch (order.type) {
    case OrderType::kLock:
      return text + "Lock " + target.words + "?";
    case OrderType::kUnlock:
      return text + "Unlock " + target.words + "? Be sure that whoever asks you for it is free to speak.";
    case OrderType::kDestroy:
      return text + "Destroy the keys of " + target.words + " at the custodians, for ever?";
    case OrderType::kBurn:
      return text + "Shut out the " + target.words + " for ever, whoever uses it?";
  }
  return text;
}

/// The one that waits at the custodians already, else a new one. Locking takes one card, so nothing of it waits.
SignedOrder order_to_sign(Invocation& call, OrderDesk& desk, const Target& target, const VaultId& vault) {
  const OrderType type = type_of(call);
  const std::int64_t now = call.process().environment.now_ms();
  Order made = Order::make(type, target.scope, vault, call.value_or("reason", ""), now);
  if (type != OrderType::kLock) {
    std::vector<OrdersAnswer> answers;
    for (auto& said : desk.orders()) {
      if (said.value) answers.push_back(std::move(*said.value));
    }
    if (auto waiting = find_waiting(answers, type, target.scope, now)) return *std::move(waiting);
  }
  return {made.statement(), {}};
}

// ---- What became of it.

template <typename Value>
std::string fault_of(const OrderDesk::Said<Value>& said) {
  const CustodianReport& report = said.report;
  if (report.refusal == "signature" || report.refusal == "unsigned") return "refused: it does not know this card";
  if (!report.refusal.empty()) return "refused: " + report.reason;
  return "not reached: " + report.reason;
}

template <typename Value>
const char* state_of_fault(const OrderDesk::Said<Value>& said) {
  return said.report.refusal.empty() ? "unreached" : "refused";
}

/// Each fault once, with the names of the custodians.
template <typename Value>
std::map<std::string, std::string> by_fault(const Answers<Value>& answers) {
  std::map<std::string, std::string> names;
  for (const auto& said : answers) {
    auto& list = names[fault_of(said)];
    list += (list.empty() ? "" : ", ") + said.report.name;
  }
  return names;
}

template <typename Value>
std::string hint_for_refusal(Invocation& call, const Answers<Value>& answers) {
  const auto refused = [&](std::string_view word) {
    return std::ranges::any_of(answers, [&](const auto& said) { return said.report.refusal == word; });
  };
  if (refused("destroyed")) return "it cannot be undone, and no order is needed any more: casevault help order status";
  std::string hint = "is the card the newest one, and the clock of this machine right?";
  if (call.has(kUserScope) || call.has("case") || call.has("device"))
    hint += " Is the name written as in the vault? In doubt lock all of it: casevault order issue lock --card FILE";
  return hint;
}

/// 0 when all custodians answered, kPartial when some did. @throws Error when none did.
template <typename Value>
int status_of(Invocation& call, const Answers<Value>& answers, const std::string& nothing_done) {
  std::size_t done = 0;
  bool refused = false;
  for (const auto& said : answers) {
    done += said.value ? 1 : 0;
    refused |= !said.report.refusal.empty();
    if (said.report.reach == Reach::kWrongPin) {
      call.out().warning("somebody else answers where " + said.report.name +
                         " should: the connection may be led astray on purpose; try another network");
    }
  }
  if (done == answers.size()) return 0;
  if (done > 0) return static_cast<int>(Errc::kPartial);
  std::string text = nothing_done;
  for (const auto& [fault, names] : by_fault(answers)) text += "; " + names + ": " + fault;
  if (refused) throw Error(Errc::kCustodiansRefused, text, hint_for_refusal(call, answers));
  throw Error(Errc::kTooFewCustodians, text, "try another network, or Tor: --proxy 127.0.0.1:9050");
}

std::string words_of(const OrderReceipt& receipt, bool of_whole_vault) {
  if (!receipt.done)
    return "waiting: " + std::to_string(receipt.have) + " of " + std::to_string(receipt.need) + " signatures";
  const std::string at = " on " + time_for_people(receipt.time_ms);
  if (receipt.affected == 0 && of_whole_vault) return "done" + at + "; it was so already";
  if (receipt.affected == 0)
    return "done" + at + "; it was so already, or nothing there has that name: check how it is written";
  return "done" + at + ", for " + count_of(receipt.affected, "key or machine", "keys or machines");
}

void print_receipts(Invocation& call, const OrderCard& card, const SignedOrder& order,
                    const Answers<OrderReceipt>& answers) {
  Table table({{"CUSTODIAN"}, {"PLACE"}, {"RECEIPT"}});
  const bool of_whole_vault = !Order::parse(order.statement).scope.kind;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const CustodianAddress& custodian = card.custodians[i];
    const auto& receipt = answers[i].value;
    if (!call.json()) {
      table.add({custodian.name, custodian.place, receipt ? words_of(*receipt, of_whole_vault) : fault_of(answers[i])});
      continue;
    }
    nlohmann::ordered_json json = {{"order", to_hex(sha256(as_bytes(order.statement)))},
                                   {"custodian", custodian.name},
                                   {"place", custodian.place},
                                   {"address", custodian.address}};
    if (receipt) {
      json.update({{"state", receipt->done ? "done" : "waiting"},
                   {"have", receipt->have},
                   {"need", receipt->need},
                   {"affected", receipt->affected},
                   {"time", iso_time(receipt->time_ms)}});
    } else {
      json.update({{"state", state_of_fault(answers[i])}, {"reason", answers[i].report.reason}});
    }
    call.out().object(json);
  }
  table.print(call.out());
}

void say_what_follows(Invocation& call, const SignedOrder& signed_order, const Answers<OrderReceipt>& answers) {
  const Order order = Order::parse(signed_order.statement);
  const auto is = [&](bool done) {
    return std::ranges::any_of(answers, [&](const auto& said) { return said.value && said.value->done == done; });
  };
  if (is(false)) {
    call.out().note("until " + time_for_people(order.expires_ms) +
                    " the holders of other cards can add their signatures: the same command, or the page /order of "
                    "each custodian");
  }
  if (is(true) && order.type != OrderType::kUnlock)
    call.out().next("not confirmed on the machine yet; who has obeyed: casevault order status --card " +
                    call.values("card").front());
  if (is(true) && order.type == OrderType::kUnlock && !order.scope.kind)
    call.out().note("users and cases that were locked by orders of their own stay locked until an order for each");
}

int run_issue(Invocation& call) {
  const std::vector<OrderCard> cards = read_cards(call);
  const OrderCard& card = cards.front();
  const Target target = target_of(call, card.salt);
  OrderDesk desk(card, call.process().environment);
  SignedOrder order = order_to_sign(call, desk, target, card.vault);
  const Order parsed = Order::parse(order.statement);
  if (parsed.type != OrderType::kLock) confirm(call, question_of(parsed, target, order), "nothing was signed or sent");
  for (const OrderCard& signer : cards) order.sign(SigningKey::from_seed(signer.seed.clone()));
  const auto answers = desk.send(order);
  if (!call.json()) {
    call.out().line(std::string(to_string(parsed.type)) + " " + target.words + ", " + called(card));
  }
  print_receipts(call, card, order, answers);
  const int status = status_of(call, answers, "no custodian took the order");
  say_what_follows(call, order, answers);
  if (status != 0)
    call.out().warning(
        "some custodians did not take it, and one alone may lock nothing: give the order again until "
        "all have taken it");
  return status;
}

// ---- Who has obeyed.

/// One order as all custodians together tell it.
struct Account {
  Order order;
  struct AtCustodian {
    std::string name;
    std::int64_t done_ms = 0;
    std::uint64_t have = 0;
    std::uint64_t need = 0;
  };
  std::vector<AtCustodian> custodians;
  std::map<ByteArray<32>, GuardReceipt> machines;  // by key: the furthest that each has come
};

/// By the statement, newest last.
std::vector<std::pair<std::string, Account>> accounts_of(const Answers<OrdersAnswer>& answers) {
  std::map<std::string, Account> by_statement;
  for (const auto& said : answers) {
    if (!said.value) continue;
    for (const OrderStanding& one : said.value->orders) {
      Account& account = by_statement[one.signed_order.statement];
      account.order = one.order;
      account.custodians.push_back({said.report.name, one.done_ms, one.have, one.need});
      for (const GuardReceipt& receipt : one.receipts) {
        GuardReceipt& known = account.machines.try_emplace(receipt.device.bytes, receipt).first->second;
        if (receipt.stage > known.stage) known = receipt;
      }
    }
  }
  std::vector<std::pair<std::string, Account>> sorted(by_statement.begin(), by_statement.end());
  std::ranges::stable_sort(sorted, {}, [](const auto& entry) { return entry.second.order.issued_ms; });
  return sorted;
}

std::string scope_for_people(const OrderScope& scope) {
  return scope.kind ? scope.encode().substr(0, scope.encode().find(':') + 9) : "vault";
}

std::string obeyed(const Account& account, std::size_t of, std::int64_t now_ms) {
  std::size_t done = 0;
  std::uint64_t have = 0;
  std::uint64_t need = 0;
  for (const auto& one : account.custodians) {
    done += one.done_ms != 0 ? 1 : 0;
    have = std::max(have, one.have);
    need = std::max(need, one.need);
  }
  if (done > 0) return "done at " + std::to_string(done) + " of " + std::to_string(of);
  if (!account.order.is_in_force(now_ms)) return "lapsed";
  return "waiting: " + std::to_string(have) + " of " + std::to_string(need) + " signatures";
}

const char* words_of(GuardStage stage) {
  switch (stage) {
    case GuardStage::kReceived:
      return "received, not confirmed on the machine";
    case GuardStage::kKeysDestroyed:
      return "keys gone, not confirmed on the machine";
    case GuardStage::kReopeningFailed:
      return "confirmed";
  }
  return "";
}

std::string machines_for_people(const Account& account) {
  if (account.machines.empty()) return account.order.type == OrderType::kUnlock ? "" : "not confirmed on any machine";
  std::string text;
  for (const auto& [key, receipt] : account.machines) {
    text += (text.empty() ? "" : "; ") + to_hex(key).substr(0, 8) + " " + words_of(receipt.stage) + " " +
            time_for_people(receipt.time_ms);
  }
  return text;
}

nlohmann::ordered_json to_json(const std::string& statement, const Account& account) {
  nlohmann::ordered_json custodians = nlohmann::ordered_json::array();
  for (const auto& one : account.custodians) {
    custodians.push_back(
        {{"custodian", one.name}, {"done", iso_time_or_empty(one.done_ms)}, {"have", one.have}, {"need", one.need}});
  }
  nlohmann::ordered_json machines = nlohmann::ordered_json::array();
  for (const auto& [key, receipt] : account.machines) {
    machines.push_back({{"device", to_hex(key)},
                        {"stage", to_string(receipt.stage)},
                        {"confirmed", receipt.stage == GuardStage::kReopeningFailed},
                        {"time", iso_time(receipt.time_ms)},
                        {"not_reached", receipt.not_reached}});
  }
  return {{"order", to_hex(sha256(as_bytes(statement)))},
          {"type", to_string(account.order.type)},
          {"scope", account.order.scope.encode()},
          {"reason", account.order.reason},
          {"issued", iso_time(account.order.issued_ms)},
          {"expires", iso_time(account.order.expires_ms)},
          {"custodians", custodians},
          {"machines", machines}};
}

void print_custodians(Invocation& call, const OrderCard& card, const Answers<OrdersAnswer>& answers) {
  Table table({{"CUSTODIAN"}, {"PLACE"}, {"VAULT"}});
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const CustodianAddress& custodian = card.custodians[i];
    const auto& said = answers[i];
    if (call.json()) {
      call.out().object({{"custodian", custodian.name},
                         {"place", custodian.place},
                         {"address", custodian.address},
                         {"state", said.value ? said.value->state : state_of_fault(said)},
                         {"reason", said.report.reason}});
    } else {
      table.add({custodian.name, custodian.place, said.value ? said.value->state : fault_of(said)});
    }
  }
  table.print(call.out());
}

void print_orders(Invocation& call, const Answers<OrdersAnswer>& answers) {
  const std::int64_t now = call.process().environment.now_ms();
  const auto accounts = accounts_of(answers);
  Table table({{"ORDER"}, {"OF"}, {"ISSUED"}, {"CUSTODIANS"}, {"MACHINES"}, {"REASON"}});
  for (const auto& [statement, account] : accounts) {
    if (call.json()) {
      call.out().object(to_json(statement, account));
      continue;
    }
    table.add({std::string(to_string(account.order.type)), scope_for_people(account.order.scope),
               time_for_people(account.order.issued_ms), obeyed(account, answers.size(), now),
               machines_for_people(account), account.order.reason});
  }
  table.print(call.out());
  if (accounts.empty()) call.out().note("there are no orders");
  for (const auto& [statement, account] : accounts) {
    for (const auto& [key, receipt] : account.machines) {
      for (const auto& place : receipt.not_reached)
        call.out().warning("machine " + to_hex(key).substr(0, 8) + " says: " + place);
    }
  }
}

int run_order_status(Invocation& call) {
  const std::vector<OrderCard> cards = read_cards(call);
  const OrderCard& card = cards.front();
  OrderDesk desk(card, call.process().environment);
  const auto answers = desk.orders();
  print_custodians(call, card, answers);
  const int status = status_of(call, answers, "no custodian answered");
  print_orders(call, answers);
  return status;
}

// ---- What the custodians released.

int run_order_statement(Invocation& call) {
  const Interval interval = interval_option(call);
  const std::vector<OrderCard> cards = read_cards(call);
  const OrderCard& card = cards.front();
  OrderDesk desk(card, call.process().environment);
  const auto statements = desk.statements(interval.from_ms, interval.until_ms);
  if (call.has("out")) write_statements(*call.value("out"), statements);
  return print_statement(call, interval, sum_up(statements, names_on_card(card.salt), 0));
}

std::vector<Option> with_card(std::vector<Option> options) {
  options.insert(options.begin(), {.name = "card",
                                   .value = "FILE",
                                   .help = "the text of a card; - reads it from standard input",
                                   .repeatable = false,
                                   .required = true});
  return options;
}

}  // namespace

std::vector<Command> order_commands() {
  return {
      {.name = "order issue",
       .arguments = "lock|unlock|destroy|burn",
       .min_arguments = 1,
       .max_arguments = 1,
       .summary = "give the custodians an order, with a card",
       .description =
           "From any machine with a card; needs no vault. The order goes to all custodians that are on the card; each "
           "answers with a\n"
           "signed receipt.\n"
           "\n"
           "lock: one card is enough. The custodians refuse their shares until an unlock order, and machines that are "
           "reached forget\n"
           "their keys. Nothing is lost. In doubt: lock.\n"
           "unlock, destroy, burn: take several cards. --card may be given several times; where the other cards are "
           "elsewhere, each\n"
           "gives the same order within three days, and the signatures add up. Asks first; --yes answers.\n"
           "destroy: the custodians delete their shares for ever. Lock first.\n"
           "burn: one machine (--device) is refused for ever.\n"
           "\n"
           "Status 0: every custodian took it. 3: some did. 17: none did, and some refused. 18: none was reached.",
       .options = {{.name = "card",
                    .value = "FILE",
                    .help = "the text of a card; - reads it from standard input",
                    .repeatable = true,
                    .required = true},
                   {.name = "user", .value = "NAME", .help = "only this user's secrets", .key = kUserScope},
                   {.name = "case", .value = "CASE", .help = "only this case"},
                   {.name = "device", .value = "NAME", .help = "burn: which machine"},
                   {.name = "reason", .value = "TEXT", .help = "why; kept by the custodians, so name nobody"}},
       .statuses = kStatuses,
       .run = run_issue},
      {.name = "order status",
       .arguments = "",
       .max_arguments = 0,
       .summary = "who has obeyed an order, by a card",
       .description = "Asks the custodians that are on the card how the vault and its orders stand there, and which "
                      "receipts came from machines.\n"
                      "An order is confirmed on a machine only when that has tried to open the vault again, and could "
                      "not.",
       .options = with_card({}),
       .statuses = kStatuses,
       .run = run_order_status},
      {.name = "order statement",
       .arguments = "",
       .max_arguments = 0,
       .summary = "what the custodians released, by a card",
       .description =
           "Asks the custodians that are on the card for their signed accounts of the time, checks them against their "
           "logs, and says\n"
           "which cases' keys were released, and that no other was. Needs no vault: it works while the vault is "
           "locked, "
           "and after it\n"
           "was destroyed. Names nobody: a card knows cases by their numbers only. Without --from: the last 24 hours.",
       .options = with_card(statement_options()),
       .statuses = {Errc::kUsage, Errc::kTooFewCustodians, Errc::kInterrupted},
       .run = run_order_statement},
  };
}

}  // namespace casevault
