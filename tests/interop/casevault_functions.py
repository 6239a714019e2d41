"""What docs/format.md is built from: JSON, functions (1), age payloads (10), Merkle trees (9), databases (7).

Part of casevault_reader.py, the independent reader; numbers in comments are sections of the document.
"""
import base64
import hashlib
import hmac
import json
import os
import re
import sqlite3

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl import bindings as sodium
from nacl.exceptions import CryptoError


class Refused(Exception):
    """Something is not as the document says; the text says what."""


def need(condition, reason):
    if not condition:
        raise Refused(reason)


def read(vault, *names, size=None):
    what, path = "/".join(names), os.path.join(vault, *names)
    need(os.path.isfile(path), f"{what}: is missing")
    with open(path, "rb") as file:
        data = file.read()
    need(size is None or len(data) == size, f"{what}: has {len(data)} bytes")
    return data


# Canonical JSON. A shape has a test for each field; what has other fields, or fails a test, is refused.

def TEXT(value):
    return isinstance(value, str)


def NUMBER(value):
    return type(value) is int and 0 <= value < 1 << 63


def U32(value):
    return NUMBER(value) and value < 1 << 32


def TIME(value):
    return type(value) is int and -1 << 63 <= value < 1 << 63


def HEX(value):
    return isinstance(value, str) and re.fullmatch("([0-9a-f]{2})*", value)


def ID(value):
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{32}", value)


def NAME(value):
    return isinstance(value, str) and 1 <= len(value.encode()) <= 64 and not re.search("[\0-\x1f\x7f/]", value)


def HASH(value):
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)


def SIGNATURE(value):
    return isinstance(value, str) and re.fullmatch("[A-Za-z0-9+/]{86}==", value)


def one_of(*values):
    return lambda value: any(value is v or isinstance(value, str) and value == v for v in values)


def list_of(test):
    return lambda value: isinstance(value, list) and all(test(item) for item in value)


def shape(**tests):
    return lambda value: (isinstance(value, dict) and set(value) == set(tests)
                          and all(tests[name](value[name]) for name in tests))


USER = shape(box=HASH, id=ID, name=NAME, sign=HASH)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse(data, what, test):
    """The object that canonical JSON of this shape stands for."""
    try:
        value = json.loads(data.decode())
        need(canonical(value) == data, f"{what}: JSON is not canonical")
    except (ValueError, RecursionError):
        raise Refused(f"{what}: no JSON") from None
    need(test(value), f"{what}: fields are missing, unknown, or not what they should be")
    return value


def unbase64(text, what):
    data = base64.b64decode(text)
    need(base64.b64encode(data).decode() == text, f"{what}: is not canonical base64")
    return data



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


def box_public_key(secret):
    return sodium.crypto_scalarmult_base(secret)


def sign_public_key(seed):
    return sodium.crypto_sign_seed_keypair(seed)[0]


def seal_open(secret, box, what):
    try:
        return sodium.crypto_box_seal_open(box, box_public_key(secret), secret)
    except (CryptoError, ValueError, TypeError):
        raise Refused(f"{what}: is not sealed to this key") from None


def need_signature(public, domain, message, signature, what):
    try:
        sodium.crypto_sign_open(signature + domain.encode() + b"\0" + message, public)
    except (CryptoError, ValueError):
        raise Refused(f"{what}: the signature is not valid") from None


# 10. Age payloads and padding

SEALED_CHUNK = 65536 + 16


def stream_open(file_key, payload, what):
    """The plaintext of an age payload."""
    key = HKDF(hashes.SHA256(), 32, salt=payload[:16], info=b"payload").derive(file_key)
    cipher, plain = ChaCha20Poly1305(key), []
    chunks = [payload[i:i + SEALED_CHUNK] for i in range(16, len(payload), SEALED_CHUNK)]
    need(chunks and (len(chunks) == 1 or len(chunks[-1]) > 16), f"{what}: is no age payload")
    for counter, chunk in enumerate(chunks):
        last = b"\1" if counter == len(chunks) - 1 else b"\0"
        try:
            plain.append(cipher.decrypt(counter.to_bytes(11, "big") + last, chunk, None))
        except (InvalidTag, ValueError):
            raise Refused(f"{what}: chunk {counter} does not decrypt") from None
    return b"".join(plain)


def padme(size):
    if size < 2:
        return size
    e = size.bit_length() - 1  # floor(log2 size)
    s = e.bit_length()  # floor(log2 e) + 1
    rest = (1 << (e - s)) - 1
    return (size + rest) & ~rest


# 9. Merkle trees (RFC 6962)

def tree_roots(records):
    """The root of the tree of the first n records, for n = 0, 1, ... len(records)."""
    roots, perfect = [SHA256(b"")], []  # perfect: (leaves, hash) of the perfect subtrees, from left to right
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


# 7. Databases

PAGE, RESERVED = 4096, 80


def database_salt(key):
    return D(key, "casevault/v1/database-salt", n=16)


def decrypt_pages(data, key, what):
    """A plain SQLite file from one of SQLCipher 4."""
    raw, salt = D(key, "casevault/v1/database-key"), database_salt(key)
    need(data and len(data) % PAGE == 0 and data[:16] == salt, f"{what}: is no database under this key")
    mac_key = hashlib.pbkdf2_hmac("sha512", raw, bytes(b ^ 0x3a for b in salt), 2, 32)
    plain = [b"SQLite format 3\0"]
    for page in range(1, len(data) // PAGE + 1):
        start, end = 16 if page == 1 else (page - 1) * PAGE, page * PAGE
        body, iv, mac = data[start:end - 80], data[end - 80:end - 64], data[end - 64:end]
        expected = hmac.digest(mac_key, body + iv + page.to_bytes(4, "little"), "sha512")
        need(hmac.compare_digest(mac, expected), f"{what}: page {page} is damaged or forged")
        decryptor = Cipher(algorithms.AES(raw), modes.CBC(iv)).decryptor()
        plain.append(decryptor.update(body) + decryptor.finalize() + bytes(RESERVED))
    plain = b"".join(plain)
    need(plain[20] == RESERVED, f"{what}: reserves {plain[20]} bytes of a page")
    return plain


def open_database(vault, name, key):
    """The database, decrypted in memory."""
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

COMMON = {"kind": TEXT, "by": ID, "time": TIME, "log_size": NUMBER, "log_root": HASH}


class Chain:
    """The table `changes`. Links are checked here, signatures by whoever knows the keys. Numbers count from 1."""

    def __init__(self, database, scope, kinds, what):
        """kinds: for each kind of statement, the tests of its own fields."""
        self.scope, self.what = scope, what
        self.shapes = {kind: shape(**COMMON, **own) for kind, own in kinds.items()}
        self.statements, self.hashes, self.signatures = [None], [bytes(32)], [b""]
        rows = database.execute("SELECT number, statement, signature, hash FROM changes ORDER BY number")
        for expected, (n, statement, signature, digest) in enumerate(rows, 1):
            need(n == expected, f"{what}: change {expected} is missing")
            self.append(n, statement.encode(), signature, digest)

    def append(self, n, statement, signature, digest):
        what = self.name(n)
        link = SHA256(b"casevault/v1/change\0" + self.hashes[-1] + be64(n) + SHA256(statement))
        need(link == digest, f"{what}: its hash does not fit")
        value = parse(statement, what, lambda v: isinstance(v, dict) and self.shapes.get(v.get("kind"), ID)(v))
        need(n == 1 or value["log_size"] >= self.statements[-1]["log_size"], f"{what}: log_size falls")
        self.statements.append(value)
        self.hashes.append(link)
        self.signatures.append(signature)

    def __len__(self):
        return len(self.statements) - 1

    def name(self, n):
        return f"{self.what}, change {n}"

    def need_signature(self, n, public):
        message = self.scope + be64(n) + self.hashes[n]
        need_signature(public, "casevault/v1/change", message, self.signatures[n], self.name(n))

    def need_log(self, roots):
        """Each statement cites a tree that the audit log has had."""
        for n, value in enumerate(self.statements[1:], 1):
            need(value["log_size"] < len(roots) and roots[value["log_size"]].hex() == value["log_root"],
                 f"{self.name(n)}: cites another audit log")
