#!/usr/bin/python3
"""Proofs of audit entries, checked by casevault_proof.py, which shares no code with the program.

First proofs made here by hand, good ones and forged ones: the checker must tell them apart, and say why. Then, where
the program has `audit prove`, proofs of its own.
"""
import base64
import copy
import hashlib
import json
import os
import re
import subprocess
import sys

from nacl import bindings as sodium

import casevault_proof
from casevault_functions import D, be64, canonical
from casevault_program import Checks, Program, temporary_folder

CHECKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "casevault_proof.py")
HASH = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
DASH = "\u2014"


def b64(data):
    return base64.b64encode(data).decode()


def sign(seed, message):
    return sodium.crypto_sign(message, sodium.crypto_sign_seed_keypair(seed)[1])[:64]


# RFC 6962 section 2.1, word for word

def split(leaves):
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return leaves[:k], leaves[k:]


def tree_root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    left, right = split(leaves)
    return hashlib.sha256(b"\1" + tree_root(left) + tree_root(right)).digest()


def tree_path(leaves, m):
    if len(leaves) == 1:
        return []
    left, right = split(leaves)
    if m < len(left):
        return tree_path(left, m) + [tree_root(right)]
    return tree_path(right, m - len(left)) + [tree_root(left)]


class HandMade:
    """A log of a vault, written from docs/format.md section 9; what a proof is made from can be changed before."""

    def __init__(self, size):
        self.vault, self.seed, self.author = os.urandom(16), os.urandom(32), os.urandom(32)
        self.user = {"box": os.urandom(32).hex(), "id": os.urandom(16).hex(), "name": "Анна",
                     "sign": sodium.crypto_sign_seed_keypair(self.author)[0].hex()}
        self.session, self.name = os.urandom(32), f"casevault/{self.vault.hex()}"
        self.records = []
        for index in range(size):
            self.append(self.entry(index))

    def entry(self, index):
        return {"action": "cat", "by": self.user["id"], "device": "desk", "objects": f"C-1/E-{index}",
                "outcome": "done", "time": 1714550400000 + index}

    def leaves(self):
        return [hashlib.sha256(b"\0" + record).digest() for record in self.records]

    def place(self, index):
        return self.vault + be64(index)

    def entry_key(self, index):
        return D(self.session, "casevault/v1/audit-entry-key", be64(index))

    def append(self, entry, root=None, signature=None, padding=b"", magic=b"CVA1"):
        index, text = len(self.records), entry if isinstance(entry, bytes) else canonical(entry)
        root = root or tree_root(self.leaves())
        if signature is None:
            signature = sign(self.author, b"casevault/v1/audit-entry\0" + self.place(index) + root + text)
        plain = (signature + root + len(text).to_bytes(2, "big") + text + padding).ljust(308, b"\0")
        nonce = os.urandom(24)
        sealed = nonce + sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
            plain, self.place(index), nonce, self.entry_key(index))
        self.records.append(magic + os.urandom(160) + sealed)
        assert len(self.records[-1]) == 512

    def key(self, name=None):
        name, public = name or self.name, b"\1" + sodium.crypto_sign_seed_keypair(self.seed)[0]
        self.key_id = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
        return f"{name}+{self.key_id.hex()}+{b64(public)}"

    def disclosed(self, index):
        return {"casevault": "audit-entry", "entry_key": self.entry_key(index).hex(), "index": index,
                "record": b64(self.records[index]), "user": copy.deepcopy(self.user), "vault": self.vault.hex()}

    def checkpoint(self, text=None):
        self.key()
        text = text or f"{self.name}\n{len(self.records)}\n{b64(tree_root(self.leaves()))}\n"
        return f"{text}\n{DASH} {self.name} {b64(self.key_id + sign(self.seed, text.encode()))}\n"

    def proof(self, index, change=None, note=None):
        """The whole proof, as text; `change` may change what is disclosed."""
        disclosed = self.disclosed(index)
        if change:
            change(disclosed)
        path = "".join(b64(digest) + "\n" for digest in tree_path(self.leaves(), index))
        return (f"c2sp.org/tlog-proof@v1\nextra {b64(canonical(disclosed))}\nindex {index}\n{path}\n"
                f"{note or self.checkpoint()}")


def check(text, key):
    return casevault_proof.check(text.encode(), casevault_proof.VerifierKey(key))


def refusal(text, key):
    try:
        check(text, key)
        return None
    except casevault_proof.Refused as reason:
        return str(reason)


def check_good(checks):
    for size in range(1, 18):
        made = HandMade(size)
        for index in range(size):
            found = check(made.proof(index), made.key())
            checks.equal(found, (made.disclosed(index), made.entry(index), size), f"entry {index} of {size}")
    made = HandMade(2)
    made.append({**made.entry(2), "by": "", "action": "unlock", "outcome": "failed"}, signature=bytes(64))
    text = made.proof(2, lambda d: d.update(user=None))
    checks.equal(check(text, made.key())[1]["outcome"], "failed", "an entry of nobody")
    witnessed = made.proof(0) + f"{DASH} witness.example {b64(os.urandom(76))}\n"
    checks.equal(refusal(witnessed, made.key()), None, "a signature of a key that is not known")
    extended = made.checkpoint(f"{made.name}\n3\n{b64(tree_root(made.leaves()))}\nan extension\n")
    checks.equal(refusal(made.proof(0, note=extended), made.key()), None, "a line of extension")
    made.name = "log.example/another-name"
    checks.equal(refusal(made.proof(1), made.key()), None, "a log that is not named after a vault")


# Forgeries. Each is (what, text of the proof, key, how the reason begins).

def changed(made, **fields):
    return made.proof(5, lambda disclosed: disclosed.update(fields))


def forged_extra(made):
    """What somebody who passes a proof on may change: extra data is signed by nobody."""
    other = HandMade(6)
    cut, flipped = b64(made.records[5][:-1]), b64(made.records[5][:-1] + bytes([made.records[5][-1] ^ 1]))
    for what, fields, reason in [
            ("another entry's record", {"record": b64(made.records[4])}, "inclusion: the record is not in the log"),
            ("a changed record", {"record": flipped}, "inclusion: the record is not"),
            ("a short record", {"record": cut}, "record: has 511 bytes"),
            ("another index", {"index": 4}, "extra data: another index"),
            ("another vault", {"vault": other.vault.hex()}, "extra data: another vault"),
            ("another entry's key", {"entry_key": made.entry_key(4).hex()}, "record: the key does not open"),
            ("another person", {"user": other.user}, "entry: is by somebody else"),
            ("another key of this person", {"user": {**made.user, "sign": other.user["sign"]}}, "entry: the signature"),
            ("a key of small order", {"user": {**made.user, "sign": "01" + "00" * 31}}, "entry: the signature"),
            ("nobody", {"user": None}, "entry: it is not disclosed whose"),
            ("a field more", {"more": 1}, "extra data: fields"),
            ("another kind", {"casevault": "vault"}, "extra data: fields"),
            ("an index that is no number", {"index": True}, "extra data: fields"),
            ("a person with a field more", {"user": {**made.user, "role": "owner"}}, "extra data: fields")]:
        yield what, changed(made, **fields), made.key(), reason
    loose = json.dumps(made.disclosed(5)).encode()
    text = re.sub("extra .*", f"extra {b64(loose)}", made.proof(5))
    yield "JSON with white space", text, made.key(), "extra data: is no canonical JSON"
    yield "no JSON", re.sub("extra .*", "extra AAAA", text), made.key(), "extra data: is no JSON"
    yield "no extra data", re.sub("extra .*\n", "", text), made.key(), "proof: has no extra data"


def forged_proof(made):
    good, key, other = made.proof(5), made.key(), HandMade(6)
    root = b64(tree_root(made.leaves()))
    name, key_id, public = key.split("+", 2)
    yield "another vault's log", good, other.key(), "extra data: another vault"
    yield "a key with another id", good, f"{name}+{'%08x' % (int(key_id, 16) ^ 1)}+{public}", "key: its id"
    yield "a key without an id", good, f"{name}+{public.replace('+', 'x')}", "key: is not name+id+key"
    yield "a key of another type", good, f"{name}+{key_id}+{b64(bytes([4, *range(32)]))}", "key: is not of type 1"
    yield "a key with a space", good, f" {key}", "key: a name of a key"
    yield "a hash with unused bits set", good.replace("index 5\n", f"index 5\n{HASH[:-2]}J=\n"), key, \
        "proof: hash: is not canonical"
    yield "another key of the same name", good, other.key(made.name), "checkpoint: is not signed by"
    for what, found, put, reason in [
            ("another version", "proof@v1", "proof@v2", "proof: does not begin"),
            ("another index", "index 5", "index 4", "extra data: another index"),
            ("an index with zeros", "index 5", "index 05", "proof: index: is no number"),
            ("a hash more", "index 5\n", f"index 5\n{HASH}\n", "inclusion: "),
            ("another root", root, HASH, "checkpoint: the signature of"),
            ("another size", "\n6\n", "\n7\n", "checkpoint: the signature of"),
            ("another origin", f"\n{made.name}\n6", f"\n{other.name}\n6", "checkpoint: the signature of"),
            ("a hyphen", f"{DASH} ", "- ", "checkpoint: a line of signature"),
            ("carriage returns", "\n6\n", "\n6\r\n", "checkpoint: has control characters")]:
        assert found in good
        yield what, good.replace(found, put, 1), key, reason
    yield "no checkpoint", good.split("\n\n", maxsplit=1)[0], key, "proof: has no checkpoint"
    yield "no signature", good[:good.rindex("\n\n") + 2], key, "checkpoint: has no signature"
    yield "a hash less", re.sub("index 5\n.*\n", "index 5\n", good), key, "inclusion: "
    yield "something behind", good + "more\n", key, "checkpoint: a line of signature"
    yield "too much", good.replace("index", "x" * (1 << 20), 1), key, "proof: is too long"


def forged_by_the_log(made):
    """What only somebody who holds the log's key could sign."""
    key, root = made.key(), b64(tree_root(made.leaves()))
    for what, text, reason in [
            ("a size with zeros", f"{made.name}\n06\n{root}\n", "checkpoint: size"),
            ("a short root", f"{made.name}\n6\nAAAA\n", "checkpoint: root"),
            ("an empty line", f"{made.name}\n6\n{root}\n\nx\n", "checkpoint: a line"),
            ("another log's origin", f"log.example\n6\n{root}\n", "checkpoint: is of another log"),
            ("a shorter log", f"{made.name}\n5\n{root}\n", "inclusion: the log is shorter"),
            ("a longer log", f"{made.name}\n60\n{root}\n", "inclusion: ")]:
        yield what, made.proof(5, note=made.checkpoint(text)), key, reason


def forged_entries():
    """What only somebody who writes to the log could write."""
    text = canonical(HandMade(0).entry(0))
    for what, arguments, reason in [
            ("an entry over another log", {"root": bytes(32)}, "entry: was written over another log"),
            ("an entry without a signature", {"signature": bytes(64)}, "entry: the signature"),
            ("an entry with something behind", {"padding": b"\1"}, "record: the entry is padded"),
            ("a record of another version", {"magic": b"CVA2"}, "record: is not of version 1")]:
        made = HandMade(3)
        made.append(made.entry(3), **arguments)
        yield what, made.proof(3), made.key(), reason
    for what, entry, reason in [
            ("an entry by somebody else", text, "entry: is by somebody else"),
            ("an entry with a field more", canonical({**json.loads(text), "more": 1}), "entry: fields"),
            ("an entry that is no JSON", b"{", "entry: is no JSON")]:
        made = HandMade(3)
        made.append(entry)
        yield what, made.proof(3), made.key(), reason
    made = HandMade(3)
    made.append({**made.entry(3), "by": ""})
    nobody = made.proof(3, lambda disclosed: disclosed.update(user=None))
    yield "an entry of nobody that is signed", nobody, made.key(), "entry: has a signature of nobody"
    yield "an entry of nobody with a person", made.proof(3), made.key(), "entry: is by nobody"


def check_forgeries(checks):
    made = HandMade(6)
    checks.equal(refusal(made.proof(5), made.key()), None, "the proof before it is forged")
    for forgeries in (forged_extra(made), forged_proof(made), forged_by_the_log(made), forged_entries()):
        for what, text, key, reason in forgeries:
            found = refusal(text, key)
            checks.that(found is not None and found.startswith(reason), f"{what}: refused because of {found}")


def check_every_character(checks):
    """Nothing outside the extra data can be changed; inside, only what nobody signs: the name and the box key."""
    made = HandMade(3)
    text, key = made.proof(1), made.key()
    for at in [*range(text.index("extra ")), *range(text.index("index "), len(text))]:
        other = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1:]
        checks.that(refusal(other, key) is not None, f"character {at} may be changed: {other[at - 9:at + 9]!r}")
    renamed = made.proof(1, lambda disclosed: disclosed["user"].update(name="Борис"))
    lines = {line[:11]: line for line in run_checker(checks, renamed, key, 0).splitlines()}
    fingerprint = casevault_proof.fingerprint(made.vault.hex(), made.user)
    checks.that(fingerprint not in lines["fingerprint"], "a false name has the same fingerprint")


def check_short_signature(checks):
    """A signature that lacks a byte is none, even where the message begins with that byte."""
    seed = os.urandom(32)
    signature, public = sign(seed, b"text"), sodium.crypto_sign_seed_keypair(seed)[0]
    checks.that(casevault_proof.verified(public, b"text", signature), "a good signature is not valid")
    short = casevault_proof.verified(public, signature[63:] + b"text", signature[:63])
    checks.that(not short, "a signature of 63 bytes is valid")


def run_checker(checks, text, key, status):
    with temporary_folder() as folder:
        path = os.path.join(folder, "x.tlog-proof")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([sys.executable, CHECKER, path, key], capture_output=True, check=False)
    checks.equal(done.returncode, status, f"status of the checker ({done.stderr.decode()})")
    checks.that(bool(done.stdout) == (status == 0), "the checker prints an entry if and only if it is proven")
    return (done.stderr if status else done.stdout).decode()


def check_command(checks):
    made = HandMade(3)
    out = run_checker(checks, made.proof(1), made.key(), 0)
    for words in ("C-1/E-1", "Анна", "2024-05-01 08:00:00.001 UTC", "signed at 3 entries",
                  casevault_proof.fingerprint(made.vault.hex(), made.user)):
        checks.that(words in out, f"the checker does not print {words}")
    err = run_checker(checks, made.proof(1).replace("index 1", "index 2"), made.key(), 1)
    checks.that("NOT PROVEN: extra data: another index" in err, f"the checker says {err}")
    run_checker(checks, made.proof(1), made.key()[:-1], 1)
    for arguments in ([], ["x"], ["/nonexistent", made.key()]):
        done = subprocess.run([sys.executable, CHECKER, *arguments], capture_output=True, check=False)
        checks.equal(done.returncode, 2, f"status for {arguments}")


# The program's own proofs

def log_key(program, user):
    """The verifier key of the vault's log, as `contact self` prints it."""
    return re.search(r"casevault/[0-9a-f]{32}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+", program.run(user, "contact", "self"))[0]


def check_program(checks, program):
    program.run("anna", "init", "--organisation", "Дім", "--no-recovery")
    program.run("anna", "case", "new", "Справа")
    program.run("anna", "add", "C-1", program.write("one", b"one"), program.write("two", b"two"))
    key = log_key(program, "anna")
    entries = program.reader("anna").entries()
    for what in ["C-1/E-1", "C-1/E-2", *map(str, range(len(entries)))]:
        path = os.path.join(program.folder, f"{what.replace('/', '-')}.tlog-proof")
        program.run("anna", "audit", "prove", what, "--out", path)
        with open(path, encoding="utf-8") as file:
            disclosed, entry, size = check(file.read(), key)
        checks.that(size > len(entries), f"{what}: is proven under an old checkpoint")
        if what.isdigit():
            checks.equal((disclosed["index"], entry), (int(what), entries[int(what)]), f"the entry {what}")
        else:
            checks.that(what.split("/")[1] in entry["objects"], f"{what}: another entry is proven: {entry}")
        if entry["by"]:
            checks.equal(disclosed["user"]["name"], "anna", f"{what}: who did it")


def main():
    checks = Checks()
    check_good(checks)
    check_forgeries(checks)
    check_every_character(checks)
    check_short_signature(checks)
    check_command(checks)
    if checks.bad:
        return checks.status()
    with temporary_folder() as folder:
        program = Program(folder)
        told = subprocess.run([program.binary, "help", "audit"], capture_output=True, check=False)
        if b"prove" in told.stdout:
            check_program(checks, program)
        else:
            print("not checked: this program has no `audit prove`")
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
