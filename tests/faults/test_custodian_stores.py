"""What is in the custodians' stores, opened with their own keys by the sqlcipher program: nothing of the office's; below
the threshold nothing that opens the vault; and a log in which a changed entry shows.

The attacker of the second is written from docs/custody-protocol.md and docs/format.md, and opens the vault with as many
stores as the threshold, so that we know it is able to.
"""
import base64
import ctypes
import hashlib
import http.client
import itertools
import json
import os
import re
import shutil
import subprocess

from nacl import bindings as sodium

from custodians import Custodian, KeptOffice
from custody_client import TLS, ask
from harness import DAMAGED, FaultTest, files_of, main, read, scratch

PLACES = ("Georgia", "Iceland", "Portugal")
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group
TOO_FEW = 18
OPRF, SHARE = 0, 1
SLOT_SIZE = 1024


def keyed(key, label, context=b"", size=32):
    return hashlib.blake2b(label.encode() + b"\0" + context, key=key, digest_size=size).digest()


# A store

def in_store(custodian, *statements):
    """What the sqlcipher program prints of them. @pre: the service does not run"""
    key = read(os.path.join(custodian.data, "store.key"))
    raw = keyed(key, "casevault/v1/database-key") + keyed(key, "casevault/v1/database-salt", size=16)
    commands = [f"""PRAGMA key = "x'{raw.hex()}'";""", "PRAGMA cipher_compatibility = 4;", *statements]
    done = subprocess.run(["sqlcipher", "-batch", os.path.join(custodian.data, "store.db")], capture_output=True,
                          input="\n".join(commands).encode(), check=False)
    assert done.returncode == 0 and not done.stderr, f"sqlcipher: {done.stderr.decode()}"
    return done.stdout.decode().removeprefix("ok\n")


def rows(custodian, query):
    text = in_store(custodian, ".mode json", query)
    return json.loads(text) if text.strip() else []


# Merkle trees, RFC 6962 section 2.1

def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(leaves):
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(root_of(leaves[:split]), root_of(leaves[split:]))


def continues(old, new, proof):
    """Whether the tree `new` begins with the tree `old`; both are (size, root). RFC 9162 section 2.1.4.2."""
    (first, first_root), (second, second_root) = old, new
    if first == second:
        return not proof and first_root == second_root
    if first & (first - 1) == 0:
        proof = [first_root, *proof]
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for hash_ in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(hash_, fr), node(hash_, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, hash_)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and (fr, sr) == (first_root, second_root)


# The attacker

SODIUM = ctypes.CDLL("libsodium.so.23")


def oprf_output(stretched, scalar):
    """RFC 9497: Finalize, of an evaluation without blinding."""
    label = b"HashToGroup-OPRFV1-\0-ristretto255-SHA512"
    label += bytes([len(label)])
    start = hashlib.sha512(bytes(128) + stretched + (64).to_bytes(2, "big") + b"\0" + label).digest()
    point, element = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    SODIUM.crypto_core_ristretto255_from_hash(point, hashlib.sha512(start + b"\1" + label).digest())
    if SODIUM.crypto_scalarmult_ristretto255(element, scalar.to_bytes(32, "little"), point) != 0:
        return None
    sized = [len(part).to_bytes(2, "big") + part for part in (stretched, element.raw)]
    return hashlib.sha512(b"".join(sized) + b"Finalize").digest()


def interpolated(shares):
    """The polynomial through the points at 0."""
    total = 0
    for x, value in shares.items():
        factor = 1
        for other in shares:
            if other != x:
                factor = factor * other * pow(other - x, -1, ORDER) % ORDER
        total += factor * value
    return total % ORDER


class Disk:
    """The folder of a vault, with a user's right passphrase."""

    def __init__(self, folder, user, passphrase):
        self.slots = read(os.path.join(folder, "slots"))
        header = json.loads(read(os.path.join(folder, "vault.json")))
        self.vault = bytes.fromhex(header["vault"])
        plan, = header["custody"]
        self.id = hashlib.blake2b(b"casevault/v1/custody-id" + bytes.fromhex(plan["salt"]) + b"user\0" + user.encode(),
                                  digest_size=16).digest()
        salt = hashlib.blake2b(bytes.fromhex(header["salt"]) + user.encode(), digest_size=16).digest()
        cost = header["argon2id"]
        self.stretched = sodium.crypto_pwhash_alg(32, passphrase, salt, cost["passes"], cost["memory_bytes"],
                                                  sodium.crypto_pwhash_ALG_ARGON2ID13)

    def shares_in(self, custodian):
        """This user's scalars at a custodian: (index, {type: scalar})."""
        policy, = rows(custodian, "SELECT policy FROM vault;")
        index = json.loads(json.loads(policy["policy"])["statement"])["index"]
        found = rows(custodian, f"SELECT type, hex(scalar) AS scalar FROM secret WHERE id = x'{self.id.hex()}';")
        return index, {row["type"]: int.from_bytes(bytes.fromhex(row["scalar"]), "little") for row in found}

    def key(self, oprf, share):
        """The slot key that these two secrets would give."""
        output = oprf_output(self.stretched, oprf)
        if output is None:
            return None
        mixed = keyed(share.to_bytes(32, "little"), "casevault/v1/custody-share", self.vault)
        return keyed(keyed(output, "casevault/v1/custody-oprf", self.vault), "casevault/v1/slot-custody", mixed)

    def opens(self, key):
        """Whether one of the slots is committed to this key."""
        if key is None:
            return False
        for at in range(0, len(self.slots), SLOT_SIZE):
            nonce, commitment = self.slots[at:at + 24], self.slots[at + 24:at + 56]
            if keyed(key, "casevault/v1/slot-commitment", nonce) == commitment:
                return True
        return False

    def keys_from(self, shares):
        """Every key that an attacker with these shares, {index: {type: scalar}}, has reason to try: without custody,
        each share as if it were the secret, and all of them put together, also with one more that is guessed."""
        yield keyed(self.stretched, "casevault/v1/slot", self.vault)
        secrets = {what: [one[what] for one in shares.values()] for what in (OPRF, SHARE)}
        guesses = [dict.fromkeys((OPRF, SHARE), value) for value in (0, 1)] + list(shares.values())
        for index, guess in itertools.product(range(1, len(PLACES) + 1), [None, *guesses]):
            known = {**shares, index: guess} if guess and index not in shares else shares
            for what in (OPRF, SHARE):
                secrets[what].append(interpolated({x: one[what] for x, one in known.items()}))
        for oprf, share in itertools.product(*({*values} for values in secrets.values())):
            yield self.key(oprf, share)


class StoresTest(FaultTest):
    def setUp(self):
        if not shutil.which("sqlcipher"):
            self.skipTest("there is no sqlcipher program")
        self.root = scratch("stores")
        self.custodians = [Custodian(self.root, f"keeper{n}", place) for n, place in enumerate(PLACES, 1)]
        self.addCleanup(lambda: [custodian.kill() for custodian in self.custodians])
        self.office = KeptOffice(os.path.join(self.root, "office"), self.custodians)
        self.office.ok("cat", "C-1/E-1")

    def stop_all(self):
        for custodian in self.custodians:
            custodian.stop()

    # What is in them

    def secrets(self):
        """Whatever a custodian must not know, by what it is."""
        office = self.office
        known = {"user": "anna", "organisation": "Legal Aid", "case": "Дело Ивановой", "file": "note.txt",
                 "vault": office.vault, "passphrase": read(office.passphrase_file("anna")).strip().decode()}
        for path in files_of(office.cards):
            if path.endswith(".txt"):
                line = next(l for l in read(os.path.join(office.cards, path)).decode().split("\n") if l[:1] not in "#")
                text = line.partition("/")[2].strip()
                card = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
                known[f"seed of {path}"] = bytes.fromhex(card["seed"])
                known["custody salt"] = bytes.fromhex(card["salt"])
        state = os.path.join(office.home, ".local", "state", "casevault")
        device, = [path for path in files_of(state) if path.endswith("device")]
        known["device key"] = read(os.path.join(state, device))[20:52]
        return {what: value if isinstance(value, bytes) else value.encode() for what, value in known.items()}

    def test_nothing_of_the_office_is_in_them(self):
        secrets = self.secrets()
        self.assertEqual(sum(what.startswith("seed") for what in secrets), 3)
        self.office.set_passphrase("mallory", "not the passphrase of anyone 1848")
        secrets["wrong passphrase"] = b"not the passphrase of anyone 1848"
        self.office.run("status", "--user", "anna", user="mallory")
        self.office.order("lock", 1, options=("--reason", "they came at nine"))
        self.stop_all()
        for custodian in self.custodians:
            places = {path: read(os.path.join(custodian.root, path)) for path in files_of(custodian.root)}
            places["the store"] = in_store(custodian, ".dump").encode()
            self.assertIn(b"they came at nine", places["the store"])  # we can read it: a reason is for all to see
            self.assertIn(b"INSERT INTO secret", places["the store"])
            for place, content in places.items():
                for what, secret in secrets.items():
                    with self.subTest(custodian=custodian.name, place=place, secret=what):
                        for form in (secret, secret.hex().encode(), secret.hex().upper().encode(),
                                     base64.b64encode(secret).rstrip(b"=")[:-1]):
                            self.assertNotIn(form, content)
            self.assertIsNone(re.search(r"\b[CTE]-[0-9]", custodian.said() + places["the store"].decode()))

    # What they open

    def test_below_the_threshold_they_open_nothing(self):
        self.stop_all()
        disk = Disk(self.office.vault, "anna", read(self.office.passphrase_file("anna")).strip())
        stores = dict(disk.shares_in(custodian) for custodian in self.custodians)
        self.assertEqual(sorted(stores), [1, 2, 3])
        self.assertTrue(all(sorted(shares) == [OPRF, SHARE] for shares in stores.values()))
        for few in stores:
            keys = [*disk.keys_from({few: stores[few]})]
            self.assertGreater(len(set(keys)), 20)
            self.assertFalse(any(map(disk.opens, keys)), f"custodian {few} alone opens the vault")
        for enough in itertools.combinations(stores, 2):
            self.assertTrue(any(map(disk.opens, disk.keys_from({few: stores[few] for few in enough}))),
                            f"the attacker cannot even open it with custodians {enough}")

    def test_one_that_runs_opens_nothing(self):
        for custodian in self.custodians[1:]:
            custodian.kill()
        for words in (("cat", "C-1/E-1"), ("case", "list"), ("unlock",), ("verify",)):
            self.assertEqual(self.office.run(*words).status, TOO_FEW)

    # Their logs

    def change(self, custodian, *statements):
        """In the store of a custodian that does not run."""
        look = "SELECT number, entry FROM log ORDER BY number;", "SELECT hex(root) FROM head;"
        before = in_store(custodian, *look)
        in_store(custodian, *statements)
        self.assertNotEqual(in_store(custodian, *look), before)

    def test_a_changed_log_is_refused(self):
        custodian = self.custodians[0]
        custodian.stop()
        pristine = read(os.path.join(custodian.data, "store.db"))
        size, = rows(custodian, "SELECT count(*) AS n FROM log;")
        for change in ("UPDATE log SET entry = replace(entry, 'release', 'confirm') WHERE number = "
                       "(SELECT min(number) FROM log WHERE entry LIKE '%release%');",
                       "UPDATE log SET entry = replace(entry, '\"ok\"', '\"no\"') WHERE number = 2;",
                       "DELETE FROM log WHERE number = 3;",
                       f"DELETE FROM log WHERE number = {size['n'] - 1};",
                       "UPDATE log SET number = -1 WHERE number = 1; UPDATE log SET number = 1 WHERE number = 2; "
                       "UPDATE log SET number = 2 WHERE number = -1;"):
            with self.subTest(change=change):
                self.change(custodian, change)
                status, said = custodian.fails_to_start()
                self.assertEqual(status, DAMAGED, said)
                self.assertRegex(said, r"store\.db: an entry of the log (was changed|is missing)")
                with open(os.path.join(custodian.data, "store.db"), "wb") as file:
                    file.write(pristine)
        custodian.start()
        self.office.ok("cat", "C-1/E-1")

    def test_a_log_written_anew_shows_to_whoever_remembers(self):
        """Entry and root changed together: the custodian starts, but cannot prove that it continues its old log."""
        custodian = self.custodians[0]
        old = self.checkpoint(custodian)
        self.office.ok("cat", "C-1/E-1")
        self.assertTrue(self.continues(custodian, old), "an honest log does not continue")
        custodian.stop()
        self.change(custodian, "UPDATE log SET entry = replace(entry, 'release', 'confirm') WHERE number = "
                               "(SELECT min(number) FROM log WHERE entry LIKE '%release%');")
        entries = rows(custodian, "SELECT entry FROM log ORDER BY number;")
        root = root_of([hashlib.sha256(b"\0" + row["entry"].encode()).digest() for row in entries])
        self.change(custodian, f"UPDATE head SET root = x'{root.hex()}';")
        custodian.start()
        self.assertFalse(self.continues(custodian, old))

    def parsed(self, note):
        _, size, root, *_ = note.split("\n")
        return int(size), base64.b64decode(root)

    def get(self, custodian, target):
        connection = http.client.HTTPSConnection("127.0.0.1", custodian.port, context=TLS)
        try:
            return ask(connection, "GET", target)
        finally:
            connection.close()

    def checkpoint(self, custodian):
        return self.parsed(self.get(custodian, "/v1/checkpoint").text)

    def continues(self, custodian, old):
        answer = self.get(custodian, f"/v1/consistency?old={old[0]}").json
        return continues(old, self.parsed(answer["checkpoint"]), [bytes.fromhex(hash_) for hash_ in answer["proof"]])


if __name__ == "__main__":
    main()
