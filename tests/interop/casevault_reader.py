#!/usr/bin/python3
"""A second, independent reader of casevault vaults, made from docs/format.md; numbers in comments are its sections.

casevault_reader.py VAULT USER --passphrase-file FILE [list | cat OBJECT | check]

It only reads, keeps no plaintext on disk, and raises Refused, naming the reason, on everything that the document does
not allow. Needs Debian's python3-nacl and python3-cryptography.
"""
import argparse
import base64
import hashlib
import hmac
import json
import os
import re
import sqlite3
import sys
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl import bindings as sodium
from nacl.exceptions import CryptoError

MAX_PASSES, MAX_MEMORY = 64, 4 << 30  # what this reader is willing to spend on a passphrase
RANK = {None: 0, "read": 1, "add": 2, "manage": 3}
ROLES = ("owner", "member", "auditor")


class Refused(Exception):
    """Something is not as the document says; the text says what."""


def need(condition, reason):
    if not condition:
        raise Refused(reason)


# Encodings

def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def need_fields(value, names, what):
    need(isinstance(value, dict) and set(value) == set(names.split()), f"{what}: missing or unknown fields")


def parse(data, what, names=None):
    """The object that canonical JSON stands for; names are those of all its fields."""
    try:
        value = json.loads(data.decode())
        need(isinstance(value, dict) and canonical(value) == data, f"{what}: JSON is not canonical")
    except (ValueError, RecursionError):
        raise Refused(f"{what}: no JSON") from None
    if names is not None:
        need_fields(value, names, what)
    return value


def unhex(text, size, what):
    need(isinstance(text, str) and re.fullmatch(r"(?:[0-9a-f]{2})*", text) and len(text) == 2 * size,
         f"{what}: not {size} bytes of hexadecimal")
    return bytes.fromhex(text)


def unbase64(text, size, what):
    data = base64.b64decode(text) if isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9+/]*=*", text) else b""
    need(len(data) == size and base64.b64encode(data).decode() == text, f"{what}: not {size} bytes of base64")
    return data


def number(value, what, least=0):
    need(type(value) is int and least <= value < 1 << 63, f"{what}: not a number that is allowed here")
    return value


def be16(n):
    return n.to_bytes(2, "big")


def be32(n):
    return n.to_bytes(4, "big")


def be64(n):
    return n.to_bytes(8, "big")


# 1. Functions

def SHA256(m):
    return hashlib.sha256(m).digest()


def H128(m):
    return hashlib.blake2b(m, digest_size=16).digest()


def D(key, label, context=b"", n=32):
    return hashlib.blake2b(label.encode() + b"\0" + context, key=key, digest_size=n).digest()


def aead_open(key, box, ad, what):
    try:
        return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(box[24:], ad, box[:24], key)
    except (CryptoError, ValueError):
        raise Refused(f"{what}: does not decrypt") from None


def public_key(secret):
    return sodium.crypto_scalarmult_base(secret)


def seal_open(secret, box, what):
    try:
        return sodium.crypto_box_seal_open(box, public_key(secret), secret)
    except (CryptoError, ValueError, TypeError):
        raise Refused(f"{what}: is not sealed to this key") from None


def need_signature(public, domain, message, signature, what):
    try:
        sodium.crypto_sign_open(signature + domain.encode() + b"\0" + message, public)
    except (CryptoError, ValueError):
        raise Refused(f"{what}: the signature is not valid") from None


def stream_open(file_key, payload, what):
    """The plaintext of an age payload (10)."""
    key = HKDF(hashes.SHA256(), 32, salt=payload[:16], info=b"payload").derive(file_key)
    cipher, plain = ChaCha20Poly1305(key), []
    pieces = [payload[i:i + 65536 + 16] for i in range(16, len(payload), 65536 + 16)]
    need(pieces and (len(pieces) == 1 or len(pieces[-1]) > 16), f"{what}: no age payload")
    for counter, piece in enumerate(pieces):
        nonce = counter.to_bytes(11, "big") + (b"\1" if counter == len(pieces) - 1 else b"\0")
        try:
            plain.append(cipher.decrypt(nonce, piece, None))
        except InvalidTag:
            raise Refused(f"{what}: chunk {counter} does not decrypt") from None
    return b"".join(plain)


def padme(size):
    if size < 2:
        return size
    e = size.bit_length() - 1
    low = (1 << (e - e.bit_length())) - 1
    return (size + low) & ~low


# 9. The tree of RFC 6962

def tree_roots(records):
    """The root of the tree of the first n records, for n = 0, 1, ... len(records)."""
    roots, perfect = [SHA256(b"")], []  # perfect: (leaves, hash) of the perfect subtrees from left to right
    for record in records:
        perfect.append((1, SHA256(b"\0" + record)))
        while len(perfect) > 1 and perfect[-1][0] == perfect[-2][0]:
            (leaves, right), (_, left) = perfect.pop(), perfect.pop()
            perfect.append((2 * leaves, SHA256(b"\1" + left + right)))
        root = perfect[-1][1]
        for _, left in reversed(perfect[:-1]):
            root = SHA256(b"\1" + left + root)
        roots.append(root)
    return roots


# 2. Files

def read(vault, *names, size=None):
    what, path = "/".join(names), os.path.join(vault, *names)
    need(os.path.isfile(path), f"{what}: is missing")
    with open(path, "rb") as file:
        data = file.read()
    need(size is None or len(data) == size, f"{what}: has {len(data)} bytes")
    return data


# 7. Databases

PAGE, RESERVED = 4096, 80


def database_salt(key):
    return D(key, "casevault/v1/database-salt", n=16)


def decrypt_pages(data, key, what):
    """A plain SQLite file from one of SQLCipher 4."""
    raw, salt = D(key, "casevault/v1/database-key"), database_salt(key)
    need(data and len(data) % PAGE == 0 and data[:16] == salt, f"{what}: no database under this key")
    mac_key = hashlib.pbkdf2_hmac("sha512", raw, bytes(b ^ 0x3a for b in salt), 2, 32)
    plain = [b"SQLite format 3\0"]
    for page in range(1, len(data) // PAGE + 1):
        start, end = (16 if page == 1 else (page - 1) * PAGE), page * PAGE
        body, iv, mac = data[start:end - 80], data[end - 80:end - 64], data[end - 64:end]
        expected = hmac.digest(mac_key, body + iv + page.to_bytes(4, "little"), "sha512")
        need(hmac.compare_digest(mac, expected), f"{what}: page {page} is damaged or forged")
        decryptor = Cipher(algorithms.AES(raw), modes.CBC(iv)).decryptor()
        plain.append(decryptor.update(body) + decryptor.finalize() + bytes(RESERVED))
    plain = b"".join(plain)
    need(plain[20] == RESERVED, f"{what}: reserves {plain[20]} bytes of a page")
    return plain


def open_database(vault, name, key):
    journal = os.path.join(vault, name + "-journal")
    if os.path.exists(journal):
        with open(journal, "rb") as file:
            need(not any(file.read(8)), f"{name}-journal: an interrupted change, which only the program can undo")
    database = sqlite3.connect(":memory:")
    try:
        database.deserialize(decrypt_pages(read(vault, name), key, name))
        database.execute("PRAGMA trusted_schema = OFF")
        need(database.execute("PRAGMA user_version").fetchone()[0] == 1, f"{name}: user_version is not 1")
        need(database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], f"{name}: integrity_check fails")
        need(not database.execute("SELECT 1 FROM sqlite_schema WHERE type NOT IN ('table', 'index')").fetchall(),
             f"{name}: has a view or a trigger")
    except sqlite3.Error as error:
        raise Refused(f"{name}: {error}") from None
    return database


# 7. Chains

class Chain:
    """The table `changes`: the links are checked here, signatures by who knows the keys. Numbers count from 1."""

    def __init__(self, database, scope, what):
        self.scope, self.what = scope, what
        self.statements, self.hashes, self.signatures = [None], [bytes(32)], [b""]
        rows = database.execute("SELECT number, statement, signature, hash FROM changes ORDER BY number")
        for expected, (n, statement, signature, digest) in enumerate(rows, 1):
            self.append(expected, n, statement.encode(), signature, digest)

    def append(self, expected, n, statement, signature, digest):
        need(n == expected, f"{self.what}: change {expected} is missing")
        link = SHA256(b"casevault/v1/change\0" + self.hashes[-1] + be64(n) + SHA256(statement))
        need(link == digest, f"{self.what}: the hash of change {n} does not fit")
        value = parse(statement, f"{self.what}: change {n}")
        need({"kind", "by", "time", "log_size", "log_root"} <= set(value), f"{self.what}: change {n} lacks fields")
        before = self.statements[-1]["log_size"] if n > 1 else 0
        need(number(value["log_size"], self.what) >= before, f"{self.what}: log_size falls at change {n}")
        number(value["time"], self.what)
        self.statements.append(value)
        self.hashes.append(link)
        self.signatures.append(signature)

    def __len__(self):
        return len(self.statements) - 1

    def need_signature(self, n, sign_key):
        need_signature(sign_key, "casevault/v1/change", self.scope + be64(n) + self.hashes[n], self.signatures[n],
                       f"{self.what}: change {n}")

    def need_log(self, roots):
        for n, value in enumerate(self.statements[1:], 1):
            size, root = value["log_size"], unhex(value["log_root"], 32, self.what)
            need(size < len(roots) and roots[size] == root, f"{self.what}: change {n} cites another audit log")


# 7. The catalogue

@dataclass
class User:
    id: str
    name: str
    sign: bytes
    box: bytes
    role: str
    slot: int
    generation: int
    slot_hash: str
    removed: int = None  # log_size of the statement that removed them


@dataclass
class Grant:
    log_size: int
    user: str
    right: str
    key: str


@dataclass
class Case:
    id: str
    number: int
    creator: str
    epoch: int = 0
    title: str = ""
    closed: int = None  # log_size of the statement that closed it
    grants: dict = field(default_factory=dict)  # epoch: list of Grant
    heads: list = field(default_factory=list)  # (count, hash)


class Catalogue:
    """Replays the catalogue's chain: users, roles, cases, rights."""

    FIELDS = {
        "found": "organisation user certificate slot generation slot_hash header handover role_keys",
        "user": "user role slot generation slot_hash handover role_keys",
        "remove": "user",
        "slot": "slot generation slot_hash",
        "epoch": "epoch header handover role_keys",
        "case": "case number",
        "case-epoch": "case epoch title grants",
        "grant": "case epoch user right key",
        "case-head": "case epoch count hash",
        "close": "case",
    }

    def __init__(self, chain, vault_id, root_key):
        self.chain, self.vault_id, self.root_key = chain, vault_id, root_key
        self.users, self.cases, self.role_keys = {}, {}, {}  # by id; role_keys: user id -> hash of a blob
        self.epoch = 0
        need(len(chain) > 0, "catalogue: is empty")
        for n in range(1, len(chain) + 1):
            self.apply(n, chain.statements[n])

    def apply(self, n, s):
        self.what = f"catalogue: change {n}"
        kind = s["kind"]
        need(kind in self.FIELDS, f"{self.what}: unknown kind")
        need_fields(s, "kind by time log_size log_root " + self.FIELDS[kind], self.what)
        need((kind == "found") == (n == 1), f"{self.what}: `found` is the first and only the first")
        if kind == "found":
            self.on_found(s)
        else:
            self.need_active(s["by"])
            self.chain.need_signature(n, self.users[s["by"]].sign)
            getattr(self, "on_" + kind.replace("-", "_"))(s)

    # Conditions

    def need_active(self, user):
        need(user in self.users and self.users[user].removed is None, f"{self.what}: {user} is no active user")

    def need_owner(self, s):
        need(self.users[s["by"]].role == "owner", f"{self.what}: only an owner may")

    def need_right(self, s, case, right):
        need(RANK[self.right(case, s["by"], case.epoch, s["log_size"])] >= RANK[right], f"{self.what}: lacks the right")

    def right(self, case, user, epoch, log_size):
        """The right of a user in a case at a statement of the epoch that cites log_size."""
        removed = self.users[user].removed if user in self.users else 0
        if epoch == case.epoch and removed is not None and log_size >= removed:
            return None
        rights = [g.right for g in case.grants.get(epoch, ()) if g.user == user and g.log_size <= log_size]
        return rights[-1] if rights else None

    def active(self):
        return [user for user in self.users.values() if user.removed is None]

    def the_case(self, s):
        need(s["case"] in self.cases, f"{self.what}: no such case")
        case = self.cases[s["case"]]
        return case

    # Statements

    def on_found(self, s):
        self.add_user(s, "owner")
        user = self.users[s["by"]] if s["by"] in self.users else None
        need(user, f"{self.what}: not by the user that it names")
        certificate = unbase64(s["certificate"], 64, self.what)
        need_signature(self.root_key, "casevault/v1/root-certificate", self.vault_id + canonical(s["user"]),
                       certificate, "root certificate")
        self.chain.need_signature(1, user.sign)
        self.organisation, self.epoch = s["organisation"], 1
        self.header, self.handover = s["header"], s["handover"]
        self.handed_over_by = {1: s["by"]}

    def on_user(self, s):
        self.need_owner(s)
        self.add_user(s, s["role"])
        self.handover = s["handover"]

    def add_user(self, s, role):
        user = s["user"]
        need_fields(user, "box id name sign", self.what)
        need(role in ROLES, f"{self.what}: unknown role")
        need(user["id"] not in self.users and user["name"] not in [u.name for u in self.active()],
             f"{self.what}: the user is not new")
        self.users[user["id"]] = User(
            unhex(user["id"], 16, self.what).hex(), user["name"], unhex(user["sign"], 32, self.what),
            unhex(user["box"], 32, self.what), role, -1, 0, "")
        self.set_slot(self.users[user["id"]], s)
        need((s["role_keys"] == "") == (role == "member"), f"{self.what}: role keys do not fit the role")
        self.role_keys[user["id"]] = s["role_keys"]

    def set_slot(self, user, s):
        slot = number(s["slot"], self.what)
        need(slot < 64 and slot not in [u.slot for u in self.active()], f"{self.what}: slot {slot} is not free")
        need(number(s["generation"], self.what) > user.generation, f"{self.what}: the generation does not grow")
        unhex(s["slot_hash"], 32, self.what)
        user.slot, user.generation, user.slot_hash = slot, s["generation"], s["slot_hash"]

    def on_remove(self, s):
        self.need_owner(s)
        self.need_active(s["user"])
        need(s["user"] != s["by"], f"{self.what}: removes themselves")
        self.users[s["user"]].removed = s["log_size"]
        self.role_keys.pop(s["user"])

    def on_slot(self, s):
        self.set_slot(self.users[s["by"]], s)

    def on_epoch(self, s):
        self.need_owner(s)
        need(s["epoch"] == self.epoch + 1, f"{self.what}: the epoch does not follow")
        for item in s["role_keys"]:
            need_fields(item, "user key", self.what)
        given = {item["user"]: item["key"] for item in s["role_keys"]}
        need(len(given) == len(s["role_keys"]), f"{self.what}: two role keys for one user")
        holders = {user.id for user in self.active() if user.role != "member"}
        need(set(given) == holders if given else s["header"] == self.header,
             f"{self.what}: role keys are not for the active owners and auditors")
        self.role_keys.update(given)
        self.epoch, self.header, self.handover = s["epoch"], s["header"], s["handover"]
        self.handed_over_by[self.epoch] = s["by"]

    def on_case(self, s):
        need(self.users[s["by"]].role in ("owner", "member"), f"{self.what}: an auditor makes no case")
        unhex(s["case"], 16, self.what)
        need(s["case"] not in self.cases and s["number"] == len(self.cases) + 1, f"{self.what}: the case is not new")
        self.cases[s["case"]] = Case(s["case"], s["number"], s["by"])

    def on_case_epoch(self, s):
        case = self.the_case(s)
        need(s["epoch"] == case.epoch + 1, f"{self.what}: the epoch does not follow")
        for item in s["grants"]:
            need_fields(item, "user right key", self.what)
            self.need_grantable(item)
        given = {item["user"]: item["right"] for item in s["grants"]}
        need(len(given) == len(s["grants"]), f"{self.what}: two grants to one user")
        if case.epoch == 0:
            need(s["by"] == case.creator and given == {s["by"]: "manage"}, f"{self.what}: not the creator's own epoch")
        else:
            self.need_right(s, case, "add")
            self.need_no_more(s, case, given)
        case.epoch, case.title = s["epoch"], s["title"]
        case.grants[case.epoch] = [Grant(s["log_size"], g["user"], g["right"], g["key"]) for g in s["grants"]]

    def need_no_more(self, s, case, given):
        for user in self.users.values():
            before = RANK[self.right(case, user.id, case.epoch, s["log_size"])]
            after = RANK[given.get(user.id)]
            need(after <= before, f"{self.what}: a new epoch gives {user.name} more than before")
            if after < before:
                self.need_right(s, case, "manage")

    def need_grantable(self, item):
        self.need_active(item["user"])
        need(item["right"] in ("read", "add", "manage"), f"{self.what}: unknown right")
        unhex(item["key"], 32, self.what)

    def on_grant(self, s):
        case = self.the_case(s)
        self.need_right(s, case, "manage")
        need(s["epoch"] == case.epoch, f"{self.what}: not the current epoch")
        self.need_grantable(s)
        case.grants[case.epoch].append(Grant(s["log_size"], s["user"], s["right"], s["key"]))

    def on_case_head(self, s):
        case = self.the_case(s)
        self.need_right(s, case, "add")
        need(s["epoch"] == case.epoch, f"{self.what}: not the current epoch")
        head = number(s["count"], self.what), unhex(s["hash"], 32, self.what)
        before = case.heads[-1] if case.heads else (0, bytes(32))
        need(head == before or head[0] > before[0], f"{self.what}: the case shrinks")
        holders = {grant.user for grant in case.grants[case.epoch]}
        need(head == before or not [u for u in holders if self.users[u].removed is not None],
             f"{self.what}: adds without a new epoch though a member of the case was removed")
        case.heads.append(head)

    def on_close(self, s):
        case = self.the_case(s)
        self.need_right(s, case, "manage")
        need(case.closed is None, f"{self.what}: is closed already")
        case.closed = s["log_size"]


# 3. vault.json

class Header:
    def __init__(self, data):
        need(data.endswith(b"\n"), "vault.json: no newline at its end")
        value = parse(data[:-1], "vault.json", "argon2id audit_key casevault format root_key salt signature vault")
        need((value["casevault"], value["format"]) == ("vault", 1), "vault.json: another format")
        need_fields(value["argon2id"], "memory_bytes passes", "vault.json")
        self.passes = number(value["argon2id"]["passes"], "vault.json", 1)
        self.memory = number(value["argon2id"]["memory_bytes"], "vault.json", 8192)
        need(self.passes <= MAX_PASSES and self.memory <= MAX_MEMORY, "vault.json: Argon2id would cost too much")
        self.id, self.salt = unhex(value["vault"], 16, "vault.json"), unhex(value["salt"], 16, "vault.json")
        self.root_key = unhex(value["root_key"], 32, "vault.json")
        self.audit_key = unhex(value["audit_key"], 32, "vault.json")
        signature = unbase64(value.pop("signature"), 64, "vault.json")
        need_signature(self.root_key, "casevault/v1/header", canonical(value), signature, "vault.json")
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
    root_key: bytes
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
    plain = aead_open(D(key, "casevault/v1/slot-seal"), nonce + box, ad, f"slot {index}")
    need(plain[:4] == b"CVS1" and not any(plain[156:]), f"slot {index}: unknown contents")
    slot = Slot(index, plain[4:20].hex(), int.from_bytes(plain[20:24], "big"), plain[24:56], plain[56:88],
                plain[88:120], int.from_bytes(plain[120:124], "big"), plain[124:156])
    need(slot.root_key == header.root_key, f"slot {index}: another root key than vault.json")
    return slot


def find_slot(header, name, passphrase, slots):
    key = slot_key(header, name, passphrase)
    found = [open_slot(header, key, i, slots[1024 * i:1024 * (i + 1)]) for i in range(64)]
    found = [slot for slot in found if slot]
    need(found, "slots: none opens; wrong user or passphrase, or removed")
    return max(found, key=lambda slot: slot.generation)


# 5. handover

@dataclass
class Box:
    """A box of a handover; to be believed once `by` and the signature are checked."""
    epoch: int
    catalogue_key: bytes
    by: str
    signed: bytes
    signature: bytes

    def need_signature(self, public):
        need_signature(public, "casevault/v1/handover", self.signed, self.signature, f"handover/{self.epoch}")


def find_box(vault, header, slot, epoch):
    data, what = read(vault, "handover", str(epoch), size=64 * 200), f"handover/{epoch}"
    for start in range(0, len(data), 200):
        try:
            box = seal_open(slot.box, data[start:start + 200], what)
        except Refused:
            continue
        need(box[:40] == b"CVH1" + header.id + bytes.fromhex(slot.user) + be32(epoch), f"{what}: a box for another")
        return Box(epoch, box[40:72], box[72:88].hex(), box[:88], box[88:])
    return None


# 8. Case databases

@dataclass
class Version:
    """One version of a record. Withdrawn ones have neither details nor content."""
    record: str
    version: int
    change: int
    details: dict = None
    body: bytes = None
    file_key: bytes = None


class OpenCase:
    """A case that the reader has the key of: its chain checked, its records listed."""

    def __init__(self, reader, case, key):
        self.reader, self.case, self.what = reader, case, f"C-{case.number}"
        self.id, epoch = bytes.fromhex(case.id), be32(case.epoch)
        title = aead_open(D(key, "casevault/v1/case-title", self.id), reader.blob(case.title), self.id, self.what)
        self.title = title.decode()
        self.database = open_database(reader.vault, f"cases/{case.id}.{case.epoch}.db",
                                      D(key, "casevault/v1/case-db", self.id + epoch))
        meta = dict(self.database.execute("SELECT key, value FROM meta"))
        need(set(meta) == {"case", "body-names"} and meta["case"] == self.id, f"{self.what}: meta is of another")
        self.body_name_key = meta["body-names"]
        self.chain = Chain(self.database, self.id, self.what)
        self.check_chain()
        self.check_versions()

    # The chain

    def check_chain(self):
        for count, digest in self.case.heads:
            need(count <= len(self.chain) and self.chain.hashes[count] == digest,
                 f"{self.what}: is not what the catalogue says, or older")
        self.records, self.epoch = {}, 1  # records: name -> list of Version, or None once withdrawn
        self.withdrawn = set()
        for n in range(1, len(self.chain) + 1):
            self.apply(n, self.chain.statements[n])

    def apply(self, n, s):
        what = f"{self.what}: change {n}"
        own = {"version": "record version details", "withdraw": "record reason"}.get(s["kind"])
        need(own, f"{what}: unknown kind")
        need_fields(s, "kind by time log_size log_root case epoch " + own, what)
        need(s["case"] == self.case.id and self.epoch <= s["epoch"] <= self.case.epoch, f"{what}: of another epoch")
        self.epoch = s["epoch"]
        right = self.reader.catalogue.right(self.case, s["by"], s["epoch"], s["log_size"])
        need(RANK[right] >= RANK["manage" if s["kind"] == "withdraw" else "add"], f"{what}: lacks the right")
        self.chain.need_signature(n, self.reader.catalogue.users[s["by"]].sign)
        need(re.fullmatch(r"[ET]-[1-9][0-9]*", s["record"]) and s["record"] not in self.withdrawn, f"{what}: record")
        if s["kind"] == "version":
            need(self.case.closed is None or s["log_size"] < self.case.closed, f"{what}: the case was closed")
            versions = self.records.setdefault(s["record"], [])
            need(s["version"] == len(versions) + 1, f"{what}: versions have a gap")
            versions.append(Version(s["record"], s["version"], n))
        else:
            need(s["record"] in self.records, f"{what}: no such record")
            self.withdrawn.add(s["record"])

    # The tables

    def check_versions(self):
        rows = self.database.execute(
            "SELECT change, kind, record, version, details, sha256, body, file_key FROM versions")
        rows = {row[0]: row[1:] for row in rows}
        versions = [version for record in self.records.values() for version in record]
        need(set(rows) == {version.change for version in versions}, f"{self.what}: versions are not those of the chain")
        for version in versions:
            self.check_version(version, *rows[version.change])
        kept = {v.change for v in versions if v.details and v.body is None}
        need(kept == {row[0] for row in self.database.execute("SELECT change FROM contents")},
             f"{self.what}: contents are not those of the versions")

    def check_version(self, version, kind, record, numbered, details, sha256, body, file_key):
        what = f"{self.what}/{version.record}, version {version.version}"
        need((f"{kind}-{record}", numbered) == (version.record, version.version), f"{what}: another row")
        if version.record in self.withdrawn:
            need(details is sha256 is body is file_key is None, f"{what}: is still there though withdrawn")
            return
        need(details is not None, f"{what}: details are missing")
        details = details.encode()
        need(SHA256(details).hex() == self.chain.statements[version.change]["details"], f"{what}: details are changed")
        version.details = parse(details, what, "media_type modified name name_bytes salt sha256 size tags testimony title")
        if version.details["testimony"] is not None:
            need_fields(version.details["testimony"], "consent language place taken_at witness", what)
        need(sha256.hex() == version.details["sha256"], f"{what}: two hashes of one content")
        need((body is None) == (file_key is None), f"{what}: a body and its key go together")
        version.body, version.file_key = None if body is None else unhex(body, 16, what), file_key

    # Content

    def owns(self, name):
        """Whether this case made a body of that name (10)."""
        return name[8:] == D(self.body_name_key, "casevault/v1/body-name", name[:8], 16)[:8]

    def body_path(self, version):
        name = version.body.hex()
        need(self.owns(version.body), f"{self.what}/{version.record}: the name of a body of another case")
        return "bodies", name[:2], name

    def padded(self, version):
        return stream_open(version.file_key, read(self.reader.vault, *self.body_path(version)),
                           f"{self.what}/{version.record}")

    def content(self, version):
        what, size = f"{self.what}/{version.record}", version.details["size"]
        if version.body is None:
            data, = self.database.execute("SELECT data FROM contents WHERE change = ?", (version.change,)).fetchone()
            need(len(data) <= 65536, f"{what}: content that should be a body")
        else:
            data = self.padded(version)
            need(len(data) == padme(size) and not any(data[size:]), f"{what}: the padding is not as it should be")
            data = data[:size]
        need(len(data) == size and SHA256(data).hex() == version.details["sha256"], f"{what}: other content")
        return data


# 9. audit/log

RECORD = 512


class AuditLog:
    def __init__(self, vault, vault_id):
        data = read(vault, "audit", "log")
        self.vault_id = vault_id  # a tail that is no whole record was never acknowledged
        self.records = [data[i:i + RECORD] for i in range(0, len(data) - RECORD + 1, RECORD)]
        need(all(record[:4] == b"CVA1" for record in self.records), "audit/log: not a record of version 1")
        self.roots = tree_roots(self.records)

    def need_prefix(self, size, root, what):
        need(0 <= size < len(self.roots) and self.roots[size] == root, f"{what}: the audit log is not the one it cites")

    def newest_state(self, catalogue_key):
        """(count, hash): the newest head of the catalogue's chain that the log knows of, or None."""
        key = D(catalogue_key, "casevault/v1/audit-state", self.vault_id)
        for index in range(len(self.records) - 1, -1, -1):
            try:
                state = aead_open(key, self.records[index][84:164], self.vault_id + be64(index), "state")
                return int.from_bytes(state[:8], "big"), state[8:]
            except Refused:
                continue
        return None

    def entry(self, index, audit_secrets, users):
        """The JSON of an entry, its signature checked."""
        record, what = self.records[index], f"audit/log: entry {index}"
        place = self.vault_id + be64(index) + self.roots[index]
        plain = aead_open(D(self.session_key(record, audit_secrets, what), "casevault/v1/audit-entry-key", be64(index)),
                          record[164:], place, what)
        end = 66 + int.from_bytes(plain[64:66], "big")
        need(end <= len(plain) and not any(plain[end:]), f"{what}: is not padded with zeros")
        value = parse(plain[66:end], what, "action by device objects outcome time")
        if value["by"]:
            need(value["by"] in users, f"{what}: by nobody known")
            need_signature(users[value["by"]].sign, "casevault/v1/audit-entry", place + plain[66:end], plain[:64], what)
        else:
            need(not any(plain[:64]), f"{what}: signed by nobody")
        return value

    @staticmethod
    def session_key(record, audit_secrets, what):
        for secret in reversed(audit_secrets):
            try:
                return seal_open(secret, record[4:84], what)
            except Refused:
                continue
        raise Refused(f"{what}: is sealed to no audit key")


# 6. Requests to join

def open_request(header, audit_secret, data, what):
    """The user who asks, and the time, the signature checked."""
    need(len(data) == 1024 + 640 + 48, f"{what}: has {len(data)} bytes")
    slot, padded = data[:1024], seal_open(audit_secret, data[1024:], what)
    value = parse(padded.rstrip(b" "), what, "signature time user")
    need_fields(value["user"], "box id name sign", what)
    message = header.id + canonical(value["user"]) + be64(number(value["time"], what)) + SHA256(slot)
    need_signature(unhex(value["user"]["sign"], 32, what), "casevault/v1/join-request", message,
                   unbase64(value["signature"], 64, what), what)
    return value["user"], value["time"]


# All of it

class Reader:
    """A vault, opened for one user: everything is checked here but the content of records and the audit entries."""

    def __init__(self, vault, name, passphrase):
        self.vault = vault
        self.header = Header(read(vault, "vault.json"))
        self.slots = read(vault, "slots", size=64 * 1024)
        self.slot = find_slot(self.header, name, passphrase, self.slots)
        self.catalogue_key, self.epoch, box = self.find_catalogue_key()
        self.database = open_database(self.vault, "catalog.db", self.database_key(self.catalogue_key, self.epoch))
        chain = Chain(self.database, self.header.id, "catalogue")
        self.catalogue = Catalogue(chain, self.header.id, self.header.root_key)
        need(self.catalogue.epoch == self.epoch, "catalogue: its epoch is not that of its key")
        self.check_user(name)
        if box:
            self.check_box(box)
        self.check_files()
        self.check_log(chain)
        self.open_role_keys()
        self.cases = [self.open_case(case) for case in self.catalogue.cases.values()]

    # The catalogue key (4, 5)

    def database_key(self, catalogue_key, epoch):
        return D(catalogue_key, "casevault/v1/catalog-db", self.header.id + be32(epoch))

    def find_catalogue_key(self):
        """(key, epoch, box that it came from): of those in reach the one that the catalogue is encrypted with."""
        salt = read(self.vault, "catalog.db")[:16]
        if self.slot.epoch and database_salt(self.database_key(self.slot.catalogue_key, self.slot.epoch)) == salt:
            return self.slot.catalogue_key, self.slot.epoch, None
        epochs = [int(name) for name in os.listdir(os.path.join(self.vault, "handover")) if name.isdecimal()]
        for epoch in sorted(epochs, reverse=True):
            box = find_box(self.vault, self.header, self.slot, epoch)
            if box and database_salt(self.database_key(box.catalogue_key, epoch)) == salt:
                return box.catalogue_key, epoch, box
        raise Refused("catalog.db: no key for it in the slot or a handover; not let in, or removed")

    def check_box(self, box):
        by = self.catalogue.users.get(box.by)
        need(by and by.role == "owner", f"handover/{box.epoch}: not by an owner")
        box.need_signature(by.sign)

    # What the catalogue says of other files

    def check_user(self, name):
        user = self.catalogue.users.get(self.slot.user)
        need(user and user.removed is None and user.name == name, "slots: not of an active user")
        need(user.sign == sodium.crypto_sign_seed_keypair(self.slot.seed)[0] and user.box == public_key(self.slot.box),
             "slots: the keys are not those of the user")
        self.user = user

    def check_files(self):
        need(self.header.hash == self.catalogue.header, "vault.json: not the newest")
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

    def check_log(self, chain):
        self.log = AuditLog(self.vault, self.header.id)
        size, root = self.database.execute("SELECT size, root FROM log_head").fetchone()
        self.log.need_prefix(size, root, "catalogue: log_head")
        chain.need_log(self.log.roots)
        state = self.log.newest_state(self.catalogue_key)
        need(state is None or state[0] <= len(chain) and chain.hashes[state[0]] == state[1],
             "catalogue: older than the audit log says, or another")

    def open_role_keys(self):
        self.audit_secrets = []
        digest = self.catalogue.role_keys[self.user.id]
        if digest:
            plain, what = seal_open(self.slot.box, self.blob(digest), "role keys"), "role keys"
            need(plain[:4] == b"CVR1" and len(plain) == 38 + 32 * plain[37], f"{what}: unknown contents")
            need(plain[4] == (self.user.role == "owner"), f"{what}: not of the role")
            root = sodium.crypto_sign_seed_keypair(plain[5:37])[0] if plain[4] else None
            need(root in (None, self.header.root_key), f"{what}: another root key")
            self.audit_secrets = [plain[i:i + 32] for i in range(38, len(plain), 32)]
            need(public_key(self.audit_secrets[-1]) == self.header.audit_key, f"{what}: another audit key")

    # Cases and records

    def open_case(self, case):
        """An OpenCase, or the Case as it is where this user may not read it."""
        grants = [grant for grant in case.grants.get(case.epoch, ()) if grant.user == self.user.id]
        if not grants:
            return case
        key = seal_open(self.slot.box, self.blob(grants[-1].key), f"C-{case.number}: key")
        opened = OpenCase(self, case, key)
        opened.chain.need_log(self.log.roots)
        return opened

    def find(self, name):
        """(OpenCase, Version) of `C-1/E-3`, or of `C-1/E-3@2` where not the newest version is meant."""
        match = re.fullmatch(r"C-([0-9]+)/([ET]-[0-9]+)(?:@([0-9]+))?", name)
        need(match and 0 < int(match[1]) <= len(self.cases), f"{name}: no such case")
        case = self.cases[int(match[1]) - 1]
        need(isinstance(case, OpenCase), f"{name}: no right to read the case")
        versions = case.records.get(match[2], [])
        need(0 < int(match[3] or 1) <= len(versions), f"{name}: no such record or version")
        version = versions[int(match[3] or 0) - 1]
        need(version.details, f"{name}: is withdrawn")
        return case, version

    def cat(self, name):
        case, version = self.find(name)
        return case.content(version)

    def list(self):
        for case in self.cases:
            if not isinstance(case, OpenCase):
                yield f"C-{case.number}\t(no right to read)"
                continue
            yield f"{case.what}\t{case.title}"
            for name, versions in case.records.items():
                details = versions[-1].details
                text = f"{details['size']}\t{details['title'] or details['name']}" if details else "-\t(withdrawn)"
                yield f"{case.what}/{name}\t{len(versions)}\t{text}"

    # Everything

    def check(self):
        """Reads everything; (count, of what) for each kind of thing."""
        opened = [case for case in self.cases if isinstance(case, OpenCase)]
        versions = [(case, v) for case in opened for record in case.records.values() for v in record if v.details]
        size = sum(len(case.content(version)) for case, version in versions)
        yield len(self.catalogue.active()), "active users"
        yield len(self.catalogue.chain), "changes of the catalogue"
        yield len(opened), f"cases of {len(self.cases)} readable"
        yield sum(len(case.chain) for case in opened), "changes of cases"
        yield len(versions), "versions read"
        yield size, "bytes of content"
        yield self.count_leftovers(opened, versions), "leftover bodies"
        yield len(self.log.records), "records in the audit log"
        if self.audit_secrets:
            yield len(self.entries()), "entries opened"
            yield len(self.requests()), "requests to join"

    def count_leftovers(self, opened, versions):
        """Bodies of these cases that no version names (10)."""
        used = {version.body for _, version in versions}
        names = [bytes.fromhex(name) for _, _, files in os.walk(os.path.join(self.vault, "bodies"))
                 for name in files if not name.startswith(".")]
        return sum(case.owns(name) and name not in used for case in opened for name in names)

    def entries(self):
        need(self.audit_secrets, "audit: no right to read it")
        return [self.log.entry(i, self.audit_secrets, self.catalogue.users) for i in range(len(self.log.records))]

    def requests(self):
        names = sorted(os.listdir(os.path.join(self.vault, "handover")))
        return [open_request(self.header, self.audit_secrets[-1], read(self.vault, "handover", name), name)
                for name in names if re.fullmatch(r"join-[0-9a-f]{16}", name)]


def main():
    parser = argparse.ArgumentParser(description="Reads a casevault vault.", allow_abbrev=False)
    parser.add_argument("vault")
    parser.add_argument("user")
    parser.add_argument("--passphrase-file", required=True)
    parser.add_argument("command", nargs="?", choices=("list", "cat", "check"), default="check")
    parser.add_argument("object", nargs="?")
    options = parser.parse_intermixed_args()
    with open(options.passphrase_file, "rb") as file:
        passphrase = file.readline().rstrip(b"\n")
    try:
        reader = Reader(options.vault, options.user, passphrase)
        if options.command == "cat":
            sys.stdout.buffer.write(reader.cat(options.object or ""))
        for line in reader.list() if options.command == "list" else ():
            print(line)
        for count, what in reader.check() if options.command == "check" else ():
            print(f"{count} {what}")
    except Refused as reason:
        print(f"casevault_reader: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
