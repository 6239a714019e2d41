#include <gmock/gmock.h>

#include "tests/support/test_vault.h"
#include "vault/raid/guard.h"
#include "vault/raid/message.h"
#include "vault/raid/secret_pipe.h"
#include "vault/raid/tombstone.h"
#include "vault/raid/wipe.h"
#include "vault/storage/json.h"

namespace casevault::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Messages

TEST(RaidMessage, TextsComeBack) {
  const std::vector<std::string> texts = {"run", "", std::string("a\0b", 3), std::string(70'000, 'x')};
  EXPECT_EQ(decode_texts(encode_texts(texts), 4), texts);
  EXPECT_FALSE(decode_texts(encode_texts(texts), 3));
}

TEST(RaidMessage, DamagedTextsAreRefused) {
  const std::vector<std::string> texts = {"run", "anna"};
  const auto whole = encode_texts(texts);
  EXPECT_FALSE(decode_texts({}, 9));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto cut = decode_texts(ByteView(whole).first(size), 9);
    if (cut) {
      EXPECT_THAT(*cut, ElementsAre("run")) << "cut between two texts";
    }
  }
  EXPECT_FALSE(decode_texts(bytes_of("\xff\xff\xff\xff"), 9));
}

TEST(RaidMessage, CarriesDescriptors) {
  const auto [here, there] = make_socket_pair();
  EXPECT_EQ(receive_message(there.get()).how, Reception::kNothingYet);
  const int standard[] = {0, 1, 2};
  ASSERT_TRUE(send_message(here.get(), {"a", "b"}, standard));
  auto received = receive_message(there.get());
  ASSERT_EQ(received.how, Reception::kMessage);
  EXPECT_THAT(received.message.texts, ElementsAre("a", "b"));
  EXPECT_EQ(received.message.descriptors.size(), 3u);
}

TEST(RaidMessage, TooLongIsNeitherSentNorReceived) {
  auto [here, there] = make_socket_pair();
  EXPECT_FALSE(send_message(here.get(), {std::string(kMaxMessageSize, 'x')}));
  const Bytes longer(kMaxMessageSize + 1);
  ASSERT_EQ(write(here.get(), longer.data(), longer.size()), static_cast<ssize_t>(longer.size()));
  EXPECT_EQ(receive_message(there.get()).how, Reception::kMalformed);
  here.close();
  EXPECT_EQ(receive_message(there.get()).how, Reception::kEnd);
}

TEST(RaidSecretPipe, GivesWhatWasPutIn) {
  const auto pipe = pipe_holding(SecretBytes::copy_of(as_bytes("a secret")));
  EXPECT_EQ(as_text(read_secret(pipe.get(), 1000).expose_secret()), "a secret");
  EXPECT_TRUE(read_secret(pipe_holding(SecretBytes()).get(), 1000).empty());
}

TEST(RaidSecretPipe, TooLongIsRefused) {
  EXPECT_EQ(code_of([] { pipe_holding(SecretBytes(kMaxPipedSecret + 1)); }), Errc::kInternal);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const OwnedFd reading(ends[0]);
  OwnedFd writing(ends[1]);
  EXPECT_EQ(code_of([&] { read_secret(reading.get(), 0); }), Errc::kUsage) << "nothing comes";
  const Bytes longer(kMaxPipedSecret + 1);
  ASSERT_EQ(write(writing.get(), longer.data(), longer.size()), static_cast<ssize_t>(longer.size()));
  EXPECT_EQ(code_of([&] { read_secret(reading.get(), 0); }), Errc::kUsage);
}

// Tombstones

TEST(RaidTombstone, ComesBackAndCoversTheHeader) {
  const Tombstone tombstone{
      .order = "order-1", .time_ms = 1'700'000'000'000, .device = 2049, .inode = 77, .vault = "00", .finished = true};
  const auto file = encode_tombstone(tombstone, 500);
  EXPECT_EQ(file.size(), 500u);
  EXPECT_EQ(file.back(), std::byte{'\n'});
  const auto parsed = parse_tombstone(file);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->order, "order-1");
  EXPECT_EQ(parsed->time_ms, tombstone.time_ms);
  EXPECT_EQ(parsed->device, 2049u);
  EXPECT_EQ(parsed->inode, 77u);
  EXPECT_EQ(parsed->vault, "00");
  EXPECT_TRUE(parsed->finished);
  EXPECT_LT(encode_tombstone(tombstone, 0).size(), 250u);
}

TEST(RaidTombstone, HeadersAndNoiseAreNone) {
  const TestVault vault;
  EXPECT_FALSE(parse_tombstone(read_file(vault.path() / "vault.json")));
  EXPECT_FALSE(parse_tombstone({}));
  EXPECT_FALSE(parse_tombstone(noise(500)));
}

TEST(RaidTombstone, TornOnesCountFromTheirBeginningAndSayNothing) {
  const auto file = encode_tombstone({.order = "x", .time_ms = 1, .device = 3, .inode = 2, .finished = true}, 500);
  constexpr std::size_t kPrefix = 25;
  for (std::size_t size = 0; size < file.size(); ++size) {
    const auto parsed = parse_tombstone(ByteView(file).first(size));
    EXPECT_EQ(parsed.has_value(), size >= kPrefix) << size;
    if (!parsed) continue;
    EXPECT_EQ(parsed->inode, 0u) << size;
    EXPECT_FALSE(parsed->finished) << size;
  }
}

TEST(RaidTombstone, WhatIsLeftBehindItMakesItTorn) {
  const auto file = encode_tombstone({.device = 3, .inode = 2}, 500);
  EXPECT_EQ(parse_tombstone(file)->inode, 2u);
  for (std::size_t at = 25; at < file.size(); ++at) {
    auto edited = file;
    edited[at] ^= std::byte{1};
    const auto parsed = parse_tombstone(edited);
    ASSERT_TRUE(parsed) << at;
    EXPECT_TRUE(parsed->inode == 0 || encode_tombstone(*parsed, edited.size()) == edited) << at;
  }
  auto longer = file;
  longer.push_back(std::byte{' '});
  EXPECT_EQ(parse_tombstone(longer)->inode, 0u);
}

// Destroying

TEST(RaidWipe, TellsOfThreeStagesWhileItGoesOn) {
  const TestVault vault;
  std::vector<DestroyStage> stages;
  const auto last = destroy_vault(
      vault.path(), test_environment(), "order-1",
      [&](const DestroyReceipt& receipt) {
        stages.push_back(receipt.stage);
        if (receipt.stage == DestroyStage::kKeysDestroyed) {
          EXPECT_TRUE(std::filesystem::exists(vault.path() / "catalog.db")) << "keys come first";
        }
      },
      AfterDestroying::kNothing);
  EXPECT_THAT(stages, ElementsAre(DestroyStage::kReceived, DestroyStage::kKeysDestroyed, DestroyStage::kRestRemoved));
  EXPECT_THAT(last.not_reached, IsEmpty());
  EXPECT_EQ(code_of([&] { vault.open(); }), Errc::kDestroyed);
}

TEST(RaidWipe, AFolderThatIsALinkIsNotDestroyed) {
  const TestVault vault;
  const auto link = vault.folder() / "link";
  std::filesystem::create_directory_symlink(vault.path(), link);
  for (const auto& path : {link, link / ""}) {
    EXPECT_EQ(code_of([&] { destroy_vault(path, test_environment(), "", {}, AfterDestroying::kNothing); }),
              Errc::kUsage);
  }
  vault.open();
}

TEST(RaidWipe, AnObserverThatFailsStopsNothing) {
  const TestVault vault;
  destroy_vault(
      vault.path(), test_environment(), "", [](const DestroyReceipt&) { throw std::runtime_error("gone"); },
      AfterDestroying::kNothing);
  EXPECT_EQ(code_of([&] { vault.open(); }), Errc::kDestroyed);
}

TEST(RaidWipe, AnOpenSessionDoesNotPutTheHeaderBack) {
  const TestVault vault;
  auto before = vault.open();
  destroy_vault(vault.path(), test_environment(), "", {}, AfterDestroying::kNothing);
  EXPECT_TRUE(error_of([&] { before.unlock("anna", passphrase_of("anna")); }));
  EXPECT_EQ(code_of([&] { vault.open(); }), Errc::kDestroyed);
}

// The guard's watcher. The guard runs in a process of its own; its watcher demands what the test says, and writes what
// it is told to a file.

std::vector<nlohmann::json> told_after(const TestVault& vault, const std::string& demands) {
  const auto told = vault.folder() / "told";
  const pid_t guard = fork();
  if (guard == 0) {
    GuardSettings settings = {.folder = vault.path(),
                              .environment = test_environment(),
                              .places = {vault.folder().path().native(), std::nullopt}};
    settings.run = [](const GuardedCommand&, const SlotAccess&) { return 0; };
    settings.watcher = [&](int out, int in) {
      if (write(out, demands.data(), demands.size()) < 0) return 1;
      std::ofstream file(told);
      std::array<char, 4096> piece{};
      for (ssize_t got = 0; (got = read(in, piece.data(), piece.size())) > 0;) file.write(piece.data(), got);
      return 0;
    };
    _exit(run_guard(settings));
  }
  int status = 0;
  waitpid(guard, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(Errc::kDestroyed));
  std::vector<nlohmann::json> lines;
  std::ifstream file(told);
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

TEST(RaidGuard, DestroysByOrderOfItsWatcherAndTellsIt) {
  const TestVault vault;
  const auto told = told_after(vault, "destroy order-1\n");
  std::vector<std::string> stages;
  for (const auto& line : told) {
    EXPECT_EQ(line.at("order"), "order-1");
    stages.push_back(line.at("stage"));
  }
  EXPECT_THAT(stages, ElementsAre("received", "keys-destroyed", "rest-removed", "reopening-failed"));
  EXPECT_EQ(told[2].at("not_reached"), nlohmann::json::array());
  EXPECT_EQ(code_of([&] { vault.open(); }), Errc::kDestroyed);
}

TEST(RaidGuard, ObeysNothingElseThatItsWatcherWrites) {
  const TestVault vault;
  const auto told = told_after(vault, "\ndestroy\ndestroy \ndestroy a b\ndestroy ../x\n" + std::string(5000, 'x') +
                                          "\nlock\nlock \nunlock a\nlock lock-1\ndestroy " + std::string(129, 'a') +
                                          "\n destroy b\ndestroy order-2\n");
  ASSERT_EQ(told.size(), 5u);
  EXPECT_EQ(told[0].at("stage"), "locked");
  EXPECT_EQ(told[0].at("order"), "lock-1");
  EXPECT_EQ(told[1].at("order"), "order-2");
}

}  // namespace
}  // namespace casevault::test
