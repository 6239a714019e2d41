#include "vault/raid/client.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>

#include "vault/raid/message.h"
#include "vault/raid/secret_pipe.h"

namespace casevault {
namespace {

constexpr int kPollInterval = 200;  // milliseconds; a signal that comes just before the wait is noticed then

int to_number(const std::string& text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// The error that the keeper met, as it was there.
[[noreturn]] void throw_failure(const std::vector<std::string>& texts) {
  if (texts.size() != 4) throw Error(Errc::kInternal, "the guard answered something unknown");
  throw Error(static_cast<Errc>(to_number(texts[1])), texts[2], texts[3]);
}

/// A file in memory with the words and variables: they may be longer than a message.
OwnedFd write_details(const CommandForGuard& command) {
  std::vector<std::string> texts = {std::to_string(command.words.size())};
  texts.insert(texts.end(), command.words.begin(), command.words.end());
  for (const auto& [name, value] : command.variables) {
    texts.push_back(name);
    texts.push_back(value);
  }
  const auto content = encode_texts(texts);
  OwnedFd file(memfd_create("casevault", MFD_CLOEXEC));
  require(file.get() >= 0, "cannot make a file in memory");
  for (std::size_t at = 0; at < content.size();) {
    const ssize_t written = write(file.get(), content.data() + at, content.size() - at);
    require(written > 0, "cannot write to a file in memory");
    at += static_cast<std::size_t>(written);
  }
  return file;
}

bool send_command(int socket, const CommandForGuard& command) {
  const auto details = write_details(command);
  const OwnedFd folder(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return false;  // a working directory that is gone
  std::vector<std::string> texts = {"run", command.user, command.terminal >= 0 ? "terminal" : ""};
  std::vector<int> descriptors = {details.get(), folder.get()};
  if (command.terminal >= 0) descriptors.push_back(command.terminal);
  for (const int number : command.descriptors) {
    texts.push_back(std::to_string(number));
    descriptors.push_back(number);
  }
  return send_message(socket, texts, descriptors);
}

}  // namespace

std::optional<GuardClient> GuardClient::connect(const SocketPlaces& places, const VaultId& vault) {
  const auto folder = SocketFolder::find(places);
  if (!folder) return std::nullopt;
  auto socket = folder->connect(vault);
  if (!socket) return std::nullopt;
  return GuardClient(std::move(*socket));
}

std::optional<GuardClient::Unlocked> GuardClient::unlock(const std::string& user, const SecretBytes& passphrase,
                                                         int idle_minutes, const std::function<bool()>& interrupted) {
  const auto pipe = pipe_holding(passphrase);
  const int number = pipe.get();
  const auto minutes = idle_minutes > 0 ? std::to_string(idle_minutes) : std::string();
  if (!send_message(socket_.get(), {"unlock", user, minutes}, std::span(&number, 1))) return std::nullopt;
  while (true) {
    if (interrupted()) throw Error(Errc::kInterrupted, "interrupted");
    const auto received = await_message(socket_.get(), kPollInterval);
    if (received.how == Reception::kNothingYet) continue;
    if (received.how != Reception::kMessage) return std::nullopt;
    const auto& texts = received.message.texts;
    if (texts[0] == "locked") throw Error(Errc::kInterrupted, "the vault was locked while it was being unlocked");
    if (texts[0] != "open" || texts.size() < 2) throw_failure(texts);
    return Unlocked{to_number(texts[1]), {texts.begin() + 2, texts.end()}};
  }
}

GuardClient::Locked GuardClient::lock(bool ends, int timeout_ms) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  if (!send_message(socket_.get(), {ends ? "end" : "lock"})) return Locked::kWasLocked;
  while (Clock::now() < deadline) {
    const auto received = await_message(socket_.get(), kPollInterval);
    if (received.how == Reception::kNothingYet) continue;
    if (received.how != Reception::kMessage) return Locked::kWasLocked;  // it has ended, and its keeper with it
    const auto& texts = received.message.texts;
    return texts.back() == "before: unlocked" ? Locked::kWasUnlocked : Locked::kWasLocked;
  }
  return Locked::kNoAnswer;
}

void GuardClient::kill_guard() { kill(peer_process(socket_.get()), SIGKILL); }

std::optional<int> GuardClient::run(const CommandForGuard& command, const std::function<bool()>& interrupted) {
  if (!send_command(socket_.get(), command)) return std::nullopt;
  bool asked_to_stop = false;
  while (true) {
    if (interrupted() && !std::exchange(asked_to_stop, true)) send_message(socket_.get(), {"interrupt"});
    const auto received = await_message(socket_.get(), kPollInterval);
    if (received.how == Reception::kNothingYet) continue;
    if (received.how != Reception::kMessage) throw Error(Errc::kInterrupted, "the vault was locked");
    const auto& texts = received.message.texts;
    if (texts[0] == "status" && texts.size() == 2) return to_number(texts[1]);
    return std::nullopt;
  }
}

}  // namespace casevault
