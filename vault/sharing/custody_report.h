#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "crypto/hash.h"

namespace casevault {

/// Who vouches for a record, one organisation after the other.
struct CustodyHop {
  std::string organisation;  // as it calls itself
  std::string person;        // who signed the version there; empty where the organisation used stock tools
  std::string record;        // "C-1/E-3" there; empty where it used stock tools
  std::int64_t version = 0;  // 0 where it used stock tools
  std::int64_t time_ms = 0;  // by that person's clock, Unix milliseconds UTC; 0 where unknown
  std::string root;          // fingerprint of that vault's root key, in words; empty where it used stock tools
};

/// One record as it lies in the bag.
struct CustodyRecord {
  std::string path;    // "data/C-1/photo.jpg"
  std::string record;  // "C-1/E-3" at the sender
  std::string name;    // original file name
  std::string title;
  std::string media_type;
  std::uint64_t size = 0;  // bytes
  Sha256Digest sha256{};
  std::vector<CustodyHop> hops;  // oldest first, the sender last
};

/// One entry of the sender's audit log, disclosed with a proof.
struct CustodyEvent {
  std::uint64_t index = 0;
  std::int64_t time_ms = 0;
  std::string person;   // user name
  std::string action;   // "add", "cat", "export"…
  std::string objects;  // "C-1/E-3"
  std::string outcome;  // "done", "begun", "refused"…
  std::string proof;    // "casevault/proofs/17.tlog-proof"
};

/// Everything that the two custody documents of a bundle tell.
struct CustodyReport {
  std::string organisation;
  std::string person;             // who shared it
  std::int64_t time_ms = 0;       // when
  std::string sign_key;           // minisign public key, "RW…"
  std::string fingerprint;        // of the organisation's keys, in words
  std::string note;               // to the partner; may be empty, may have several lines
  std::uint64_t log_size = 0;     // entries of the audit log that the checkpoint covers
  std::string log_root;           // hex
  bool events_disclosed = false;  // false: the person who shared cannot read the audit log
  std::vector<CustodyRecord> records;
  std::vector<CustodyEvent> events;
};

/// `casevault/custody.jsonld`: the same in terms of CASE and UCO (caseontology.org). UTF-8 JSON.
std::string custody_jsonld(const CustodyReport& report);

/// `casevault/custody.html`: one page for a judge, English and Russian, without script or anything remote.
std::string custody_html(const CustodyReport& report);

}  // namespace casevault
