"""Partner organisations for the tests of sharing: with casevault, with stock tools only, and one who forges.

`Organisation` runs casevault. `Stock` has an age identity and a minisign key of its own, and opens what is sealed to it.
`Forger` writes every byte of a bundle by hand, from docs/format.md: a contact may sign whatever it likes, so what is
refused from it must be refused for what it is. Tars are written by hand too: libraries refuse to write bad ones.
"""
import base64
import hashlib
import os
import subprocess
import sys
import time

from nacl import bindings as sodium

from harness import DONE, Office, copy_tree, files_of, read, write

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
from casevault_functions import SHA256, be64, canonical  # noqa: E402

DASH = "\u2014"
BLOCK = 512
TAG_MANIFEST, SIGNATURE, MANIFEST = "tagmanifest-sha256.txt", "tagmanifest-sha256.txt.minisig", "manifest-sha256.txt"
BUNDLE_JSON = "casevault/bundle.json"


def b64(data):
    return base64.b64encode(data).decode()


def tool(*words, stdin=b"", cwd=None):
    """Standard output of a stock program that must succeed."""
    done = subprocess.run(words, input=stdin, capture_output=True, cwd=cwd, check=False)
    assert done.returncode == 0, f"{words} ended with status {done.returncode}: {done.stderr.decode()}"
    return done.stdout


def age_seal(plain, *recipients, armor=False):
    words = ["age", "-e"] + (["-a"] if armor else [])
    return tool(*words, *[word for recipient in recipients for word in ("-r", recipient)], stdin=plain)


# Organisations with casevault

class Organisation(Office):
    """A vault with one owner, and what partners know of it."""

    def __init__(self, root, name, owner="anna"):
        os.makedirs(root)
        super().__init__(root)
        self.name, self.owner = name, owner
        if not os.path.exists(self.passphrase_file(owner)):
            self.set_passphrase(owner, "lantern crooked Danube pillow 1848 " + owner)
        self.ok("init", "--organisation", name, "--no-recovery")

    def run(self, *args, user=None, **options):
        return super().run(*args, user=user or self.owner, **options)

    def enrol(self, user, role="member"):
        if not os.path.exists(self.passphrase_file(user)):
            self.set_passphrase(user, "lantern crooked Danube pillow 1848 " + user)
        self.ok("user", "join", user, user=user)
        self.ok("user", "approve", user, "--role", role, "--yes")

    def card(self):
        return self.ok("--json", "contact", "self").objects()[0]

    def add_contact(self, card, name=None):
        self.ok("contact", "add", name or card["organisation"], "--age", card["age"], "--sign", card["sign"])

    def meet(self, *others):
        """Each becomes the other's contact."""
        for other in others:
            self.add_contact(other.card())
            other.add_contact(self.card())

    def new_case(self, title, files=None):
        case = self.ok("case", "new", title).lines()[0]
        if files:
            self.add(case, files)
        return case

    def add(self, case, files, *options):
        """{name: content}; returns the records."""
        paths = [write(os.path.join(self.fresh("source"), name), content) for name, content in files.items()]
        return [added["object"] for added in self.ok("--json", "add", case, *paths, *options).objects()]

    def share(self, objects, to, *options, **others):
        """The path of a new bundle."""
        out = self.fresh("bundle") + ".age"
        objects = [objects] if isinstance(objects, str) else objects
        self.ok("share", *objects, "--to", ",".join(to), "--out", out, *options, **others)
        return out

    def receive(self, bundle, *options, **others):
        """The receipt goes to a file in our own folder: bundles lie with whoever made them."""
        self.receipt = self.fresh("receipt")
        return self.run("--json", "receive", bundle, "--receipt", self.receipt, *options, **others)

    def take(self, bundle, *options, **others):
        """`receive` that must work: the records, and the summary after them."""
        result = self.receive(bundle, *options, **others)
        assert result.status == DONE, f"this should have been received: {result}"
        *records, summary = result.objects()
        return records, summary

    def state(self):
        """What is in the vault: its files by their hashes, but for the audit log, where refusals are written down, and
        the catalogue, which keeps track of the log; what the catalogue says; and the records of each case."""
        files = {path: SHA256(read(os.path.join(self.vault, path))).hex() for path in files_of(self.vault)
                 if path.startswith(("bodies/", "cases/", "slots", "handover/")) and not path.endswith("-journal")}
        return files, self.ok("--json", "case", "list").text, self.ok("--json", "contact", "list").text

    def copy_vault(self, name):
        """A copy of the vault as it is now, as a thief or an old disk has it: an Office that sees it."""
        root = os.path.join(self.root, name)
        other = Office(root)
        copy_tree(self.vault, other.vault)
        for user in os.listdir(os.path.join(self.root, "passphrases")):
            other.set_passphrase(user, read(self.passphrase_file(user)).decode().strip())
        return other


# Stock tools

class Stock:
    """An age identity and a minisign key without a password, in files."""

    def __init__(self, folder):
        os.makedirs(folder)
        self.folder = folder
        self.identity, self.secret = os.path.join(folder, "key.txt"), os.path.join(folder, "minisign.key")
        self.public_file = os.path.join(folder, "minisign.pub")
        tool("age-keygen", "-o", self.identity)
        tool("minisign", "-G", "-f", "-W", "-p", self.public_file, "-s", self.secret)
        self.age = tool("age-keygen", "-y", self.identity).decode().strip()
        self.sign = read(self.public_file).decode().splitlines()[1]

    def card(self, name):
        return {"organisation": name, "age": self.age, "sign": self.sign}

    def open(self, bundle):
        """The tar in it."""
        return tool("age", "-d", "-i", self.identity, bundle)

    def signature(self, content):
        """What `minisign -S` says of it."""
        path = write(os.path.join(self.folder, "signed"), content)
        tool("minisign", "-S", "-s", self.secret, "-m", path, "-x", path + ".minisig")
        return read(path + ".minisig")

    def check_by_hand(self, bundle, sign, top="bag"):
        """The one-liner of design/sharing.md, by a shell; returns the folder that it makes."""
        place = os.path.join(self.folder, f"opened-{len(os.listdir(self.folder))}")
        os.mkdir(place)
        tool("bash", "-euo", "pipefail", "-c",
             f'age -d -i "$1" "$2" | tar x && cd {top} && sha256sum --quiet -c {MANIFEST}'
             f' && minisign -q -Vm {TAG_MANIFEST} -P "$3" && sha256sum --quiet -c {TAG_MANIFEST}',
             "bash", self.identity, bundle, sign, cwd=place)
        return os.path.join(place, top)


# Tars, written by hand

def tar_header(name, size, kind=b"0", link=b"", magic=b"ustar\x0000", size_field=None, prefix=b""):
    name = name.encode() if isinstance(name, str) else name
    block = bytearray(BLOCK)

    def put(offset, data):
        block[offset:offset + len(data)] = data

    assert len(name) <= 100 and len(link) <= 100
    put(0, name)
    put(100, b"0000644\0" + b"0000000\0" * 2)
    put(124, size_field or (b"%011o\0" % size if size < 8 << 30 else b"\x80" + size.to_bytes(11, "big")))
    put(136, b"00000000000\0")
    put(148, b" " * 8)
    put(156, kind)
    put(157, link)
    put(257, magic)
    put(345, prefix)
    put(148, b"%06o\0 " % sum(block))
    return bytes(block)


def pad(data):
    return data + bytes(-len(data) % BLOCK)


def pax(records):
    body = b""
    for key, value in records.items():
        value = value.encode() if isinstance(value, str) else value
        record = b" " + key.encode() + b"=" + value + b"\n"
        size = len(record) + 1
        while len(str(size)) + len(record) != size:
            size = len(str(size)) + len(record)
        body += str(size).encode() + record
    return tar_header("pax", len(body), b"x") + pad(body)


def tar_file(name, content):
    """A plain member, its name in a pax header where it does not fit."""
    raw = name.encode() if isinstance(name, str) else name
    if len(raw) <= 100 and raw.isascii():
        return tar_header(raw, len(content)) + pad(content)
    return pax({"path": raw}) + tar_header(b"x", len(content)) + pad(content)


def tar_of(members, top="bag"):
    """members: (path, content) pairs, or bytes that stand for themselves."""
    return b"".join(member if isinstance(member, bytes) else tar_file(f"{top}/{member[0]}", member[1])
                    for member in members) + bytes(2 * BLOCK)


def members_of(tar):
    """(path below the top folder, content) of a sound tar, in its order."""
    members, at, path = [], 0, None
    while any(tar[at:at + BLOCK]):
        header = tar[at:at + BLOCK]
        size = int(header[124:135], 8)
        body = tar[at + BLOCK:at + BLOCK + size]
        at += BLOCK + len(pad(body))
        if header[156:157] == b"x":
            path = [line.split(b"path=", 1)[1] for line in body.split(b"\n") if b" path=" in line][0].decode()
            continue
        prefix, name = header[345:500].rstrip(b"\0"), header[:100].rstrip(b"\0")
        path = path or ((prefix + b"/" if prefix else b"") + name).decode()
        members.append((path.split("/", 1)[1], body))
        path = None
    return members


def manifest(files):
    return b"".join(SHA256(content).hex().encode() + b"  " + path.encode() + b"\n" for path, content in files)


DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


def bag_members(payload, sign, tags=(), listed=None, info=None):
    """The members of a bag in the order of docs/format.md: `payload` and `tags` are (path, content) pairs, `sign` makes
    the signature of the tag manifest, `listed` is what the payload's manifest says where it is not the payload."""
    if info is None:
        info = f"Payload-Oxum: {sum(len(content) for _, content in payload)}.{len(payload)}\n".encode()
    files = [("bagit.txt", DECLARATION), ("bag-info.txt", info),
             (MANIFEST, manifest(payload if listed is None else listed)), *tags]
    tag_manifest = manifest(files)
    return [(TAG_MANIFEST, tag_manifest), (SIGNATURE, sign(tag_manifest)), *files, *payload]


# A partner who forges

def sign(seed, message):
    return sodium.crypto_sign(message, sodium.crypto_sign_seed_keypair(seed)[1])[:64]


def public(seed):
    return sodium.crypto_sign_seed_keypair(seed)[0]


class Person:
    def __init__(self, name):
        self.id, self.seed, self.name = os.urandom(16), os.urandom(32), name

    def keys(self):
        return {"box": "07" * 32, "id": self.id.hex(), "name": self.name, "sign": public(self.seed).hex()}


class Forger:
    """An organisation that has a contact's keys and a vault that exists in its bundles only."""

    def __init__(self, folder, organisation="Mallory", name="mallory"):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.organisation = folder, organisation
        self.vault, self.root, self.seed, self.case = (os.urandom(n) for n in (16, 32, 32, 16))
        self.person = Person(name)
        self.identity = os.path.join(folder, "forger.txt")
        if not os.path.exists(self.identity):
            tool("age-keygen", "-o", self.identity)
        self.age = tool("age-keygen", "-y", self.identity).decode().strip()
        self.log = [os.urandom(32) for _ in range(3)]  # made-up roots of the log at the sizes 0, 1, 2
        self.log_size = 2
        self.own_key_id = None  # that of minisign's keys is random, that of a vault's follows from the key

    # Keys

    @property
    def key_id(self):
        return self.own_key_id or hashlib.blake2b(b"casevault/v1/minisign-id" + public(self.seed), digest_size=16).digest()[:8]

    @property
    def sign(self):
        return b64(b"Ed" + self.key_id + public(self.seed))

    def card(self):
        return {"organisation": self.organisation, "age": self.age, "sign": self.sign}

    def signature(self, content):
        """A minisign file."""
        comment = b"timestamp:1\tfile:tagmanifest-sha256.txt"
        signed = sign(self.seed, hashlib.blake2b(content).digest())
        return (f"untrusted comment: x\n{b64(b'ED' + self.key_id + signed)}\ntrusted comment: ".encode() + comment + b"\n"
                + b64(sign(self.seed, signed + comment)).encode() + b"\n")

    # Statements

    def cite(self, size):
        return {"log_size": size, "log_root": self.log[min(size, 2)].hex()}

    def statement(self, scope, author, number, previous, statement):
        text = canonical(statement)
        digest = SHA256(b"casevault/v1/change\0" + previous + be64(number) + SHA256(text))
        signed = sign(author.seed, b"casevault/v1/change\0" + scope + be64(number) + digest)
        return {"number": number, "previous": previous.hex(), "signature": b64(signed), "statement": text.decode()}

    def found(self, **own):
        message = b"casevault/v1/root-certificate\0" + self.vault + canonical(self.person.keys())
        return self.statement(self.vault, self.person, 1, bytes(32), {
            "by": self.person.id.hex(), "kind": "found", "time": 1, **self.cite(0), "organisation": self.organisation,
            "user": self.person.keys(), "certificate": b64(sign(self.root, message)), **own})

    def change(self, number, kind, **own):
        """One more certificate, by the founder."""
        return self.statement(self.vault, self.person, number, bytes(32), {
            "by": self.person.id.hex(), "kind": kind, "time": 1, **self.cite(1), **own})

    def certificates(self, *more):
        return {"certificates": [self.found(), *more], "root": public(self.root).hex(), "vault": self.vault.hex()}

    def details(self, content, **own):
        return {"media_type": "text/plain", "modified": 0, "name": "name.txt", "name_bytes": "", "origin": "",
                "salt": "00" * 16, "sha256": SHA256(content).hex(), "size": len(content), "tags": [], "testimony": None,
                "title": "", **own}

    def hop(self, content, details=None, statement=None, author=None, bundle="", case=1):
        """This vault's word on a version; the dictionaries change what it says."""
        author = author or self.person
        text = canonical(self.details(content, **(details or {})))
        said = {"by": author.id.hex(), "case": self.case.hex(), "details": SHA256(text).hex(), "epoch": 1,
                "kind": "version", "record": "E-1", "time": 1, "version": 1, **self.cite(1), **(statement or {})}
        return {"bundle": bundle, "case": case, "details": text.decode(), "vault": self.vault.hex(),
                "statement": self.statement(self.case, author, 1, bytes(32), said)}

    # Bundles

    def bundle(self, records, recipients, vaults=None, by=None, **own):
        """bundle.json: records are (path, hops)."""
        by, salt = by or self.person, os.urandom(16)
        marks = sorted(hashlib.blake2b(b"casevault/v1/bundle-recipient" + salt + age.encode(), digest_size=32).hexdigest()
                       for age in recipients)
        value = {"age": self.age, "by": by.id.hex(), "casevault": "bundle", "format": 1, **self.cite(self.log_size),
                 "note": "", "recipients": marks, "records": [{"hops": hops, "path": path} for path, hops in records],
                 "salt": salt.hex(), "sign": self.sign, "time": int(time.time() * 1000), "vault": self.vault.hex(),
                 "vaults": [self.certificates()] if vaults is None else vaults, **own}
        value["signature"] = b64(sign(by.seed, b"casevault/v1/bundle\0" + canonical(value)))
        return canonical(value)

    def checkpoint(self, name=None, size=None):
        name = name or f"casevault/{self.vault.hex()}"
        size = self.log_size if size is None else size
        text = f"{name}\n{size}\n{b64(bytes.fromhex(self.cite(size)['log_root']))}\n"
        key_id = SHA256(name.encode() + b"\n\1" + public(self.seed))[:4]
        return f"{text}\n{DASH} {name} {b64(key_id + sign(self.seed, text.encode()))}\n".encode()

    def members(self, bundle, payload, checkpoint=None, tags=()):
        tags = [(BUNDLE_JSON, bundle), ("casevault/checkpoint", checkpoint or self.checkpoint()), *tags]
        return bag_members(payload, self.signature, tags)

    def simple(self, recipients, content=b"a word", path="data/C-1/name.txt", details=None, statement=None, **own):
        """The members of a sound bundle with one record, but for what is changed."""
        payload = [(path, content)]
        return self.members(self.bundle([(path, [self.hop(content, details, statement)])], recipients, **own), payload)

    def write(self, name, plain, *recipients, armor=False):
        """A sealed file: `plain` is a tar, or members to make one of."""
        plain = plain if isinstance(plain, bytes) else tar_of(plain)
        return write(os.path.join(self.folder, name), age_seal(plain, *recipients, armor=armor))
