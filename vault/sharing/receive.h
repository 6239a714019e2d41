#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vault/storage/file.h"
#include "vault/vault.h"

namespace casevault {

struct ReceiveRequest {
  Path file;
  std::optional<std::int64_t> into;  // C-n; none: the case that the sender's took before, or a new one
  bool accept_sender = false;        // pins an unknown sender's keys: after comparing the fingerprint
  bool accept_older = false;         // made before one that was received already
  Path receipt;                      // where the signed receipt goes; must not exist
};

struct ReceivedRecord {
  std::string object;  // "C-5/E-1" here
  std::string name;
  std::string origin;  // "C-1/E-3" there; the path in the bag where it was made by stock tools
  std::uint64_t size = 0;
  bool already_there = false;  // the same content was in the case before: `object` is that record
};

struct ReceiveObserver {
  std::function<void(const ReceivedRecord&)> received;
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> progress;
};

struct ReceiveResult {
  std::string bundle;       // hex
  std::string contact;      // who sent it
  std::string person;       // who shared it there; empty for stock tools
  std::string fingerprint;  // of the sender's keys
  std::string note;
  std::size_t records = 0;
  std::size_t already_there = 0;
  std::size_t proofs = 0;              // audit entries that were proven
  std::vector<std::string> unchecked;  // what could not be checked, plain sentences
  std::string receipt;                 // its text
  std::string receipt_fault;           // why it could not be written; empty when it was
};

/// Checks a bundle whole before anything of it is imported: age, bag, the sender's minisign key against a contact,
/// certificates, every version's signature through all organisations it went through, every proof. Then imports it in
/// the way of `add`: interrupted there, the same command goes on. A receipt is written at the end. Owners and members
/// with the right to add. Nothing in the clear touches the disk.
/// @throws Error: kNotFound for a sender who is no contact (names the fingerprint); kDamaged for anything that does not
/// hold; kNotAllowed when it is not for us, was received already, or is older than one received; kUsage, kNoSpace,
/// kInterrupted.
ReceiveResult receive_bundle(Session& session, const ReceiveRequest& request, const ReceiveObserver& observer);

}  // namespace casevault
