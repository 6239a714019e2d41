#!/usr/bin/python3
"""Checks that an audit entry is in the log of a vault. For whoever was given a proof: no vault and no casevault needed.

casevault_proof.py PROOF-FILE KEY

PROOF-FILE was written by `casevault audit prove`; KEY is the verifier key of the log ("name+id+key"), got from the
organisation by another way. Checked are: the log's signature under its checkpoint, the inclusion of the record, and
the entry in it: its seal, the tree that it was written over, and the signature of the person who did what it tells.

Written from docs/format.md (sections 1, 9 and 11) and the specifications c2sp.org/signed-note, c2sp.org/tlog-checkpoint
and c2sp.org/tlog-proof alone. Exit status: 0 all holds, 1 something does not (said on standard error), 2 wrong usage.
"""
import base64
import binascii
import datetime
import hashlib
import json
import re
import sys

from nacl import bindings as sodium
from nacl.exceptions import CryptoError

MAX_PROOF = 1 << 20  # bytes
MAX_SIGNATURES = 100
RECORD, SEALED_ENTRY = 512, 4 + 80 + 80  # bytes of a record, and where the entry in it begins


class Refused(Exception):
    """Something does not hold; the text says what."""


def need(condition, reason):
    if not condition:
        raise Refused(reason)


def unbase64(text, what, size=None):
    """The bytes of canonical base64 (RFC 4648 section 4), of which there are `size`, or any number but zero."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"{what}: is not base64") from None
    need(base64.b64encode(data).decode() == text, f"{what}: is not canonical base64")
    need(len(data) == size if size else data, f"{what}: has {len(data)} bytes")
    return data


def number(text, what):
    need(re.fullmatch("0|[1-9][0-9]{0,19}", text, re.ASCII) and int(text) < 1 << 64, f"{what}: is no number")
    return int(text)


def verified(public, message, signature):
    """libsodium's rules: canonical S, no keys of small order."""
    if len(signature) != 64:  # else the message would lend it what is missing
        return False
    try:
        sodium.crypto_sign_open(signature + message, public)
        return True
    except (CryptoError, ValueError, TypeError):
        return False


def be64(n):
    return n.to_bytes(8, "big")


# c2sp.org/signed-note

def need_key_name(name, what):
    need(name and "+" not in name and not any(c.isspace() for c in name), f"{what}: a name of a key is not allowed")


class VerifierKey:
    """An Ed25519 key of a log, by its text."""

    def __init__(self, text):
        need(text.isprintable(), "key: has characters that it must not have")
        parts = text.split("+", 2)
        need(len(parts) == 3, "key: is not name+id+key")
        self.name, key = parts[0], unbase64(parts[2], "key")
        need_key_name(self.name, "key")
        need(len(key) == 33 and key[0] == 1, "key: is not of type 1 (Ed25519)")
        self.id, self.public = hashlib.sha256(self.name.encode() + b"\n" + key).digest()[:4], key[1:]
        need(parts[1] == self.id.hex(), "key: its id does not belong to its name and key")


def verified_note(note, key):
    """The text of a signed note, once `key` has signed it. Signatures of others are passed over."""
    need(not re.search("[\x00-\x09\x0b-\x1f]", note), "checkpoint: has control characters")
    text, empty_line, signatures = note.rpartition("\n\n")
    need(empty_line and signatures.endswith("\n"), "checkpoint: has no signature")
    text += "\n"
    lines = signatures[:-1].split("\n")
    need(len(lines) <= MAX_SIGNATURES, "checkpoint: has too many signatures")
    ours = [data for name, data in map(parse_signature, lines) if (name, data[:4]) == (key.name, key.id)]
    need(ours, f"checkpoint: is not signed by {key.name} with this key")
    need(verified(key.public, text.encode(), ours[0][4:]), f"checkpoint: the signature of {key.name} is not valid")
    return text


def parse_signature(line):
    """(name, key id and signature)"""
    need(line.startswith("\u2014 ") and line.count(" ") == 2, "checkpoint: a line of signature is malformed")
    _, name, data = line.split(" ")
    need_key_name(name, "checkpoint")
    data = unbase64(data, "checkpoint: signature")
    need(len(data) > 4, "checkpoint: a signature is too short")
    return name, data


# c2sp.org/tlog-checkpoint

def parse_checkpoint(text, key):
    """(size, root); lines of extension say nothing here."""
    lines = text.split("\n")[:-1]
    need(len(lines) >= 3 and all(lines), "checkpoint: a line is missing or empty")
    need(lines[0] == key.name, "checkpoint: is of another log than the key")
    return number(lines[1], "checkpoint: size"), unbase64(lines[2], "checkpoint: root", 32)


# RFC 6962 section 2.1

def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def climb(leaf, index, size, path):
    """(root, root of the tree of the leaves before this one), as a path of hashes says.

    From the top down: the left half of a tree is the largest full one that is smaller. What lies to the left of the way
    is the tree of the leaves before.
    """
    need(index < size, "inclusion: the log is shorter")
    if size == 1:
        need(not path, "inclusion: the path has too many hashes")
        return leaf, hashlib.sha256(b"").digest()
    need(path, "inclusion: the path has too few hashes")
    half, sibling = 1 << (size - 1).bit_length() - 1, path[-1]
    if index < half:
        root, before = climb(leaf, index, half, path[:-1])
        return node(root, sibling), before
    root, before = climb(leaf, index - half, size - half, path[:-1])
    return node(sibling, root), sibling if index == half else node(sibling, before)


# c2sp.org/tlog-proof

class Proof:
    """A proof taken apart; nothing is checked yet."""

    def __init__(self, data):
        need(len(data) <= MAX_PROOF, "proof: is too long")
        try:
            head, empty_line, self.note = data.decode().partition("\n\n")
        except UnicodeDecodeError:
            raise Refused("proof: is not UTF-8") from None
        need(empty_line, "proof: has no checkpoint")
        lines = head.split("\n")
        need(lines.pop(0) == "c2sp.org/tlog-proof@v1", "proof: does not begin as a proof of version 1 does")
        need(lines and lines[0].startswith("extra "), "proof: has no extra data, so no entry is disclosed")
        self.extra = unbase64(lines.pop(0)[6:], "proof: extra data")
        need(lines and lines[0].startswith("index "), "proof: has no index")
        self.index = number(lines.pop(0)[6:], "proof: index")
        self.path = [unbase64(line, "proof: hash", 32) for line in lines]

    def check(self, leaf, key):
        """(size of the log that was signed, root of the tree before the leaf)."""
        size, root = parse_checkpoint(verified_note(self.note, key), key)
        found, before = climb(leaf, self.index, size, self.path)
        need(found == root, "inclusion: the record is not in the log that was signed")
        return size, before


# docs/format.md: JSON, and what is disclosed

def is_hex(size):
    return lambda value: isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{2 * size}}}", value)


def is_text(value):
    return isinstance(value, str)


def is_count(value):
    return type(value) is int and 0 <= value <= 1 << 53


def is_time(value):
    return type(value) is int and -(1 << 53) <= value <= 1 << 53


def shape(**tests):
    return lambda value: (isinstance(value, dict) and set(value) == set(tests)
                          and all(test(value[name]) for name, test in tests.items()))


USER = shape(box=is_hex(32), id=is_hex(16), name=is_text, sign=is_hex(32))
DISCLOSED = shape(casevault=lambda value: value == "audit-entry", entry_key=is_hex(32), index=is_count, record=is_text,
                  user=lambda value: value is None or USER(value), vault=is_hex(16))
ENTRY = shape(action=is_text, by=lambda value: value == "" or is_hex(16)(value), device=is_text, objects=is_text,
              outcome=is_text, time=is_time)


def parse_json(data, test, what):
    """The object that canonical JSON of this shape stands for."""
    try:
        value = json.loads(data.decode())
        canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refused(f"{what}: is no JSON") from None
    need(canonical == data, f"{what}: is no canonical JSON")
    need(test(value), f"{what}: fields are missing, unknown, or not what they should be")
    return value


# docs/format.md section 9

def open_entry(record, key, place):
    """(signature, root of the tree before it, JSON) of a record."""
    need(record[:4] == b"CVA1", "record: is not of version 1")
    box = record[SEALED_ENTRY:]
    try:
        plain = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(box[24:], place, box[:24], key)
    except (CryptoError, ValueError):
        raise Refused("record: the key does not open the entry") from None
    end = 98 + int.from_bytes(plain[96:98], "big")
    need(end <= len(plain) and not any(plain[end:]), "record: the entry is padded in another way")
    return plain[:64], plain[64:96], plain[98:end]


def check_author(entry, user, signed, signature):
    if not entry["by"]:
        need(user is None, "entry: is by nobody, but somebody is named")
        need(not any(signature), "entry: has a signature of nobody")
        return
    need(user is not None, "entry: it is not disclosed whose it is")
    need(user["id"] == entry["by"], "entry: is by somebody else")
    need(verified(bytes.fromhex(user["sign"]), b"casevault/v1/audit-entry\0" + signed, signature),
         "entry: the signature of the person is not valid")


def check(data, key):
    """(disclosed, entry, size of the log), all checked that can be."""
    proof = Proof(data)
    disclosed = parse_json(proof.extra, DISCLOSED, "extra data")
    need(disclosed["index"] == proof.index, "extra data: another index than the proof's")
    origin = re.fullmatch("casevault/([0-9a-f]{32})", key.name)
    need(not origin or origin[1] == disclosed["vault"], "extra data: another vault than the log's")
    record = unbase64(disclosed["record"], "record", RECORD)
    size, before = proof.check(hashlib.sha256(b"\0" + record).digest(), key)
    place = bytes.fromhex(disclosed["vault"]) + be64(proof.index)
    signature, root, text = open_entry(record, bytes.fromhex(disclosed["entry_key"]), place)
    need(root == before, "entry: was written over another log than what lies before it")
    entry = parse_json(text, ENTRY, "entry")
    check_author(entry, disclosed["user"], place + root + text, signature)
    return disclosed, entry, size


# docs/format.md section 11

def proquints(data):
    def word(n):
        consonants, vowels = "bdfghjklmnprstvz", "aiou"
        return (consonants[n >> 12] + vowels[n >> 10 & 3] + consonants[n >> 6 & 15] + vowels[n >> 4 & 3]
                + consonants[n & 15])
    return "-".join(word(int.from_bytes(data[i:i + 2], "big")) for i in range(0, len(data), 2))


def fingerprint(vault, user):
    name = user["name"].encode()
    parts = [b"casevault/v1/user-fingerprint", bytes.fromhex(vault), bytes.fromhex(user["id"]),
             len(name).to_bytes(4, "big"), name, bytes.fromhex(user["sign"]), bytes.fromhex(user["box"])]
    return proquints(hashlib.blake2b(b"".join(parts), digest_size=16).digest())


# For people

def printable(text):
    return "".join(c if c.isprintable() else "?" for c in text)


def utc(milliseconds):
    try:
        start = datetime.datetime(1970, 1, 1)
        return (start + datetime.timedelta(milliseconds=milliseconds)).isoformat(" ", "milliseconds") + " UTC"
    except OverflowError:
        return f"{milliseconds} ms"


def report(disclosed, entry, size, key):
    user = disclosed["user"]
    yield "log", f"{key.name}, signed at {size} entries"
    yield "entry", f"{disclosed['index']} (counting from 0), in the log"
    yield "action", entry["action"]
    yield "objects", entry["objects"]
    yield "outcome", entry["outcome"]
    yield "time", f"{utc(entry['time'])}, by the clock of the writer"
    yield "device", entry["device"]
    if user is None:
        yield "user", "nobody was unlocked: not signed"
        return
    yield "user", f"{user['name']}, who signed it with the key below"
    yield "fingerprint", f"{fingerprint(disclosed['vault'], user)}: compare it, for the name is shown by nothing else"
    yield "sign key", user["sign"]


def main(arguments):
    if len(arguments) != 2:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    try:
        with open(arguments[0], "rb") as file:
            data = file.read(MAX_PROOF + 1)
        key = VerifierKey(arguments[1])
        for name, value in report(*check(data, key), key):
            print(f"{name + ':':13}{printable(value)}")
    except OSError as error:
        print(f"casevault_proof: {error}", file=sys.stderr)
        return 2
    except Refused as reason:
        print(f"casevault_proof: NOT PROVEN: {printable(str(reason))}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
