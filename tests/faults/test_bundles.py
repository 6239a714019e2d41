"""Bundles that were harmed, forged or made to harm; and commands of sharing that are killed or find no space.

The promise: what is not as it should be is refused with the right status before anything is imported; nothing of its
content is left in the clear; the receiver needs little memory whatever a bundle declares; and a command that was
interrupted is finished by repeating it, each record once.

CASEVAULT_BUNDLE_FLIPS: changed bytes, and as many places to cut at (40 if not given, 0 for all); always all of the age
header, and the edges of chunks. CASEVAULT_KILLS: kills of each command (30 if not given).
"""
import collections
import json
import os
import re
import shutil
import subprocess
import time

from harness import (DAMAGED, DONE, INTERRUPTED, NO_AUDIT, NO_SPACE, NOT_ALLOWED, NOT_FOUND, PARTIAL, RANDOM,
                     UNDER_STRACE, USAGE, Disk, FaultTest, calls_in, check_sane, copy_tree, files_of, has_strace,
                     in_own_mounts, main, noise, number_from, read, scratch, spread, strace, write)
from partners import (BUNDLE_JSON, DECLARATION, MANIFEST, SHA256, SIGNATURE, TAG_MANIFEST, Forger, Organisation, Person,
                      Stock, age_seal, bag_members, canonical, manifest, members_of, pax, tar_file, tar_header,
                      tar_of)

FLIPS = number_from("CASEVAULT_BUNDLE_FLIPS", 40)
KILLS = number_from("CASEVAULT_KILLS", 30)
CAN_MOUNT = in_own_mounts()
CANARY = b"Zimorodok-kanareika-4711"
CHUNK, TAG = 65536, 16  # bytes of an age chunk, and what seals it
MEMORY = (256 << 20) + (64 << 20)  # bytes: what Argon2id takes of the receiver, and 64 MiB
TESTIMONY = {"consent": "court", "language": "", "place": "", "taken_at": "", "witness": "A"}
REFUSED = (DAMAGED, NOT_ALLOWED)


class BundleTest(FaultTest):
    """Beta receives; Alpha is a contact with casevault, Mallory one who forges, Stock a co-recipient with a file."""

    @classmethod
    def setUpClass(cls):
        cls.root = root = scratch("bundles")
        cls.beta = Organisation(os.path.join(root, "beta"), "Beta", "berta")
        cls.alpha = Organisation(os.path.join(root, "alpha"), "Alpha", "anna")
        cls.alpha.meet(cls.beta)
        cls.stock, cls.forger = Stock(os.path.join(root, "stock")), Forger(os.path.join(root, "forger"))
        cls.alpha.add_contact(cls.stock.card("Stock"))
        cls.beta.add_contact(cls.forger.card())
        cls.recipient = cls.beta.card()["age"]
        files = {"Показания.txt": CANARY, "second.txt": CANARY + b" two", "scan.bin": noise(70_000)}
        cls.case = cls.alpha.new_case("case", files)
        cls.bundle = cls.alpha.share(cls.case, ["Beta", "Stock"])
        cls.members = members_of(cls.stock.open(cls.bundle))
        cls.alpha.check_clean()
        cls.before = cls.beta.state()
        cls.pristine = os.path.join(root, "pristine")
        copy_tree(cls.beta.vault, cls.pristine)

    def tearDown(self):
        copy_tree(self.pristine, self.beta.vault)

    def receive(self, bundle, *options):
        """Runs it with its peak memory taken: (result, peak in bytes)."""
        usage = os.path.join(self.root, "peak")
        self.receipt = self.beta.fresh("receipt")
        under = ("/usr/bin/time", "-q", "-f", "%M", "-o", usage) if os.access("/usr/bin/time", os.X_OK) else ()
        result = self.beta.start("receive", bundle, "--receipt", self.receipt, *options, user="berta",
                                 under=under).finish()
        return result, int(read(usage).split()[-1]) << 10 if under else 0

    def check_refused(self, bundle, says="", statuses=(DAMAGED,), options=("--accept-older",), look=True):
        result, peak = self.receive(bundle, *options)
        if result.status == DONE:
            copy_tree(self.pristine, self.beta.vault)  # so that what follows is tested too
        check_sane(result)
        self.assertIn(result.status, statuses, str(result))
        self.assertEqual(result.out, b"", str(result))
        self.assertRegex(result.said, f"(?s)casevault: error: .*{says}")
        self.assertLess(peak, MEMORY, f"{peak >> 20} MiB: {result}")
        self.assertFalse(os.path.exists(self.receipt), "a receipt")
        if look:
            self.check_nothing_there()
        return result

    def check_nothing_there(self):
        self.assertEqual(self.beta.state(), self.before)
        self.beta.check_clean()
        for path in files_of(self.beta.root):
            self.assertNotIn(CANARY, read(os.path.join(self.beta.root, path)), f"plaintext in {path}")

    def sealed(self, members, *recipients):
        tar = members if isinstance(members, bytes) else tar_of(members)
        return write(os.path.join(self.root, "sealed.age"), age_seal(tar, *(recipients or (self.recipient,))))

    def each(self, rows, **options):
        """Rows of (what, members or tar, what is said)."""
        for what, members, says in rows:
            with self.subTest(what):
                self.check_refused(self.sealed(members), says, **options)


def replaced(members, path, content):
    assert any(name == path for name, _ in members)
    return [(name, content if name == path else old) for name, old in members]


def without(members, path):
    return [member for member in members if member[0] != path]


class HarmTest(BundleTest):
    """Of a sealed file: any change is noticed, wherever."""

    def places(self, size, always):
        if FLIPS == 0:
            return list(range(size))
        return sorted({at for at in always if 0 <= at < size} | set(spread(FLIPS, size)))

    def edges(self):
        """The header, and 20 bytes on both sides of each chunk's ends."""
        data = read(self.bundle)
        start = data.index(b"\n---") + 1
        start = data.index(b"\n", start) + 1 + 16  # the payload, behind its nonce
        edges = [at for chunk in range(start, len(data) + 1, CHUNK + TAG) for at in range(chunk - 20, chunk + 20)]
        return [*range(start), *edges, *range(len(data) - 20, len(data))]

    def check_all(self, harmed, places):
        statuses = collections.Counter()
        path = os.path.join(self.root, "harmed.age")
        for at in places:
            write(path, harmed(at))
            with self.subTest(at=at):
                statuses[self.check_refused(path, statuses=REFUSED, look=False).status] += 1
        print(f"{len(places)} harmed bundles: {dict(statuses)}", flush=True)
        self.check_nothing_there()

    def test_flips(self):
        data = read(self.bundle)
        always = self.edges() if FLIPS == 0 else [at for at in self.edges() if at % 7 == 0 or at > 500]

        def flipped(at):
            return data[:at] + bytes([data[at] ^ (1 << RANDOM.randrange(8))]) + data[at + 1:]
        self.check_all(flipped, self.places(len(data), always))

    def test_truncations(self):
        data = read(self.bundle)
        ends = [*range(0, 201, 1 if FLIPS == 0 else 5), *range(len(data) - 100, len(data), 1 if FLIPS == 0 else 3)]
        self.check_all(lambda at: data[:at], self.places(len(data), ends))

    def test_longer(self):
        data = read(self.bundle)
        for more in (b"\0", b"x" * 100, data, bytes(CHUNK)):
            self.check_refused(write(os.path.join(self.root, "longer"), data + more))

    def test_not_a_bundle(self):
        for what, data in (("nothing", b""), ("noise", noise(5000)), ("a tar", tar_of(self.members)),
                           ("age without a tar", age_seal(CANARY, self.recipient)),
                           ("age without anything", age_seal(b"", self.recipient)),
                           ("an empty tar", age_seal(bytes(1024), self.recipient)),
                           ("a passphrase", b"age-encryption.org/v1\n-> scrypt aaaaaaaaaaaaaaaaaaaaaA 18\n" + b"A" * 43 +
                            b"\n--- " + b"A" * 43 + b"\n" + noise(50))):
            with self.subTest(what):
                self.check_refused(write(os.path.join(self.root, "x"), data), statuses=REFUSED)

    def test_no_file(self):
        fifo = os.path.join(self.root, "fifo")
        os.mkfifo(fifo)
        for path in (fifo, "/dev/zero", self.root, os.path.join(self.root, "nowhere")):
            with self.subTest(path):
                self.check_refused(path, statuses=(USAGE,))


class ContentTest(BundleTest):
    """What a co-recipient could do: open Alpha's bundle, change it, and seal it again to Beta."""

    def test_unchanged(self):
        """The positive control: sealed again without a change it is received."""
        result, peak = self.receive(self.sealed(self.members))
        self.assertEqual(result.status, DONE, str(result))
        self.assertLess(peak, MEMORY)

    def test_order_and_presence(self):
        members, payload = self.members, [name for name, _ in self.members if name.startswith("data/")]
        swapped = [*members[:-2], members[-1], members[-2]]
        self.each([
            ("payload in another order", swapped, "stands where"),
            ("all in another order", members[::-1], "stands where"),
            ("the signature first", [members[1], members[0], *members[2:]], "stands where"),
            ("a file more", [*members, ("data/more.txt", CANARY)], "more.txt.* in no manifest"),
            ("a file more in front", [("first.txt", CANARY), *members], "first.txt"),
            ("a tag file more", [*members[:4], ("casevault/more", b"x"), *members[4:]], "stands where"),
            ("the first twice", [*members, (payload[0], CANARY)], "twice"),
            ("a folder as a file", [*members, ("data", CANARY)], "folder"),
            ("another top folder", [*members, tar_file("other/x", b"x")], "outside the folder"),
            ("no top folder", [*members, tar_file("x", b"x")], "no folder")])
        for name, _ in members:
            with self.subTest(missing=name):
                self.check_refused(self.sealed(without(members, name)), "stands where|ends where")

    def test_each_file_changed(self):
        for name, content in self.members:
            with self.subTest(name):
                changed = content[:-2] + bytes([content[-2] ^ 1]) + content[-1:]
                self.check_refused(self.sealed(replaced(self.members, name, changed)))
                self.check_refused(self.sealed(replaced(self.members, name, content + b"\n")))
                self.check_refused(self.sealed(replaced(self.members, name, b"")))

    def test_signatures(self):
        tag_manifest, own = self.members[0][1], dict(self.members)[SIGNATURE]
        other = dict(members_of(self.stock.open(self.alpha.share(f"{self.case}/E-1", ["Beta", "Stock"]))))
        relabelled = own.replace(b"\nRU", b"\nRW", 1)
        rows = [("of another bundle", other[SIGNATURE]), ("by another contact", self.forger.signature(tag_manifest)),
                ("by nobody known", self.stock.signature(tag_manifest)), ("none", b""), ("the older form", relabelled),
                ("a changed comment", own.replace(b"timestamp:", b"timestamp:1")),
                ("two", own + own), ("long", own + b"x" * 20_000)]
        for what, signature in rows:
            with self.subTest(what):
                if signature != own:
                    self.check_refused(self.sealed(replaced(self.members, SIGNATURE, signature)),
                                       statuses=(DAMAGED, NOT_FOUND))

    def test_signed_by_another_contact(self):
        """A manifest that was changed, and signed again by Mallory, who is a contact too."""
        path, changed = next((n, CANARY + b" changed") for n, _ in self.members if n.endswith("second.txt"))
        members = replaced(self.members, path, changed)
        payload = manifest([member for member in members if member[0].startswith("data/")])
        members = replaced(members, MANIFEST, payload)
        tags = [member for member in members[2:] if not member[0].startswith("data/")]
        tag_manifest = manifest(tags)
        again = [(TAG_MANIFEST, tag_manifest), (SIGNATURE, self.forger.signature(tag_manifest)), *members[2:]]
        self.check_refused(self.sealed(again), "other keys of the sender|not vouched|another content")

    def test_records_under_another_manifest(self):
        other = members_of(self.stock.open(self.alpha.share(f"{self.case}/E-1", ["Beta", "Stock"])))
        mine = [member for member in self.members if member[0].startswith("data/")]
        theirs = [member for member in other if member[0].startswith("data/")]
        tags = [member for member in self.members if not member[0].startswith("data/")]
        self.each([("fewer records", [*tags, *theirs], ""),
                   ("other records", [*[m for m in other if not m[0].startswith("data/")], *mine], ""),
                   ("bundle.json of another", replaced(self.members, BUNDLE_JSON, dict(other)[BUNDLE_JSON]),
                    "not what the tag manifest says"),
                   ("checkpoint of another", replaced(self.members, "casevault/checkpoint",
                                                      dict(other)["casevault/checkpoint"]), "not what the tag")])

    def test_sealed_to_others(self):
        """Made for Stock alone, and passed on by them."""
        members = self.stock.open(self.alpha.share(self.case, ["Stock"]))
        self.check_refused(self.sealed(members), "made for others")

    def test_not_sealed_to_us(self):
        self.check_refused(self.sealed(self.members, self.stock.age), statuses=(NOT_ALLOWED,))

    def test_tail(self):
        tar = tar_of(self.members)
        self.each([("hidden behind the end", tar + CANARY, "follows the end"),
                   ("a second archive", tar + tar, "follows the end"),
                   ("two megabytes of zeros", tar + bytes(2 << 20), "1 MiB follows"),
                   ("no end", tar[:-1024], "cut off"), ("half an end", tar[:-512], "cut off"),
                   ("in the padding", tar[:-1024 - 5] + b"hidden"[:5] + bytes(1024), "")])
        result, _ = self.receive(self.sealed(tar + bytes(512 * 18)))  # what GNU tar adds
        self.assertEqual(result.status, DONE, str(result))


class SignedTest(BundleTest):
    """What a contact could sign: bags by Mallory's own key, which is one of minisign's."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.forger = Forger(os.path.join(cls.root, "bags"))
        cls.forger.own_key_id = os.urandom(8)
        cls.beta.add_contact(cls.forger.card(), "Mallory by hand")
        cls.before = cls.beta.state()
        copy_tree(cls.beta.vault, cls.pristine)

    def bag(self, payload, **options):
        return bag_members(payload, self.forger.signature, **options)

    def test_control(self):
        result, _ = self.receive(self.sealed(self.bag([("data/a.txt", CANARY)])))
        self.assertEqual(result.status, DONE, str(result))

    def test_kinds(self):
        good = self.bag([("data/a.txt", CANARY)])
        end = bytes(1024)
        def last(member):
            return tar_of(good)[:-1024] + member + end
        self.each([
            ("a symbolic link", last(tar_header("bag/data/l", 0, b"2", b"/etc/passwd")), "symbolic link"),
            ("a hard link", last(tar_header("bag/data/l", 0, b"1", b"bag/data/a.txt")), "hard link"),
            ("a device", last(tar_header("bag/data/l", 0, b"3")), "device"),
            ("a block device", last(tar_header("bag/data/l", 0, b"4")), "device"),
            ("a pipe", last(tar_header("bag/data/l", 0, b"6")), "pipe"),
            ("a contiguous file", last(tar_header("bag/data/l", 0, b"7")), "unknown type"),
            ("an unknown type", last(tar_header("bag/data/l", 0, b"Z")), "unknown type"),
            ("a sparse file of 10 GB", last(tar_header("bag/data/l", 512, b"S", magic=b"ustar  \0",
                                                       size_field=b"%011o\0" % 512) + bytes(512)), "sparse"),
            ("a pax sparse file of 10 GB", last(pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
                                                     "GNU.sparse.name": "bag/data/l",
                                                     "GNU.sparse.realsize": str(10 << 30)}) +
                                                tar_header("bag/data/l", 512) + b"1\n0\n" + bytes(508)), "sparse"),
            ("a global header", last(tar_header("x", 0, b"g")), "global"),
            ("a volume label", last(tar_header("x", 0, b"V")), "unknown type"),
            ("a damaged checksum", last(bytearray(tar_header("bag/data/l", 0))[:148] + b"000000\0 " +
                                        tar_header("bag/data/l", 0)[156:]), "damaged"),
            ("xattrs", last(pax({"SCHILY.xattr.user.x": "y"}) + tar_header("bag/data/l", 0)), "attributes"),
            ("two names", last(pax({"path": "bag/a"}) + pax({"path": "bag/b"}) + tar_header("bag/c", 0)), "several"),
            ("a name in two records", last(pax({"path": "bag/data/a"}).replace(b"x", b"x") +
                                           tar_header("bag/data/a.txt", 0)), "")])

    def test_names(self):
        """In the manifest and in the tar: neither leads out of the folder, nor means two files on some disk."""
        for path in ("data/../x", "data/../../../../../../tmp/x", "../x", "/tmp/x", "/data/x", "data//x", "data/./x",
                     "data/x/", "data/.", "data/..", "./data/x", "data/a\\b", "data/new\nline", "data/\x1b[2J", "data/\u202ex",
                     "data/x.", "data/x ", "data/и\u0306", "data/a%0Ab", "data/" + "x" * 256, "data/" + "a/" * 64 + "x",
                     "data/" + "y/" * 2500 + "x", " data/x", "data/\x7f", "data/\u200bx", "C:/x", "data"):
            with self.subTest(path):
                self.check_refused(self.sealed(self.bag([(path, CANARY)])), look=False)
        for path in (b"data/\xff", b"data/\xc3\x28", b"data/\xed\xa0\x80"):
            with self.subTest(path):
                listed = SHA256(CANARY).hex().encode() + b"  " + path + b"\n"
                files = [("bagit.txt", DECLARATION), (MANIFEST, listed)]
                tag_manifest = manifest(files)
                tar = tar_of([(TAG_MANIFEST, tag_manifest), (SIGNATURE, self.forger.signature(tag_manifest)), *files,
                              tar_file(b"bag/" + path, CANARY)])
                self.check_refused(self.sealed(tar), look=False)
        self.check_nothing_there()
        self.assertFalse(os.path.exists("/tmp/x"))

    def test_colliding_names(self):
        for first, second in (("data/a", "data/A"), ("data/STRASSE", "data/straße"), ("data/a", "data/a"),
                              ("data/d", "data/d/x"), ("data/D", "data/d/x"), ("data/Й", "data/й")):
            with self.subTest(first=first, second=second):
                self.check_refused(self.sealed(self.bag([(first, CANARY), (second, CANARY)])), look=False)
        self.check_nothing_there()

    def test_tag_files(self):
        payload = [("data/a.txt", CANARY)]
        self.each([
            ("fetch.txt", self.bag(payload, tags=[("fetch.txt", b"http://x/ 5 data/b\n")]), "fetch.txt"),
            ("FETCH.TXT", self.bag(payload, tags=[("FETCH.TXT", b"http://x/ 5 data/b\n")]), "FETCH.TXT"),
            ("another manifest", self.bag(payload, tags=[("manifest-md5.txt", b"")]), "algorithm"),
            ("capitals", self.bag(payload, tags=[("BAGIT.TXT", DECLARATION)]), ""),
            ("another version", replaced_and_signed(self.bag(payload), "bagit.txt", DECLARATION.replace(b"1.0", b"0.97"),
                                                    self.forger), "version"),
            ("another encoding", replaced_and_signed(self.bag(payload), "bagit.txt", DECLARATION.replace(b"UTF-8", b"UTF-16"),
                                                     self.forger), "encoding"),
            ("Payload-Oxum", self.bag(payload, info=b"Payload-Oxum: 5.1\n"), "Oxum"),
            ("Payload-Oxum twice", self.bag(payload, info=b"Payload-Oxum: 24.1\nPayload-Oxum: 24.1\n"), "Oxum"),
            ("a file that is not listed", [*self.bag(payload), ("data/b.txt", CANARY)], "in no manifest"),
            ("a listed file that is not there", self.bag(payload, listed=[*payload, ("data/b", b"")]), "ends where"),
            ("another content", self.bag(payload, listed=[("data/a.txt", b"x")]), "not what the manifest says")])

    def test_bombs(self):
        """Little to send, much to unpack: refused early and with little memory."""
        big = bytes(1000)
        tera = tar_of(self.bag([("data/a.txt", CANARY)]))[:-1024 - 1024] + tar_header("bag/data/a.txt", 1 << 40)
        many = b"".join(tar_header(f"bag/data/{i}", 0) for i in range(100_000))
        listed = b"".join(b"%064x  data/%x\n" % (i, i) for i in range(870_000))
        files = [("bagit.txt", DECLARATION), (MANIFEST, listed)]
        head = [(TAG_MANIFEST, manifest(files)), (SIGNATURE, self.forger.signature(manifest(files))), *files]
        huge = b"".join(b"%064x  a/%x\n" % (i, i) for i in range(900_000))
        rows = [("a member of 1 TB", tera + big, "cut off"),
                ("a tag file of 1 TB", tar_header("bag/" + TAG_MANIFEST, 1 << 40) + big, "too large"),
                ("100,000 members", tar_of(self.bag([("data/a.txt", CANARY)]))[:-1024] + many + bytes(1024), "no manifest"),
                ("100,000 folders", b"".join(tar_header(f"bag/{i}/", 0, b"5") for i in range(100_000)) + bytes(1024), ""),
                ("a manifest of 60 MB", tar_of(head), ""),
                ("a tag manifest of 60 MB", tar_of([(TAG_MANIFEST, huge), (SIGNATURE, self.forger.signature(huge))]), ""),
                ("many tag files", tar_of(self.bag([], tags=[(f"casevault/proofs/{i}", b"") for i in range(10_001)])), ""),
                ("tag files of 180 MB", tar_of(self.bag([], tags=[(f"casevault/proofs/{i}", bytes(60 << 20))
                                                                  for i in range(3)])), "too large")]
        for what, tar, says in rows:
            with self.subTest(what):
                started = time.monotonic()
                self.check_refused(self.sealed(tar), says, look=False)
                self.assertLess(time.monotonic() - started, 20, "seconds")
        self.check_nothing_there()

    def test_json_bombs(self):
        """Also by somebody whom nobody knows: it is read before anything is signed."""
        deep, wide = 200_000, 20_000_000
        for signer in (self.forger.signature, lambda _: b"nothing\n", self.stock.signature):
            for what, text in (("deep", b'{"a":' + b"[" * deep + b"]" * deep + b"}"),
                               ("deep objects", b'{"a":' * deep + b"1" + b"}" * deep),
                               ("wide", b'{"a":[' + b"{}," * wide + b"0]}")):
                with self.subTest(what, signer=str(signer)[:40]):
                    members = bag_members([("data/a.txt", CANARY)], signer, [(BUNDLE_JSON, text)])
                    self.check_refused(self.sealed(members), look=False, statuses=(DAMAGED, NOT_FOUND))
        self.check_nothing_there()

    def test_deep_statements(self):
        """Texts within bundle.json that are JSON in turn."""
        deep = '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"
        hop = self.forger.hop(CANARY)
        certificates = self.forger.certificates()
        path = "data/C-1/name.txt"
        for what, record, vaults in (
                ("details", {**hop, "details": deep}, [certificates]),
                ("statement", {**hop, "statement": {**hop["statement"], "statement": deep}}, [certificates]),
                ("certificate", hop, [{**certificates, "certificates": [{**certificates["certificates"][0],
                                                                         "statement": deep}]}])):
            with self.subTest(what):
                bundle = self.forger.bundle([(path, [record])], [self.recipient], vaults=vaults)
                self.check_refused(self.sealed(self.forger.members(bundle, [(path, CANARY)])), look=False)
        self.check_nothing_there()


def replaced_and_signed(members, path, content, forger):
    files = replaced(members[2:], path, content)
    tag_manifest = manifest([member for member in files if not member[0].startswith("data/")])
    return [(TAG_MANIFEST, tag_manifest), (SIGNATURE, forger.signature(tag_manifest)), *files]


class ForgedTest(BundleTest):
    """bundle.json by a contact with a vault that it made up: signed all over, and wrong."""

    PATH = "data/C-1/name.txt"

    def forged(self, records=None, payload=None, checkpoint=None, tags=(), **own):
        records = [(self.PATH, [self.forger.hop(CANARY)])] if records is None else records
        payload = [(self.PATH, CANARY)] if payload is None else payload
        recipients = own.pop("recipients", [self.recipient])
        return self.forger.members(self.forger.bundle(records, recipients, **own), payload, checkpoint, tags)

    def hop(self, details=None, statement=None, **own):
        """A bundle whose one record says so."""
        return self.forged([(self.PATH, [self.forger.hop(CANARY, details, statement, **own)])])

    def test_control(self):
        result, _ = self.receive(self.sealed(self.forged()))
        self.assertEqual(result.status, DONE, str(result))
        self.beta.check_clean()

    def test_record_of_the_wrong_kind(self):
        """What the vault would not have written itself must not get in: it would be unreadable ever after."""
        self.each([("a testimony without facts", self.hop(statement={"record": "T-1"}), ""),
                   ("evidence with facts", self.hop(details={"testimony": TESTIMONY}), "")])

    def test_testimony_that_is_no_text(self):
        for content in (b"", b"\xff\xfe\0" + CANARY):
            hop = self.forger.hop(content, {"testimony": TESTIMONY}, {"record": "T-1"})
            members = self.forged([(self.PATH, [hop])], [(self.PATH, content)])
            with self.subTest(content):
                self.check_refused(self.sealed(members))

    def test_details(self):
        self.each([(what, self.hop(details=details), "") for what, details in [
            ("no name", {"name": ""}), ("a long name", {"name": "x" * 70_000}), ("a long title", {"title": "x" * 5000}),
            ("many tags", {"tags": ["x"] * 100}), ("an empty tag", {"tags": [""]}), ("a tag that is none", {"tags": [1]}),
            ("a media type", {"media_type": "text/html; charset=x"}), ("another size", {"size": 5}),
            ("a huge size", {"size": 1 << 54}), ("a negative size", {"size": -1}), ("another content", {"sha256": "00" * 32}),
            ("a time", {"modified": 1 << 60}), ("a field more", {"more": 1}), ("an origin", {"origin": "00" * 32}),
            ("half an origin", {"origin": "00"}), ("bytes of a name", {"name_bytes": "zz"}),
            ("facts", {"testimony": {**TESTIMONY, "language": "russian"}}),
            ("facts more", {"testimony": {**TESTIMONY, "more": ""}})]])

    def test_statements(self):
        other = Person("other")
        self.each([(what, self.hop(statement=statement), "") for what, statement in [
            ("a withdrawal", {"kind": "withdraw", "reason": "x"}), ("version 0", {"version": 0}),
            ("no record", {"record": "X-1"}), ("record 0", {"record": "E-0"}), ("epoch 0", {"epoch": 0}),
            ("by somebody else", {"by": other.id.hex()}), ("other details", {"details": "00" * 32}),
            ("another case", {"case": "00" * 16}), ("a field more", {"more": 1}),
            ("a huge log", {"log_size": 1 << 60})]])
        self.each([("signed by somebody else", self.hop(author=other), "certified"),
                   ("a path of another", self.forged([("data/C-1/other.txt", [self.forger.hop(CANARY)])]), "other records"),
                   ("no records", self.forged([]), "other records"),
                   ("no hop", self.forged([(self.PATH, [])]), "")])

    def test_people(self):
        boris, auditor = Person("boris"), Person("vera")
        change = self.forger.change
        certificate = change(2, "user", user=boris.keys(), role="member")
        removal = change(3, "remove", user=boris.id.hex())
        auditors = change(2, "user", user=auditor.keys(), role="auditor")
        promoted = self.forger.statement(self.forger.vault, boris, 4, bytes(32), {
            "by": boris.id.hex(), "kind": "user", "time": 1, **self.forger.cite(1), "user": auditor.keys(), "role": "owner"})

        def by(person, *statements, author=None):
            return self.forged([(self.PATH, [self.forger.hop(CANARY, author=author)])], by=person,
                               vaults=[self.forger.certificates(*statements)])
        self.each([
            ("by a removed user", by(boris, certificate, removal), "revoked"),
            ("signed by a removed user", by(None, certificate, removal, author=boris), "removed"),
            ("by an auditor", by(auditor, auditors), "author"),
            ("signed by an auditor", by(None, auditors, author=auditor), ""),
            ("by nobody certified", by(boris), "author"),
            ("certified by a member", by(auditor, certificate, promoted), "owner"),
            ("out of order", by(boris, change(3, "user", user=boris.keys(), role="member"),
                                change(2, "remove", user=auditor.id.hex())), "order"),
            ("a kind unknown", by(None, change(2, "case")), "unknown kind"),
            ("a role unknown", by(None, change(2, "user", user=boris.keys(), role="king")), ""),
            ("twice", by(None, certificate, change(3, "user", user=boris.keys(), role="owner")), "nobody"),
            ("a bad name", by(None, change(2, "user", user={**boris.keys(), "name": "a\x1b[2J"}, role="member")), "")])
        root = self.forger.root
        self.forger.root = os.urandom(32)
        founded = self.forger.certificates()
        self.forger.root = root
        certificates = self.forger.certificates()
        self.each([
            ("another root", self.forged(vaults=[{**certificates, "root": founded["root"]}]), "root key"),
            ("no certificates", self.forged(vaults=[{**certificates, "certificates": []}]), ""),
            ("no vaults", self.forged(vaults=[]), ""), ("a vault twice", self.forged(vaults=[certificates] * 2), "")])

    def test_fields(self):
        self.each([(what, self.forged(**own), "") for what, own in [
            ("a newer format", {"format": 2}), ("another kind", {"casevault": "vault"}), ("a field more", {"more": 1}),
            ("another signing key", {"sign": self.stock.sign}), ("another recipient", {"age": self.stock.age}),
            ("a long note", {"note": "x" * 10_001}), ("a time", {"time": "now"}), ("another log", {"log_size": 1}),
            ("another root of the log", {"log_root": "00" * 32}), ("another vault", {"vault": "00" * 16}),
            ("a short salt", {"salt": "00"}), ("for nobody", {"recipients": []})]])
        self.each([("a checkpoint of another vault", self.forged(checkpoint=self.forger.checkpoint("casevault/" + "0" * 32)),
                    "checkpoint|log"),
                   ("a checkpoint of another size", self.forged(checkpoint=self.forger.checkpoint(size=1)), "checkpoint"),
                   ("no checkpoint", self.forged(checkpoint=b"x"), "")])
        good = json.loads(self.forger.bundle([(self.PATH, [self.forger.hop(CANARY)])], [self.recipient]))
        payload = [(self.PATH, CANARY)]
        self.each([("no canonical JSON", self.forger.members(json.dumps(good).encode(), payload), "not written as"),
                   ("no signature", self.forger.members(canonical({**good, "signature": ""}), payload), ""),
                   ("changed after signing", self.forger.members(canonical({**good, "note": "x"}), payload), "signature"),
                   ("nothing", self.forger.members(b"{}", payload), ""), ("no object", self.forger.members(b"[]", payload), ""),
                   ("no UTF-8", self.forger.members(canonical({**good, "note": "x"}).replace(b'"x"', b'"\xff"'), payload), "")])

    def test_proofs(self):
        """Of another vault's log: Alpha's proofs in Mallory's bundle."""
        proofs = [member for member in self.members if member[0].startswith("casevault/proofs/")]
        self.assertTrue(proofs)
        self.each([("of another vault", self.forged(tags=proofs[:1]), ""),
                   ("no proof", self.forged(tags=[("casevault/proofs/1.tlog-proof", b"x")]), "")])

    def test_provenance(self):
        """Hops removed, added, changed, out of order."""
        far = Forger(os.path.join(self.root, "far"), "Far away", "farida")
        first = far.hop(CANARY, bundle="11" * 32)

        def origin(*hops):
            return {"origin": SHA256(canonical(list(hops))).hex()}

        def made(*hops, vaults=None):
            return self.forged([(self.PATH, list(hops))],
                               vaults=vaults or [self.forger.certificates(), far.certificates()])
        second = self.forger.hop(CANARY, origin(first))
        bag = {"bundle": "22" * 32, "path": "data/x", "sign": self.stock.sign}
        result, _ = self.receive(self.sealed(made(first, second)))
        self.assertEqual(result.status, DONE, f"the control: {result}")
        self.tearDown()
        renamed = {**first, "case": 2}
        content = far.hop(b"another content", bundle="11" * 32)
        self.each([
            ("removed", made(second), "where it comes from"), ("changed", made(renamed, second), "where it comes from"),
            ("not named", made(first, self.forger.hop(CANARY)), "where it comes from"),
            ("without certificates", made(first, second, vaults=[self.forger.certificates()]), "certificates"),
            ("another content", made(content, self.forger.hop(CANARY, origin(content))), "another content"),
            ("a gap", made({**first, "bundle": ""}, self.forger.hop(CANARY, origin({**first, "bundle": ""}))), "gap"),
            ("stock tools in between", made(first, bag, self.forger.hop(CANARY, origin(first, bag))), "beginning"),
            ("last by another", made(second, first), ""),
            ("65 hops", made(*[first] * 65), "where it comes from"),
            ("a bag's key that is none", made({**bag, "sign": "\x1b[2J"},
                                              self.forger.hop(CANARY, origin({**bag, "sign": "\x1b[2J"}))), "")])

    def test_impostors(self):
        """Mallory says that the record came through Alpha, or through ourselves: their root keys are known here."""
        self.take_from_alpha()
        for org in (self.alpha, self.beta):
            far = Forger(os.path.join(self.root, "impostor"), org.name, org.owner)
            far.vault = bytes.fromhex(org.card()["log_key"].split("+")[0].removeprefix("casevault/"))
            first = far.hop(CANARY, bundle="11" * 32)
            second = self.forger.hop(CANARY, {"origin": SHA256(canonical([first])).hex()})
            members = self.forged([(self.PATH, [first, second])],
                                  vaults=[self.forger.certificates(), far.certificates()])
            with self.subTest(org.name):
                self.check_refused(self.sealed(members))

    def take_from_alpha(self):
        result, _ = self.receive(self.bundle_of_alpha())
        self.assertEqual(result.status, DONE, str(result))
        self.before = self.beta.state()

    def bundle_of_alpha(self):
        return self.alpha.share(self.case, ["Beta"])

    def test_logs(self):
        """Forks and other vaults of a contact that is known by now."""
        result, _ = self.receive(self.sealed(self.forged()))
        self.assertEqual(result.status, DONE, str(result))
        self.before = self.beta.state()
        roots, vault = self.forger.log, self.forger.vault
        hop = self.forger.hop(CANARY)
        try:
            self.forger.log = [*roots[:2], os.urandom(32)]
            self.each([("forked", self.forged([(self.PATH, [hop])]), "forked or rolled back")])
            self.forger.log, self.forger.log_size = roots, 1
            self.check_refused(self.sealed(self.forged()), "older than one", statuses=(NOT_ALLOWED,), options=())
            self.forger.log_size, self.forger.vault = 2, os.urandom(16)
            self.each([("another vault", self.forged(), "another vault")])
        finally:
            self.forger.log, self.forger.log_size, self.forger.vault = roots, 2, vault

    def test_accept_sender_checks_the_card(self):
        """--accept-sender pins keys: the same that `contact add` would take."""
        own = self.recipient
        for what, age in (("no recipient", "nonsense \x1b[2J"), ("nothing", ""), ("long", "x" * 5000), ("our own", own),
                          ("a typo", self.stock.age[:-1] + ("q" if self.stock.age[-1] != "q" else "p"))):
            with self.subTest(what):
                unknown = Forger(os.path.join(self.root, "unknown"), "Unknown")
                unknown.age = age
                path = self.sealed(unknown.simple([own], CANARY))
                self.check_refused(path, statuses=(USAGE, DAMAGED), options=("--accept-sender",))
        unknown = Forger(os.path.join(self.root, "unknown"), "bad/name, \x1b[2J")
        path = self.sealed(unknown.simple([own], CANARY))
        self.check_refused(path, statuses=(USAGE, DAMAGED), options=("--accept-sender",))

    def test_nothing_on_the_terminal(self):
        """Names and notes with control characters: received perhaps, never shown as they are."""
        evil = "\x1b[2J\x07\u202eevil\x9b\r\n"
        for members in (self.forged(note=evil), self.hop(details={"name": evil, "title": evil, "tags": [evil]})):
            result, _ = self.receive(self.sealed(members))
            shown = [result] + [self.beta.run(*command) for command in
                                (("list", "C-1"), ("show", "C-1/E-1"), ("case", "list"), ("contact", "list"),
                                 ("search", "evil"), ("history", "C-1/E-1"), ("audit", "show"))]
            out = self.beta.fresh("export")
            shown.append(self.beta.run("export", "C-1", "--to", out))
            for one in shown:
                self.assertNotRegex(one.said, "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", str(one))
            for name in files_of(out):
                self.assertNotRegex(name, "[\x00-\x1f\x7f-\x9f\u202e]")
            shutil.rmtree(out, ignore_errors=True)
            self.tearDown()

    def test_many_certificates(self):
        """A vault with many removals, and many records: what a bundle takes in the vault is in proportion to it."""
        removals = [self.forger.change(number, "remove", user=os.urandom(16).hex()) for number in range(2, 2002)]
        files = [(f"data/C-1/{i}", CANARY + str(i).encode()) for i in range(150)]
        records = [(path, [self.forger.hop(content)]) for path, content in files]
        members = self.forged(records, files, vaults=[self.forger.certificates(*removals)])
        before = self.size_of_vault()
        result, peak = self.receive(self.sealed(members))
        self.assertEqual(result.status, DONE, str(result))
        grown, sent = self.size_of_vault() - before, sum(len(content) for _, content in members)
        self.assertLess(grown, 10 * sent, f"{sent >> 10} KiB were sent")
        self.assertLess(peak, MEMORY)

    def size_of_vault(self):
        return sum(os.path.getsize(os.path.join(self.beta.vault, path)) for path in files_of(self.beta.vault))

    def test_many_cases(self):
        """A bundle of tiny records, each of a case of its own: no new case for each without being asked."""
        files = [(f"data/C-{i}/x", CANARY + str(i).encode()) for i in range(1, 3001)]
        records = [(path, [self.forger.hop(content, case=i)]) for i, (path, content) in enumerate(files, 1)]
        members = self.forged(records, files)
        self.check_refused(self.sealed(members), statuses=(USAGE, DAMAGED, NOT_ALLOWED))


class PlaceTest(BundleTest):
    """Files beside the vault."""

    def test_receipt_places(self):
        target, link = os.path.join(self.root, "precious"), os.path.join(self.root, "link")
        write(target, b"precious")
        os.symlink(target, link)
        dangling = os.path.join(self.root, "dangling")
        os.symlink(os.path.join(self.root, "nowhere"), dangling)
        for place in (target, link, dangling, self.root, self.bundle):
            with self.subTest(place):
                result = self.beta.run("receive", self.bundle, "--receipt", place)
                self.assertEqual((result.status, result.out), (USAGE, b""), str(result))
        self.assertEqual(read(target), b"precious")
        self.assertFalse(os.path.exists(os.path.join(self.root, "nowhere")))
        self.check_nothing_there()

    def test_nothing_in_temporary_files(self):
        """Every file that is opened for writing lies in the vault, or is the bundle or the receipt."""
        if not has_strace():
            self.skipTest("strace cannot trace here")
        log, out, receipt = (os.path.join(self.root, name) for name in ("strace", "out.age", "receipt"))
        trace = strace(log, calls="openat,open,creat,mkdir,mkdirat,link,linkat,symlink,symlinkat,memfd_create,connect")
        self.alpha.ok("share", self.case, "--to", "Beta", "--out", out, under=trace, env=UNDER_STRACE)
        self.check_opened(log, self.alpha.vault, out)
        self.beta.ok("receive", out, "--receipt", receipt, under=trace, env=UNDER_STRACE)
        self.check_opened(log, self.beta.vault, receipt)
        for org in (self.alpha, self.beta):
            self.assertEqual(os.listdir(org.tmp) + os.listdir(org.home), [])
        for path in [out, receipt, *[os.path.join(self.beta.vault, name) for name in files_of(self.beta.vault)]]:
            self.assertNotIn(CANARY, read(path), path)

    def check_opened(self, log, vault, *others):
        folders = {os.path.dirname(path) for path in others}
        for line in read(log).decode("utf-8", "replace").splitlines():
            self.assertNotRegex(line, r"memfd_create|connect\((?!.*nscd)|O_TMPFILE|symlink\(")
            match = re.search(r'"([^"]*)".*(O_WRONLY|O_RDWR|O_CREAT)', line)
            path = match and match.group(1)
            if path and path != "/dev/tty":
                partial = os.path.dirname(path) in folders and re.fullmatch(r"\.[0-9a-f]{16}\.partial", os.path.basename(path))
                self.assertTrue(path.startswith(vault) or path in others or partial or not path.startswith("/"), line)


class InterruptedTest(BundleTest):
    """kill -9 in the middle of share and receive."""

    def setUp(self):
        if not has_strace():
            self.skipTest("strace cannot trace here")

    def kills(self, org, command):
        """Places: calls of an undisturbed run."""
        log = os.path.join(self.root, "strace")
        org.ok(*command, under=strace(log), env=UNDER_STRACE)
        calls = calls_in(log)
        return [calls[at] for at in spread(min(KILLS, len(calls)), len(calls))]

    def run_killed(self, org, command, call):
        injection = f"inject={call.name}:signal=KILL:when={call.number}"
        under = strace(os.path.join(self.root, "strace"), "-e", injection)
        return org.run(*command, under=under, env=UNDER_STRACE, may_be_killed=True)

    def test_receive(self):
        files = {f"{i}.bin": noise(RANDOM.choice((100, 5000, 70_000, 150_000))) for i in range(12)}
        case = self.alpha.new_case("killed", files)
        self.alpha.ok("testimony", "add", case, "-", "--witness", "W", "--consent", "court", stdin=CANARY)
        bundle, receipt = self.alpha.share(case, ["Beta"]), os.path.join(self.root, "receipt")
        command = ("receive", bundle, "--receipt", receipt)
        expected = sorted([*files.values(), CANARY])
        places = self.kills(self.beta, command)
        os.remove(receipt)
        hits = 0
        for call in places:
            copy_tree(self.pristine, self.beta.vault)
            with self.subTest(killed_at=str(call)):
                killed = self.run_killed(self.beta, command, call)
                hits += killed.status != DONE
                self.beta.check_clean()
                again = self.beta.run(*command)
                self.assertTrue(os.path.exists(receipt), f"killed: {killed}\nrepeated: {again}\nand there is no receipt")
                if killed.status != DONE:
                    self.assertIn(again.status, (DONE, NOT_ALLOWED, USAGE), str(again))
                self.alpha.ok("contact", "receipt", receipt)
                cases = [c["case"] for c in self.beta.ok("--json", "case", "list").objects()]
                self.assertEqual(len(cases), 1)
                self.assertEqual(sorted(self.beta.contents(*cases).values()), expected)
                self.assertEqual(len(self.beta.list(cases[0])), len(expected), "each record once")
                said = self.beta.check_clean()
                self.assertNotIn("belongs to no record", said)
            if os.path.exists(receipt):
                os.remove(receipt)
        print(f"{hits} of {len(places)} runs of receive ended by kill -9", flush=True)
        self.assertGreaterEqual(hits, len(places) / 2)

    def test_share(self):
        start, out = os.path.join(self.root, "alpha before"), os.path.join(self.root, "killed.age")
        copy_tree(self.alpha.vault, start)
        command = ("share", self.case, "--to", "Beta,Stock", "--out", out)
        places = self.kills(self.alpha, command)
        os.remove(out)
        hits = 0
        for call in places:
            copy_tree(start, self.alpha.vault)
            with self.subTest(killed_at=str(call)):
                killed = self.run_killed(self.alpha, command, call)
                hits += killed.status != DONE
                left = [name for name in os.listdir(self.root) if name.endswith(".partial")]
                log = self.alpha.ok("--json", "audit", "show", "--action", "share").objects()
                if os.path.exists(out):
                    self.stock.check_by_hand(out, self.alpha.card()["sign"])
                if os.path.exists(out) or any(os.path.getsize(os.path.join(self.root, name)) for name in left):
                    self.assertTrue(any(entry["objects"].startswith("bundle ") for entry in log),
                                    "there are bytes of a bundle that nobody announced")
                self.alpha.check_clean()
                if not os.path.exists(out):
                    self.alpha.ok(*command)
                self.stock.check_by_hand(out, self.alpha.card()["sign"])
                for name in left:
                    self.assertNotIn(CANARY, read(os.path.join(self.root, name)))
                    os.remove(os.path.join(self.root, name))
            if os.path.exists(out):
                os.remove(out)
        print(f"{hits} of {len(places)} runs of share ended by kill -9", flush=True)
        self.assertGreaterEqual(hits, len(places) / 2)
        copy_tree(start, self.alpha.vault)

    def test_interrupted(self):
        """Ctrl-C: status 130, nothing half-made beside the vault, and repeating finishes."""
        case = self.alpha.new_case("large", {"large.bin": noise(30_000_000)})
        out = os.path.join(self.root, "interrupted.age")
        running = self.alpha.start("share", case, "--to", "Beta", "--out", out)
        self.interrupt_when(running, lambda: any(n.endswith(".partial") for n in os.listdir(self.root)))
        result = running.finish()
        self.assertIn(result.status, (INTERRUPTED, DONE), str(result))
        self.assertEqual([n for n in os.listdir(self.root) if n.endswith(".partial")], [])
        if result.status == INTERRUPTED:
            self.assertFalse(os.path.exists(out))
            self.alpha.ok("share", case, "--to", "Beta", "--out", out)
        running = self.beta.start("receive", out, "--receipt", os.path.join(self.root, "receipt"), user="berta")
        self.interrupt_when(running, lambda: len(files_of(os.path.join(self.beta.vault, "bodies"))) > 0)
        result = running.finish()
        self.assertIn(result.status, (INTERRUPTED, DONE), str(result))
        if result.status == INTERRUPTED:
            self.beta.check_clean()
            self.beta.ok("receive", out, "--receipt", os.path.join(self.root, "receipt"))
        os.remove(os.path.join(self.root, "receipt"))
        self.assertEqual(len(self.beta.list("C-1")), 1)
        self.beta.check_clean()

    def interrupt_when(self, running, is_time):
        until = time.monotonic() + 20
        while running.is_running() and time.monotonic() < until:
            if is_time():
                running.kill(2)
                return


class NoSpaceTest(BundleTest):
    """Disks that are full: status 20 (16 where it is the audit log), nothing lost, and repeating works."""

    @classmethod
    def setUpClass(cls):
        if not CAN_MOUNT:
            cls.disk = None
            return
        super().setUpClass()
        cls.disk = Disk(os.path.join(cls.root, "disk"), 24 << 20)
        files = {f"{i}.bin": noise(400_000 if i % 2 else 5000) for i in range(8)}
        cls.large = cls.alpha.new_case("large", files)
        cls.contents = sorted(files.values())

    @classmethod
    def tearDownClass(cls):
        if cls.disk:
            subprocess.run(["umount", cls.disk.folder], check=False)

    def setUp(self):
        if not self.disk:
            self.skipTest("nothing can be mounted here: neither root nor unprivileged namespaces")
        self.disk.clear()

    def test_receive(self):
        bundle = self.alpha.share(self.large, ["Beta"])
        own, self.beta.vault = self.beta.vault, os.path.join(self.disk.folder, "beta.vault")
        receipt = os.path.join(self.root, "receipt")
        try:
            for amount in [0, 4096, 65536, 200_000, *[RANDOM.randrange(2_000_000) for _ in range(6)]]:
                self.disk.clear()
                copy_tree(self.pristine, self.beta.vault)
                self.disk.leave(amount)
                with self.subTest(free=amount):
                    result = self.beta.run("receive", bundle, "--receipt", receipt)
                    if result.status != DONE:
                        self.assertIn(result.status, (NO_SPACE, NO_AUDIT), str(result))
                    self.disk.clear()
                    self.beta.check_clean()
                    if result.status != DONE:
                        self.assertFalse(os.path.exists(receipt))
                        self.beta.ok("receive", bundle, "--receipt", receipt)
                    self.assertEqual(sorted(self.beta.contents("C-1").values()), self.contents)
                    self.assertEqual(len(self.beta.list("C-1")), len(self.contents))
                    self.assertNotIn("belongs to no record", self.beta.check_clean())
                if os.path.exists(receipt):
                    os.remove(receipt)
        finally:
            self.disk.clear()
            shutil.rmtree(self.beta.vault, ignore_errors=True)
            self.beta.vault = own

    def test_receipt(self):
        """The records are there, the receipt is shown instead, and the status says so."""
        bundle = self.alpha.share(self.large, ["Beta"])
        receipt = os.path.join(self.disk.folder, "receipt")
        self.disk.leave(0)
        result = self.beta.run("receive", bundle, "--receipt", receipt)
        self.disk.clear()
        self.assertEqual(result.status, PARTIAL, str(result))
        self.assertFalse(os.path.exists(receipt))
        self.assertEqual(os.listdir(self.disk.folder), [])
        shown = "casevault receipt v1\n" + result.text.split("casevault receipt v1\n", 1)[1]
        self.alpha.ok("contact", "receipt", write(os.path.join(self.root, "shown"), shown))

    def test_share(self):
        out = os.path.join(self.disk.folder, "out.age")
        for amount in (0, 4096, 100_000, 900_000):
            with self.subTest(free=amount):
                self.disk.leave(amount)
                result = self.alpha.run("share", self.large, "--to", "Beta,Stock", "--out", out)
                self.assertEqual((result.status, result.out), (NO_SPACE, b""), str(result))
                self.assertEqual(os.listdir(self.disk.folder), ["filler"], "something half-made is left")
                self.alpha.check_clean()
        self.disk.clear()
        self.alpha.ok("share", self.large, "--to", "Beta,Stock", "--out", out)
        self.stock.check_by_hand(out, self.alpha.card()["sign"])
        os.remove(out)


if __name__ == "__main__":
    main()
