#!/usr/bin/python3
"""A second, independent reader of casevault vaults, made from docs/format.md; numbers in comments are its sections.

casevault_reader.py VAULT USER --passphrase-file FILE [list | cat OBJECT | check]

It only reads, keeps no plaintext on disk, and raises Refused, naming the reason, on everything that the document does
not allow. OBJECT is such as C-1/E-3, or C-1/E-3@2 for a version. Needs Debian's python3-nacl and python3-cryptography.
"""
import argparse
import hmac
import os
import re
import sqlite3
import sys
from dataclasses import dataclass

from nacl import bindings as sodium

from casevault_catalogue import KINDS, RANK, Catalogue
from casevault_functions import (
    HASH, HEX, ID, NUMBER, SHA256, SIGNATURE, TEXT, TIME, U32, USER, Chain, D, H128, Refused, aead_open, be32, be64,
    box_public_key, canonical, database_salt, list_of, need, need_signature, one_of, open_database, padme, parse, read,
    seal_open, shape, sign_public_key, stream_open, tree_roots, unbase64)

MAX_PASSES, MAX_MEMORY = 64, 4 << 30  # what this reader is willing to spend on a passphrase


# 3. vault.json

HEADER = shape(argon2id=shape(memory_bytes=NUMBER, passes=NUMBER), audit_key=HASH, casevault=one_of("vault"),
               format=lambda value: value == 1 and NUMBER(value), root_key=HASH, salt=ID, signature=SIGNATURE, vault=ID)


class Header:
    def __init__(self, data):
        need(data.endswith(b"\n"), "vault.json: no newline at its end")
        value = parse(data[:-1], "vault.json", HEADER)
        self.passes, self.memory = value["argon2id"]["passes"], value["argon2id"]["memory_bytes"]
        need(1 <= self.passes <= MAX_PASSES and 8192 <= self.memory <= MAX_MEMORY, "vault.json: the cost of Argon2id")
        self.id, self.salt = bytes.fromhex(value["vault"]), bytes.fromhex(value["salt"])
        self.root_key, self.audit_key = value["root_key"], value["audit_key"]
        signature = unbase64(value.pop("signature"), "vault.json")
        need_signature(bytes.fromhex(self.root_key), "casevault/v1/header", canonical(value), signature, "vault.json")
        self.hash = SHA256(data).hex()


# 4. slots

@dataclass
class Slot:
    """What is in a user's slot."""
    index: int
    user: str
    generation: int
    seed: bytes
    box: bytes
    epoch: int
    catalogue_key: bytes


def slot_key(header, name, passphrase):
    salt = H128(header.salt + name.encode())
    stretched = sodium.crypto_pwhash_alg(32, passphrase, salt, header.passes, header.memory,
                                         sodium.crypto_pwhash_ALG_ARGON2ID13)
    return D(stretched, "casevault/v1/slot", header.id)


def open_slot(header, key, index, data):
    """The contents of one slot, or None where it is not of this key."""
    nonce, commitment, box = data[:24], data[24:56], data[56:]
    if not hmac.compare_digest(commitment, D(key, "casevault/v1/slot-commitment", nonce)):
        return None
    ad = b"casevault/v1/slot/user" + header.id + be32(1) + be32(header.passes) + be64(header.memory)
    plain = aead_open(D(key, "casevault/v1/slot-seal"), nonce + box, ad, f"slots: slot {index}")
    need(plain[:4] == b"CVS1" and not any(plain[156:]), f"slots: slot {index} has unknown contents")
    need(plain[88:120].hex() == header.root_key, f"slots: slot {index} has another root key than vault.json")
    return Slot(index, plain[4:20].hex(), int.from_bytes(plain[20:24], "big"), plain[24:56], plain[56:88],
                int.from_bytes(plain[120:124], "big"), plain[124:156])


def find_slot(header, name, passphrase, slots):
    key = slot_key(header, name, passphrase)
    found = [open_slot(header, key, i, slots[1024 * i:1024 * (i + 1)]) for i in range(64)]
    found = [slot for slot in found if slot]
    need(found, "slots: none opens: the user or passphrase is wrong, or access was taken away")
    return max(found, key=lambda slot: slot.generation)


# 5. handover

@dataclass
class Box:
    """What is in a box of a handover: to be believed once `by` and the signature are checked."""
    catalogue_key: bytes
    by: str
    signed: bytes
    signature: bytes


def find_box(vault, header, slot, epoch):
    data, what = read(vault, "handover", str(epoch), size=64 * 200), f"handover/{epoch}"
    for start in range(0, len(data), 200):
        try:
            box = seal_open(slot.box, data[start:start + 200], what)
        except Refused:
            continue
        need(box[:40] == b"CVH1" + header.id + bytes.fromhex(slot.user) + be32(epoch), f"{what}: a box for another")
        return Box(box[40:72], box[72:88].hex(), box[:88], box[88:])
    return None


# 6. Requests to join

REQUEST = shape(signature=SIGNATURE, time=TIME, user=USER)


def open_request(header, audit_secret, data, what):
    """Who asks, the signature checked."""
    slot = data[:1024]
    value = parse(seal_open(audit_secret, data[1024:], what).rstrip(b" "), what, REQUEST)
    message = header.id + canonical(value["user"]) + be64(value["time"]) + SHA256(slot)
    need_signature(bytes.fromhex(value["user"]["sign"]), "casevault/v1/join-request", message,
                   unbase64(value["signature"], what), what)
    return value["user"]


# 8. Case databases

CASE_KINDS = {
    "version": {"case": ID, "epoch": U32, "record": TEXT, "version": NUMBER, "details": HASH},
    "withdraw": {"case": ID, "epoch": U32, "record": TEXT, "reason": TEXT},
}
TESTIMONY = shape(consent=TEXT, language=TEXT, place=TEXT, taken_at=TEXT, witness=TEXT)
ORIGIN = lambda value: value == "" or HASH(value)
DETAILS = shape(media_type=TEXT, modified=TIME, name=TEXT, name_bytes=HEX, origin=ORIGIN, salt=ID, sha256=HASH, size=NUMBER,
                tags=list_of(TEXT), testimony=lambda value: value is None or TESTIMONY(value), title=TEXT)


@dataclass
class Version:
    """One version of a record; details are None once it is withdrawn."""
    record: str
    version: int
    change: int
    details: dict = None
    body: str = None
    file_key: bytes = None
    body_offset: int = None
    body_size: int = None


class OpenCase:
    """A case that the reader has the key of: its chain and rows are checked, its contents when they are read."""

    def __init__(self, vault, case, key, blobs, users):
        self.vault, self.case, self.users, self.what = vault, case, users, f"C-{case.number}"
        case_id = bytes.fromhex(case.id)
        title_key = D(key, "casevault/v1/case-title", case_id)
        self.title = aead_open(title_key, blobs(case.title), case_id, f"{self.what}: title").decode()
        self.database = open_database(vault, f"cases/{case.id}.{case.epoch}.db",
                                      D(key, "casevault/v1/case-db", case_id + be32(case.epoch)))
        meta = dict(self.database.execute("SELECT key, value FROM meta"))
        need(set(meta) == {"case", "body-names"} and meta["case"] == case_id, f"{self.what}: meta is of another case")
        self.body_name_key = meta["body-names"]
        self.records, self.withdrawn = {}, set()  # records: each one's versions by its name
        self.chain = Chain(self.database, case_id, CASE_KINDS, self.what)
        self.check_heads()
        for n in range(1, len(self.chain) + 1):
            self.apply(n, self.chain.statements[n])
        self.check_rows()

    # The chain

    def check_heads(self):
        for head in self.case.heads:
            need(head["count"] <= len(self.chain) and self.chain.hashes[head["count"]].hex() == head["hash"],
                 f"{self.what}: is not what the catalogue says, or is older")

    def apply(self, n, s):
        what = self.chain.name(n)
        need(s["case"] == self.case.id and s["by"] in self.users, f"{what}: of another case, or by nobody known")
        self.check_right(n, s, what)
        self.chain.need_signature(n, self.users[s["by"]].sign)
        need(s["record"] not in self.withdrawn, f"{what}: the record was withdrawn")
        if s["kind"] == "version":
            self.add_version(n, s, what)
        else:
            need(s["record"] in self.records, f"{what}: there is no such record")
            self.withdrawn.add(s["record"])

    def check_right(self, n, s, what):
        before = self.chain.statements[n - 1]["epoch"] if n > 1 else 1
        need(before <= s["epoch"] <= self.case.epoch, f"{what}: the epoch does not fit")
        user = self.users[s["by"]]
        has = self.case.right(user, s["epoch"], s["log_size"])
        need(RANK[has] >= RANK["add" if s["kind"] == "version" else "manage"], f"{what}: by somebody without the right")
        head = self.case.heads[-1] if self.case.heads else {"count": 0, "log_size": 0}
        if n > head["count"]:  # nobody but its signer vouches for when it was made
            need(s["epoch"] == self.case.epoch and s["log_size"] >= head["log_size"] and user.removed is None,
                 f"{what}: is too late")

    def add_version(self, n, s, what):
        need(self.case.closed is None or s["log_size"] < self.case.closed, f"{what}: the case was closed")
        need(re.fullmatch("[ET]-[1-9][0-9]*", s["record"]), f"{what}: no name of a record")
        versions = self.records.setdefault(s["record"], [])
        need(s["version"] == len(versions) + 1, f"{what}: versions have a gap")
        versions.append(Version(s["record"], s["version"], n))

    # The rows

    def check_rows(self):
        rows = {row[0]: row[1:] for row in self.database.execute(
            "SELECT change, kind, record, version, details, sha256, body, file_key, body_offset, body_size "
            "FROM versions")}
        versions = [version for record in self.records.values() for version in record]
        need(set(rows) == {version.change for version in versions}, f"{self.what}: rows are not those of the chain")
        for version in versions:
            self.check_row(version, *rows[version.change])
        stored = {row[0] for row in self.database.execute("SELECT change FROM contents")}
        need(stored == {v.change for v in versions if v.details and not v.body}, f"{self.what}: contents without rows")

    def check_row(self, version, kind, record, number, details, sha256, body, file_key, offset, whole):
        what = self.name(version)
        need((f"{kind}-{record}", number) == (version.record, version.version), f"{what}: another row")
        if version.record in self.withdrawn:
            need(details is sha256 is body is file_key is offset is whole is None, f"{what}: still there though withdrawn")
            return
        need(isinstance(details, str) and SHA256(details.encode()).hex() ==
             self.chain.statements[version.change]["details"], f"{what}: details that nobody signed")
        version.details = parse(details.encode(), what, DETAILS)
        need((version.details["testimony"] is not None) == (kind == "T"), f"{what}: of the wrong kind")
        need(sha256.hex() == version.details["sha256"], f"{what}: the hash of another content")
        need((body is None) == (file_key is None) and (body is None or ID(body)), f"{what}: no name or key of a body")
        need((offset is None) == (whole is None) and (whole is None or body is not None), f"{what}: half a place")
        version.body, version.file_key = body, file_key
        version.body_offset, version.body_size = offset, whole

    def name(self, version):
        return f"{self.what}/{version.record}, version {version.version}"

    # Content

    def owns(self, body):
        """Whether a body of that name is of this case (10)."""
        name = bytes.fromhex(body)
        return name[8:] == D(self.body_name_key, "casevault/v1/body-name", name[:8], 16)[:8]

    def body(self, version):
        """A body's file, as it is."""
        need(self.owns(version.body), f"{self.name(version)}: a body of another case")
        return read(self.vault, "bodies", version.body[:2], version.body)

    def padded(self, version):
        plain = stream_open(version.file_key, self.body(version), self.name(version))
        size = version.details["size"] if version.body_size is None else version.body_size
        need(len(plain) == padme(size) and not any(plain[size:]), f"{self.name(version)}: padded in another way")
        return plain

    def inline(self, version):
        data, = self.database.execute("SELECT data FROM contents WHERE change = ?", (version.change,)).fetchone()
        need(len(data) <= 65536, f"{self.name(version)}: so large a content belongs into a body")
        return data

    def content(self, version):
        size = version.details["size"]
        start = version.body_offset or 0
        data = self.padded(version)[start:start + size] if version.body else self.inline(version)
        need(len(data) == size and SHA256(data).hex() == version.details["sha256"],
             f"{self.name(version)}: another content than was signed")
        return data


# 9. audit/log

ENTRY = shape(action=TEXT, by=lambda value: value == "" or ID(value), device=TEXT, objects=TEXT, outcome=TEXT,
              time=TIME)


class AuditLog:
    def __init__(self, vault, vault_id):
        data = read(vault, "audit", "log")  # a tail that is no whole record was never acknowledged
        self.vault_id = vault_id
        self.records = [data[i:i + 512] for i in range(0, len(data) - 511, 512)]
        need(all(record[:4] == b"CVA1" for record in self.records), "audit/log: no record of version 1")
        self.roots = tree_roots(self.records)

    def newest_state(self, catalogue_key):
        """(count, hash): the newest head of the catalogue's chain that the log tells of, or None."""
        key = D(catalogue_key, "casevault/v1/audit-state", self.vault_id)
        for index in reversed(range(len(self.records))):
            try:
                state = aead_open(key, self.records[index][84:164], self.vault_id + be64(index), "state")
                return int.from_bytes(state[:8], "big"), state[8:]
            except Refused:
                continue
        return None

    def entry(self, index, audit_secrets, users):
        """An entry's JSON, its signature checked."""
        record, what = self.records[index], f"audit/log: entry {index}"
        place = self.vault_id + be64(index)
        key = D(session_key(record[4:84], audit_secrets, what), "casevault/v1/audit-entry-key", be64(index))
        plain = aead_open(key, record[164:], place, what)
        need(plain[64:96] == self.roots[index], f"{what}: written over another log than what lies before it")
        end = 98 + int.from_bytes(plain[96:98], "big")
        need(end <= len(plain) and not any(plain[end:]), f"{what}: padded in another way")
        signature, text = plain[:64], plain[98:end]
        value = parse(text, what, ENTRY)
        if value["by"]:
            need(value["by"] in users, f"{what}: by nobody known")
            need_signature(users[value["by"]].sign, "casevault/v1/audit-entry", place + plain[64:96] + text, signature, what)
        else:
            need(not any(signature), f"{what}: a signature of nobody")
        return value


def session_key(box, audit_secrets, what):
    for secret in reversed(audit_secrets):
        try:
            return seal_open(secret, box, what)
        except Refused:
            continue
    raise Refused(f"{what}: is sealed to no audit key")


# All of it

class Reader:
    """A vault, opened for one user: all is checked but contents, audit entries and requests, which `check` reads."""

    def __init__(self, vault, name, passphrase):
        self.vault = vault
        self.header = Header(read(vault, "vault.json"))
        self.slots = read(vault, "slots", size=64 * 1024)
        self.slot = find_slot(self.header, name, passphrase, self.slots)
        self.catalogue_key, self.epoch, self.box = self.find_catalogue_key()
        self.database = open_database(vault, "catalog.db", self.database_key(self.catalogue_key, self.epoch))
        self.chain = Chain(self.database, self.header.id, KINDS, "catalogue")
        self.catalogue = Catalogue(self.chain, self.header.id, self.header.root_key)
        need(self.catalogue.epoch == self.epoch, "catalogue: its epoch is not that of its key")
        self.check_user(name)
        self.check_files()
        self.check_log()
        self.audit_secrets = self.open_role_keys()
        self.cases = [self.open_case(case) for case in self.catalogue.cases.values()]

    # The catalogue's key (4, 5)

    def database_key(self, catalogue_key, epoch):
        return D(catalogue_key, "casevault/v1/catalog-db", self.header.id + be32(epoch))

    def find_catalogue_key(self):
        """(key, epoch, box): of the keys within reach the one that fits; box is where it came from, or None."""
        salt = read(self.vault, "catalog.db")[:16]
        if self.slot.epoch and database_salt(self.database_key(self.slot.catalogue_key, self.slot.epoch)) == salt:
            return self.slot.catalogue_key, self.slot.epoch, None
        names = os.listdir(os.path.join(self.vault, "handover"))
        for epoch in sorted((int(name) for name in names if re.fullmatch("[1-9][0-9]*", name)), reverse=True):
            box = find_box(self.vault, self.header, self.slot, epoch)
            if box and database_salt(self.database_key(box.catalogue_key, epoch)) == salt:
                return box.catalogue_key, epoch, box
        raise Refused("catalog.db: neither slot nor handover has its key: not let in yet, or access was taken away")

    def check_user(self, name):
        self.user = self.catalogue.users.get(self.slot.user)
        need(self.user and self.user.removed is None and self.user.name == name, "slots: not of an active user")
        need((self.user.sign, self.user.box) == (sign_public_key(self.slot.seed), box_public_key(self.slot.box)),
             "slots: the keys are not those of the user")
        if self.box:
            by, what = self.catalogue.users.get(self.box.by), f"handover/{self.epoch}"
            need(by and by.role == "owner", f"{what}: not by an owner")
            need_signature(by.sign, "casevault/v1/handover", self.box.signed, self.box.signature, what)

    # What the catalogue says of other files

    def check_files(self):
        need(self.header.hash == self.catalogue.header, "vault.json: is not the newest")
        handover = read(self.vault, "handover", str(self.epoch), size=64 * 200)
        need(SHA256(handover).hex() == self.catalogue.handover, f"handover/{self.epoch}: is changed")
        for user in self.catalogue.active():
            slot = self.slots[1024 * user.slot:1024 * (user.slot + 1)]
            need(SHA256(slot).hex() == user.slot_hash, f"slots: slot {user.slot}, of {user.name}, is changed")
        for digest, data in self.database.execute("SELECT hash, data FROM sealed"):
            need(SHA256(data) == digest, "catalogue: a blob in `sealed` is changed")

    def blob(self, digest):
        row = self.database.execute("SELECT data FROM sealed WHERE hash = ?", (bytes.fromhex(digest),)).fetchone()
        need(row, f"catalogue: blob {digest} is missing")
        return row[0]

    def check_log(self):
        self.log = AuditLog(self.vault, self.header.id)
        size, root = self.database.execute("SELECT size, root FROM log_head").fetchone() or (0, None)
        need(0 <= size < len(self.log.roots) and self.log.roots[size] == root, "audit/log: is not the log of log_head")
        self.chain.need_log(self.log.roots)
        count, head = self.log.newest_state(self.catalogue_key) or (0, bytes(32))
        need(count <= len(self.chain) and self.chain.hashes[count] == head, "catalogue: older than the audit log says")

    def open_role_keys(self):
        """The audit secret keys, oldest first; none for members."""
        if not self.user.role_keys:
            return []
        plain = seal_open(self.slot.box, self.blob(self.user.role_keys), "role keys")
        need(plain[:4] == b"CVR1" and plain[4] == (self.user.role == "owner") and len(plain) == 38 + 32 * plain[37],
             "role keys: unknown contents")
        need(sign_public_key(plain[5:37]).hex() == self.header.root_key if plain[4] else not any(plain[5:37]),
             "role keys: another root key")
        secrets = [plain[i:i + 32] for i in range(38, len(plain), 32)]
        need(secrets and box_public_key(secrets[-1]).hex() == self.header.audit_key, "role keys: another audit key")
        return secrets

    # Cases and records

    def open_case(self, case):
        """An OpenCase, or the Case as it is where this user may not read it."""
        grant = case.grant_of(self.user)
        if not grant:
            return case
        key = seal_open(self.slot.box, self.blob(grant.key), f"C-{case.number}: key")
        opened = OpenCase(self.vault, case, key, self.blob, self.catalogue.users)
        opened.chain.need_log(self.log.roots)
        return opened

    def opened(self):
        return [case for case in self.cases if isinstance(case, OpenCase)]

    def versions(self):
        """(OpenCase, Version) for all that can be read."""
        return [(case, version) for case in self.opened() for versions in case.records.values()
                for version in versions if version.details]

    def find(self, name):
        """(OpenCase, Version) of `C-1/E-3`, or of `C-1/E-3@2` where not the newest version is meant."""
        record, _, number = name.partition("@")
        found = [(case, version) for case, version in self.versions() if f"{case.what}/{version.record}" == record
                 and number in ("", str(version.version))]
        need(found, f"{name}: is not there, withdrawn, or of a case that this user may not read")
        return found[-1]

    def cat(self, name):
        case, version = self.find(name)
        return case.content(version)

    def list(self):
        for case in self.cases:
            yield f"{case.what}\t{case.title}" if isinstance(case, OpenCase) else f"C-{case.number}\t(not given to you)"
            for name, versions in case.records.items() if isinstance(case, OpenCase) else ():
                details = versions[-1].details
                text = f"{details['size']}\t{details['title'] or details['name']}" if details else "0\t(withdrawn)"
                yield f"{case.what}/{name}\t{len(versions)}\t{text}"

    # Everything

    def check(self):
        """Reads everything; (count, of what) for each kind of thing."""
        opened, versions = self.opened(), self.versions()
        yield len(self.catalogue.active()), "active users"
        yield len(self.chain), "changes of the catalogue"
        yield len(opened), f"cases readable, of {len(self.cases)}"
        yield sum(len(case.chain) for case in opened), "changes of these cases"
        yield len(versions), "versions of records"
        yield sum(len(case.content(version)) for case, version in versions), "bytes of content"
        yield self.count_leftovers(), "leftover bodies of these cases"
        yield len(self.log.records), "audit entries"
        if self.audit_secrets:
            yield len(self.entries()), "audit entries opened"
            yield len(self.requests()), "requests to join"

    def count_leftovers(self):
        """Bodies of the readable cases that no version names (10)."""
        used = {version.body for _, version in self.versions()}
        names = [name for _, _, files in os.walk(os.path.join(self.vault, "bodies")) for name in files if ID(name)]
        return sum(case.owns(name) and name not in used for case in self.opened() for name in names)

    def entries(self):
        need(self.audit_secrets, "audit/log: members may not read it")
        return [self.log.entry(i, self.audit_secrets, self.catalogue.users) for i in range(len(self.log.records))]

    def requests(self):
        names = sorted(os.listdir(os.path.join(self.vault, "handover")))
        return [open_request(self.header, self.audit_secrets[-1], read(self.vault, "handover", name, size=1712), name)
                for name in names if re.fullmatch("join-[0-9a-f]{16}", name)]


def passphrase_of(path):
    with open(path, "rb") as file:
        return file.readline().removesuffix(b"\n")


def main():
    parser = argparse.ArgumentParser(description="Reads a casevault vault.", allow_abbrev=False)
    parser.add_argument("vault")
    parser.add_argument("user")
    parser.add_argument("--passphrase-file", required=True)
    parser.add_argument("command", nargs="?", choices=("list", "cat", "check"), default="check")
    parser.add_argument("object", nargs="?", default="")
    options = parser.parse_intermixed_args()
    try:
        reader = Reader(options.vault, options.user, passphrase_of(options.passphrase_file))
        if options.command == "cat":
            sys.stdout.buffer.write(reader.cat(options.object))
        for line in reader.list() if options.command == "list" else ():
            print("".join(c if c.isprintable() or c == "\t" else "?" for c in line))
        for count, what in reader.check() if options.command == "check" else ():
            print(count, what)
    except (Refused, sqlite3.Error) as reason:
        print(f"casevault_reader: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
