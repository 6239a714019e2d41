#pragma once
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "crypto/bytes.h"
#include "vault/raid/owned_fd.h"

namespace casevault {

inline constexpr std::size_t kMaxMessageSize = 64u << 10;  // bytes
inline constexpr std::size_t kMaxMessageTexts = 256;
inline constexpr std::size_t kMaxMessageDescriptors = 64;

/// What goes over the guard's sockets: texts, of which the first says what it is, and descriptors.
struct Message {
  std::vector<std::string> texts;
  std::vector<OwnedFd> descriptors;
};

/// be32(size) ‖ bytes for each text; of any length, for texts that go another way than in a message.
Bytes encode_texts(std::span<const std::string> texts);
/// nullopt unless exactly that, of 1 to `max_texts` texts.
std::optional<std::vector<std::string>> decode_texts(ByteView bytes, std::size_t max_texts);

/// Two connected SOCK_SEQPACKET sockets: what is sent as one message is received as one. @throws Error{kInternal}
std::pair<OwnedFd, OwnedFd> make_socket_pair();

/// Never waits. False when it could not be sent: the other side is gone, or does not read, or it is too long.
bool send_message(int socket, const std::vector<std::string>& texts, std::span<const int> descriptors = {});

enum class Reception { kMessage, kNothingYet, kEnd, kMalformed };
struct Received {
  Reception how = Reception::kNothingYet;
  Message message;  // of kMessage
};
/// Never waits, and reads at most kMaxMessageSize bytes; a longer message is malformed, and so is one with more
/// descriptors than kMaxMessageDescriptors. Descriptors are received close-on-exec.
Received receive_message(int socket);
/// Waits up to `timeout_ms` (-1: for ever, or until a signal comes) for a message or the end.
Received await_message(int socket, int timeout_ms);

}  // namespace casevault
