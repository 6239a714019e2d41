#!/usr/bin/python3
"""Sharing between organisations by real processes: share, receive, receipts, and stock age, tar, sha256sum and minisign.

What is refused leaves nothing: the exit status is right, `verify` is clean, the vault is byte for byte what it was but
for its audit log, and no word of the content is anywhere in the receiver's folders.

CASEVAULT_BIG=1: a bundle of 2 GB instead of 40 MB, and one of 5,000 files instead of 300. The seed is printed.
"""
import json
import os
import sys
import unicodedata

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from harness import (DAMAGED, DONE, NOT_ALLOWED, NOT_FOUND, USAGE, FaultTest, files_of, main, noise,  # noqa: E402
                     read, scratch, write)
from partners import (BUNDLE_JSON, Forger, Organisation, Stock, age_seal, bag_members, members_of, tar_of,  # noqa: E402
                      tool)

HERE = os.path.dirname(os.path.abspath(__file__))
BIG = os.environ.get("CASEVAULT_BIG") == "1"
CANARY = b"Zimorodok-kanareika-7731"
CHUNK = 65536  # bytes of plaintext in a chunk of an age file
FACTS = {"witness": "Ласточка", "language": "ru", "taken_at": "2019-05-01", "place": "Тбилиси",
         "consent": "суд, не газеты"}


def leaks_in(folder, word=CANARY):
    return [path for path in files_of(folder) if word in read(os.path.join(folder, path))]


class SharingTest(FaultTest):
    def check_refused(self, org, bundle, status, says, *options, **others):
        """`receive` refuses, and leaves nothing."""
        before = org.state()
        result = org.receive(bundle, *options, **others)
        self.assertEqual(result.status, status, str(result))
        self.assertRegex(result.said, says)
        self.assertEqual(result.out, b"", str(result))
        self.assertEqual(org.state(), before, f"the vault was changed by {result}")
        self.assertFalse(os.path.exists(org.receipt), "a receipt for what was refused")
        org.check_clean()
        self.assertEqual(leaks_in(org.root), [], "plaintext")
        return result


class StockTest(SharingTest):
    """Bundles of ours, opened with stock tools."""

    @classmethod
    def setUpClass(cls):
        root = scratch("stock")
        cls.us = Organisation(os.path.join(root, "us"), "Бюро помощи")
        cls.stock = Stock(os.path.join(root, "stock"))
        cls.us.add_contact(cls.stock.card("Stock"))
        cls.card = cls.us.card()

    def open_all(self, files, *options):
        """Shares a new case of these files, opens the bundle by hand and gives the folder."""
        case = self.us.new_case("case", files)
        return case, self.stock.check_by_hand(self.us.share(case, ["Stock"], *options), self.card["sign"])

    def test_sizes(self):
        for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1):
            with self.subTest(size=size):
                content = noise(size)
                case, bag = self.open_all({"file.bin": content})
                self.assertEqual(files_of(os.path.join(bag, "data")), [f"{case}/file.bin"])
                self.assertEqual(read(os.path.join(bag, "data", case, "file.bin")), content)

    def test_payload_ends_with_chunk(self):
        """Bundles whose tar ends near the end of a chunk of age."""
        sizes = set()
        for padding in range(0, CHUNK, CHUNK // 6):
            _, bag = self.open_all({"file.bin": noise(CHUNK + padding)})
            sizes.add(sum(os.path.getsize(os.path.join(bag, path)) for path in files_of(bag)))
        self.assertEqual(len(sizes), 7)

    def test_large(self):
        size = (2 << 30) if BIG else 40_000_000
        source = os.path.join(self.us.root, "large")
        with open(source, "wb") as file:
            block, left = noise(1 << 20), size
            while left:
                left -= file.write(block[:left])
        case = self.us.new_case("large")
        self.us.ok("add", case, source)
        bag = self.stock.check_by_hand(self.us.share(case, ["Stock"]), self.card["sign"])
        tool("cmp", source, os.path.join(bag, "data", case, "large"))

    def test_many(self):
        count = 5000 if BIG else 300
        files = {f"many/{i % 17}/{i}.txt": f"file {i}".encode() for i in range(count)}
        case = self.us.new_case("many")
        folder = os.path.dirname(write(os.path.join(self.us.root, "many", "x"), b"x"))
        for name, content in files.items():
            write(os.path.join(self.us.root, name), content)
        self.us.ok("add", case, folder)
        bag = self.stock.check_by_hand(self.us.share(case, ["Stock"]), self.card["sign"])
        self.assertEqual(len(files_of(os.path.join(bag, "data"))), count + 1)
        for name, content in files.items():
            self.assertEqual(read(os.path.join(bag, "data", case, name)), content)

    def test_names(self):
        names = ["Допрос.txt", unicodedata.normalize("NFD", "Ёлкин й.txt"), "100% sure.txt", "a%0Ab.txt", "space .txt",
                 "-rf.txt", "~home.txt", "CON.txt", "it's \"quoted\".txt", "a\\b.txt", "trailing.", "new\nline.txt",
                 "$(id).txt", "*star*.txt", "x" * 200 + ".txt", "мир" * 30 + ".txt"]
        case, bag = self.open_all({name: name.encode() for name in names})
        contents = sorted(read(os.path.join(bag, path)) for path in files_of(bag) if path.startswith("data/"))
        self.assertEqual(contents, sorted(name.encode() for name in names))
        found = files_of(os.path.join(bag, "data", case))
        self.assertIn("Допрос.txt", found)
        self.assertIn(unicodedata.normalize("NFC", "Ёлкин й.txt"), found)
        for path in found:
            self.assertTrue(unicodedata.is_normalized("NFC", path) and "%" not in path, path)

    def test_names_that_collide(self):
        """Different files in the vault, the same name on some disks."""
        names = ["a.txt", "A.TXT", "й.txt", unicodedata.normalize("NFD", "й.txt"), "x%.txt", "x_.txt"]
        _, bag = self.open_all({name: name.encode() for name in names})
        found = [path for path in files_of(bag) if path.startswith("data/")]
        self.assertEqual(sorted(read(os.path.join(bag, path)) for path in found), sorted(name.encode() for name in names))
        self.assertEqual(len({unicodedata.normalize("NFC", path).casefold() for path in found}), len(names))

    def test_plain_names(self):
        case, bag = self.open_all({"Секретное имя.PDF": b"%PDF-1.4", "x.tar.gz": b"x"}, "--plain-names")
        self.assertEqual(files_of(os.path.join(bag, "data", case)), ["E-1.PDF", "E-2.gz"])
        self.assertNotIn("Секретное".encode(), read(os.path.join(bag, "manifest-sha256.txt")))

    def test_note_and_report(self):
        note = "Лично в руки.\nNot for the press: <script>alert(1)</script>\n"
        path = write(os.path.join(self.us.root, "note"), note)
        _, bag = self.open_all({"<b>&\".txt": b"x"}, "--note", path)
        self.assertEqual(json.loads(read(os.path.join(bag, BUNDLE_JSON)))["note"], note)
        page = read(os.path.join(bag, "casevault/custody.html")).decode()
        self.assertIn("&lt;script&gt;", page)
        self.assertNotRegex(page, r"(?i)<script|<b>|javascript:|https?://[^\s<]*['\"]\s*(?:/|>)|src\s*=|@import|url\(")
        self.assertIn("Бюро помощи", page)
        json.loads(read(os.path.join(bag, "casevault/custody.jsonld")))

    def test_several_contacts_and_cases(self):
        other = Stock(os.path.join(os.path.dirname(self.stock.folder), "other"))
        self.us.add_contact(other.card("Other"))
        cases = [self.us.new_case(name, {"same name.txt": name.encode()}) for name in ("one", "two")]
        bundle = self.us.share(cases, ["Stock", "Other"])
        for partner in (self.stock, other):
            bag = partner.check_by_hand(bundle, self.card["sign"])
            self.assertEqual(read(os.path.join(bag, "data", cases[1], "same name.txt")), b"two")

    def test_target_exists(self):
        case = self.us.new_case("case", {"x": b"x"})
        places = {"a file": write(os.path.join(self.us.root, "there"), b"precious"), "a folder": self.us.root}
        places["a dangling link"] = os.path.join(self.us.root, "link")
        os.symlink(os.path.join(self.us.root, "nowhere"), places["a dangling link"])
        for what, path in places.items():
            with self.subTest(what):
                result = self.us.run("share", case, "--to", "Stock", "--out", path)
                self.assertEqual((result.status, result.out), (USAGE, b""), str(result))
        self.assertEqual(read(places["a file"]), b"precious")
        self.assertFalse(os.path.exists(os.path.join(self.us.root, "nowhere")))


class ReceiveTest(SharingTest):
    """From one organisation with casevault to others."""

    @classmethod
    def setUpClass(cls):
        cls.root = root = scratch("receive")
        cls.alpha = Organisation(os.path.join(root, "alpha"), "Альфа", "anna")
        cls.beta = Organisation(os.path.join(root, "beta"), "Beta", "berta")
        cls.gamma = Organisation(os.path.join(root, "gamma"), "Gamma", "galina")
        cls.delta = Organisation(os.path.join(root, "delta"), "Delta", "dora")
        cls.alpha.meet(cls.beta, cls.gamma)
        cls.beta.meet(cls.gamma)
        cls.gamma.meet(cls.delta)
        cls.stock = Stock(os.path.join(root, "stock"))
        for org in (cls.alpha, cls.gamma, cls.delta):
            org.add_contact(cls.stock.card("Stock"))
        cls.serial = 0

    def alphas_case(self, *, extra=None):
        """A new case of Alpha's with one record that is nowhere else."""
        type(self).serial += 1
        files = {f"note {self.serial}.txt": CANARY + f" number {self.serial}".encode(), **(extra or {})}
        return self.alpha.new_case(f"case {self.serial}", files)

    def stranger(self, name="Unknown & Sons"):
        """An organisation that knows Beta, and that Beta does not know."""
        org = Organisation(os.path.join(self.root, f"stranger-{name}-{self.id()}"), name, "ulrike")
        org.add_contact(self.beta.card())
        return org

    def test_received_case(self):
        nfd = unicodedata.normalize("NFD", "Ёжик й.txt")
        large = noise(300_000)
        case = self.alphas_case(extra={nfd: b"nfd", "large.bin": large, "100%.txt": b"percent"})
        folder = os.path.join(self.alpha.root, f"odd-{self.serial}")
        os.makedirs(folder)
        with open(os.fsencode(folder) + b"/odd\xff\xfe.txt", "wb") as file:
            file.write(b"odd bytes")
        self.alpha.ok("add", case, folder, "--title", "Название", "--tag", "метка")
        bundle = self.alpha.share(case, ["Beta"])
        records, summary = self.beta.take(bundle)
        self.assertEqual((summary["contact"], summary["person"], summary["records"]), ("Альфа", "anna", 5))
        self.assertGreater(summary["proofs"], 0)
        place = records[0]["object"].split("/")[0]
        self.assertEqual([record["origin"].split("/")[0] for record in records], [case] * 5)
        here, there = self.beta.list(place), self.alpha.list(case)
        self.assertEqual([record["name"] for record in here.values()], [record["name"] for record in there.values()])
        self.assertIn(nfd, [record["name"] for record in here.values()])
        for field in ("title", "tags", "media_type", "sha256", "size", "modified"):
            self.assertEqual([r.get(field) for r in here.values()], [r.get(field) for r in there.values()], field)
        self.assertEqual(sorted(self.beta.contents(place).values()), sorted(self.alpha.contents(case).values()))
        self.assertIn(place, self.beta.ok("search", f"number {self.serial}").text)
        self.assertIn("Название", self.beta.ok("list", place).text)
        self.beta.check_clean()
        filed = self.alpha.ok("--json", "contact", "receipt", self.beta.receipt).objects()[0]
        self.assertEqual((filed["contact"], filed["bundle"], filed["records"]), ("Beta", summary["bundle"], 5))
        self.alpha.check_clean()

    def test_names_survive_byte_for_byte(self):
        """Also through a second organisation: the original bytes are those on the first disk."""
        nfd = unicodedata.normalize("NFD", "Ёжик й.txt")
        case = self.alphas_case()
        folder = os.path.join(self.alpha.root, f"bytes-{self.serial}")
        os.makedirs(folder)
        for name in (nfd.encode(), b"odd\xff\xfe.txt", "100% й.txt".encode()):
            with open(os.fsencode(folder) + b"/" + name, "wb") as file:
                file.write(b"the file " + name)
        self.alpha.ok("add", case, folder)
        records, _ = self.beta.take(self.alpha.share(case, ["Beta"]))
        again, _ = self.gamma.take(self.beta.share(records[0]["object"].split("/")[0], ["Gamma"]))
        bundle = self.gamma.share(again[0]["object"].split("/")[0], ["Stock"])
        told = json.loads(dict(members_of(self.stock.open(bundle)))[BUNDLE_JSON])
        for hop in range(3):
            details = [json.loads(record["hops"][hop]["details"]) for record in told["records"]]
            names = {bytes.fromhex(d["name_bytes"]) or d["name"].encode() for d in details}
            for name in (nfd.encode(), b"odd\xff\xfe.txt", "100% й.txt".encode()):
                self.assertTrue(any(found.endswith(b"/" + name) for found in names), f"hop {hop}: {name} of {names}")

    def test_unknown_sender(self):
        stranger = self.stranger()
        words = stranger.card()["fingerprint"]
        bundle = stranger.share(stranger.new_case("x", {"x.txt": CANARY}), ["Beta"])
        self.check_refused(self.beta, bundle, NOT_FOUND, "no contact of yours.*Unknown & Sons.*" + words)
        _, summary = self.beta.take(bundle, "--accept-sender")
        self.assertEqual((summary["contact"], summary["fingerprint"]), ("Unknown & Sons", words))
        contact = next(c for c in self.beta.ok("--json", "contact", "list").objects() if c["contact"] == "Unknown & Sons")
        self.assertEqual((contact["verified_by"], contact["fingerprint"]), ("berta", words))
        pinned = self.beta.ok("--json", "audit", "show", "--action", "contact-add").objects()
        self.assertIn("Unknown & Sons", [entry["objects"] for entry in pinned], "everybody sees it in the audit log")
        self.beta.take(stranger.share("C-1", ["Beta"]))  # known from now on

    def test_changed_sender(self):
        """The keys of a contact changed: also --accept-sender does not help."""
        stranger = self.stranger("Renewed")
        self.beta.add_contact(stranger.card())
        case = stranger.new_case("x", {"x.txt": CANARY})
        self.beta.take(stranger.share(case, ["Beta"]))
        stranger.ok("contact", "self", "--renew")
        words = stranger.card()["fingerprint"]
        bundle = stranger.share(case, ["Beta"])
        for options in ((), ("--accept-sender",), ("--accept-sender", "--accept-older")):
            self.check_refused(self.beta, bundle, DAMAGED, "other keys than the contact.*" + words, *options)
        self.beta.ok("contact", "remove", "Renewed")
        self.check_refused(self.beta, bundle, NOT_FOUND, words)
        self.beta.add_contact(stranger.card())
        self.beta.take(bundle)

    def test_renamed_impostor(self):
        """Somebody else by a contact's name."""
        impostor = self.stranger("Альфа")
        bundle = impostor.share(impostor.new_case("x", {"x.txt": CANARY}), ["Beta"])
        for options in ((), ("--accept-sender",)):
            self.check_refused(self.beta, bundle, DAMAGED, "other keys than the contact", *options)

    def test_not_for_us(self):
        bundle = self.alpha.share(self.alphas_case(), ["Gamma"])
        self.check_refused(self.beta, bundle, NOT_ALLOWED, "(?i)not (sealed|for|made)|no identity")

    def test_sealed_again_to_others(self):
        """A recipient passes a bundle on as if it had been made for somebody else."""
        tar = self.stock.open(self.alpha.share(self.alphas_case(), ["Stock"]))
        path = write(os.path.join(self.root, f"again-{self.serial}"), age_seal(tar, self.beta.card()["age"]))
        self.check_refused(self.beta, path, DAMAGED, "made for others")

    def test_received_already(self):
        bundle = self.alpha.share(self.alphas_case(), ["Beta"])
        self.beta.take(bundle)
        before = self.beta.state()
        for options in ((), ("--accept-older",), ("--into", "C-1"), ("--accept-sender",)):
            result = self.beta.receive(bundle, *options)
            self.assertEqual((result.status, result.out), (NOT_ALLOWED, b""), str(result))
            self.assertIn("received on", result.said)
            self.assertEqual(self.beta.state(), before)
        self.beta.check_clean()

    def test_receipt_again(self):
        """A receipt that was lost, or could not be written, can be had again."""
        bundle = self.alpha.share(self.alphas_case(), ["Beta"])
        result = self.beta.run("receive", bundle, "--receipt", os.path.join(self.beta.root, "no folder", "receipt"))
        self.assertIn(result.status, (USAGE, 3), str(result))
        if result.status == 3:
            self.assertIn("casevault receipt v1\n", result.text)
        again = self.beta.receive(bundle)
        self.assertTrue(os.path.exists(self.beta.receipt), f"there is no way to a receipt any more: {again}")
        self.alpha.ok("contact", "receipt", self.beta.receipt)

    def test_older(self):
        case = self.alphas_case()
        older = self.alpha.share(case, ["Beta"])
        self.beta.take(self.alpha.share(self.alphas_case(), ["Beta"]))
        self.check_refused(self.beta, older, NOT_ALLOWED, "older than one")
        self.beta.take(older, "--accept-older")

    def test_receipts(self):
        bundle = self.alpha.share(self.alphas_case(), ["Beta"])
        _, summary = self.beta.take(bundle)
        receipt = read(self.beta.receipt)
        shown = self.alpha.ok("contact", "receipt", self.beta.receipt).text
        self.assertIn(summary["bundle"], shown)
        self.alpha.ok("contact", "receipt", self.beta.receipt)  # the same again changes nothing
        listed = self.alpha.ok("--json", "contact", "list").objects()
        self.assertGreaterEqual(next(c for c in listed if c["contact"] == "Beta")["receipts"], 1)
        for what, forged in [("a byte", receipt.replace(b"records 1", b"records 2")), ("cut", receipt[:-9]),
                             ("nothing", b""), ("something else", b"casevault receipt v1\n"), ("long", receipt * 40)]:
            with self.subTest(what):
                result = self.alpha.run("contact", "receipt", write(os.path.join(self.alpha.root, "forged"), forged))
                self.assertEqual((result.status, result.out), (DAMAGED, b""), str(result))
        for position in range(0, len(receipt), 7):
            forged = receipt[:position] + bytes([receipt[position] ^ 1]) + receipt[position + 1:]
            result = self.alpha.run("contact", "receipt", write(os.path.join(self.alpha.root, "forged"), forged))
            self.assertIn(result.status, (DAMAGED, NOT_FOUND), f"byte {position}: {result}")
        self.alpha.check_clean()

    def test_receipt_of_another_contact(self):
        """Gamma's receipt for what was shared with Beta alone, and Beta's for a bundle of Gamma's."""
        bundle = self.alpha.share(self.alphas_case(), ["Beta", "Gamma"])
        self.beta.take(bundle)
        self.gamma.take(bundle)
        self.alpha.ok("contact", "receipt", self.gamma.receipt)
        self.gamma.ok("share", "C-1", "--to", "Beta", "--out", out := self.gamma.fresh("bundle"))
        self.beta.take(out)
        result = self.alpha.run("contact", "receipt", self.beta.receipt)
        self.assertEqual((result.status, result.out), (NOT_FOUND, b""), str(result))
        stranger = self.stranger("No contact of Alpha")
        self.beta.add_contact(stranger.card())
        stranger_bundle = self.beta.share("C-1", ["No contact of Alpha"])
        stranger.take(stranger_bundle)
        self.assertIn(self.alpha.run("contact", "receipt", stranger.receipt).status, (NOT_FOUND, DAMAGED))

    def test_duplicates(self):
        case = self.alphas_case(extra={"second.txt": noise(200_000)})
        place = self.beta.new_case("ours", {"mine.txt": CANARY + f" number {self.serial}".encode()})
        records, summary = self.beta.take(self.alpha.share(case, ["Beta"]), "--into", place)
        self.assertEqual([record["already_there"] for record in records], [True, False])
        self.assertEqual((records[0]["object"], summary["already_there"]), (f"{place}/E-1", 1))
        records, _ = self.beta.take(self.alpha.share(case, ["Beta"]), "--into", place)
        self.assertEqual([record["already_there"] for record in records], [True, True])
        self.assertEqual(len(self.beta.list(place)), 2)
        for path in files_of(self.beta.root):
            if path.startswith("source"):
                os.remove(os.path.join(self.beta.root, path))

    def test_same_words_of_others(self):
        """The same words on other terms are another testimony, and no duplicate of a file either."""
        words = f"I saw it, {self.id()}".encode()
        case = self.alphas_case()
        self.alpha.ok("testimony", "add", case, "-", "--witness", "A", "--consent", "court only", stdin=words)
        place = self.beta.new_case("ours")
        self.beta.ok("testimony", "add", place, "-", "--witness", "B", "--consent", "press", stdin=words)
        record, _ = self.beta.take(self.alpha.share(f"{case}/T-1", ["Beta"]), "--into", place)
        self.assertFalse(record[0]["already_there"])
        shown = self.beta.ok("--json", "show", record[0]["object"]).objects()[0]
        self.assertEqual(shown["testimony"]["consent"], "court only")
        other = self.beta.new_case("files")
        self.beta.ok("add", other, write(os.path.join(self.root, "words.txt"), words))
        record, _ = self.beta.take(self.alpha.share(f"{case}/T-1", ["Beta"]), "--into", other)
        self.assertEqual((record[0]["object"], record[0]["already_there"]), (f"{other}/T-1", False))

    def test_into(self):
        case, other = self.alphas_case(), self.alphas_case()
        place = self.beta.new_case("ours")
        before = len(self.beta.ok("case", "list").lines())
        records, _ = self.beta.take(self.alpha.share([case, other], ["Beta"]), "--into", place)
        self.assertEqual([record["object"] for record in records], [f"{place}/E-1", f"{place}/E-2"])
        self.assertEqual(len(self.beta.ok("case", "list").lines()), before)
        bundle = self.alpha.share(self.alphas_case(), ["Beta"])
        self.check_refused(self.beta, bundle, NOT_FOUND, "C-9999|no case", "--into", "C-9999")

    def test_one_case_for_each(self):
        cases = [self.alphas_case(), self.alphas_case()]
        records, _ = self.beta.take(self.alpha.share(cases, ["Beta"]))
        self.assertEqual(len({record["object"].split("/")[0] for record in records}), 2)
        titles = {c["case"]: c["title"] for c in self.beta.ok("--json", "case", "list").objects()}
        self.assertEqual([titles[record["object"].split("/")[0]] for record in records],
                         [f"Альфа, {case}" for case in cases])

    def test_armored(self):
        """A partner's mailer wants text: the same in ASCII armor, made by stock age."""
        bundle = self.alpha.share(self.alphas_case(), ["Beta", "Stock"])
        tar = self.stock.open(bundle)
        path = write(os.path.join(self.root, "armored"), age_seal(tar, self.beta.card()["age"], armor=True))
        self.assertTrue(read(path).startswith(b"-----BEGIN AGE ENCRYPTED FILE-----"))
        self.beta.take(path)

    def test_four_organisations(self):
        """Everybody on the way is named by the last bundle, and a testimony keeps what it is."""
        case = self.alphas_case()
        words = f"Я видела машину. {self.id()}".encode()
        options = [word for key, value in FACTS.items() for word in ("--" + key.replace("_", "-"), value)]
        self.alpha.ok("testimony", "add", case, "-", *options, stdin=words)
        bundle, objects = self.alpha.share(case, ["Beta"]), []
        for org, to in ((self.beta, "Gamma"), (self.gamma, "Delta")):
            objects.append(org.take(bundle)[0])
            bundle = org.share(objects[-1][0]["object"].split("/")[0], [to])
        objects.append(self.delta.take(bundle)[0])
        last = objects[-1][0]["object"].split("/")[0]
        shown = self.delta.ok("--json", "show", f"{last}/T-1").objects()[0]
        self.assertEqual(shown["testimony"], FACTS)
        self.assertEqual(self.delta.ok("cat", f"{last}/T-1").out, words)
        bag = self.stock.check_by_hand(self.delta.share(last, ["Stock"]), self.delta.card()["sign"])
        told = json.loads(read(os.path.join(bag, BUNDLE_JSON)))
        vaults = [org.card()["log_key"].split("+")[0].removeprefix("casevault/")
                  for org in (self.alpha, self.beta, self.gamma, self.delta)]
        for record in told["records"]:
            self.assertEqual([hop["vault"] for hop in record["hops"]], vaults)
            self.assertEqual([bool(hop["bundle"]) for hop in record["hops"]], [True, True, True, False])
        self.assertEqual({vault["vault"] for vault in told["vaults"]}, set(vaults))
        page, graph = (read(os.path.join(bag, "casevault", name)).decode() for name in ("custody.html", "custody.jsonld"))
        for name in ("Альфа", "Beta", "Gamma", "Delta", "anna", "berta", "galina", "dora"):
            self.assertIn(name, page)
            self.assertIn(name, graph)
        for org in (self.beta, self.gamma, self.delta):
            org.check_clean()

    def test_returned(self):
        """What comes back to where it began is known there."""
        case = self.alphas_case()
        records, _ = self.beta.take(self.alpha.share(case, ["Beta"]))
        back = self.beta.share(records[0]["object"], ["Альфа"])
        records, _ = self.alpha.take(back, "--into", case)
        self.assertEqual([record["already_there"] for record in records], [True])
        records, _ = self.alpha.take(self.beta.share("C-1/E-1", ["Альфа"]))  # and as a record of its own
        self.gamma.take(self.alpha.share(records[0]["object"], ["Gamma"]))

    def test_two_at_once(self):
        """The same bundle received by two processes: each record is there once, and one process at least says so."""
        bundle = self.alpha.share(self.alphas_case(extra={f"{i}": noise(100_000) for i in range(6)}), ["Beta"])
        before = len(self.beta.ok("--json", "case", "list").objects())
        running = [self.beta.start("receive", bundle, "--receipt", self.beta.fresh("receipt"), user="berta")
                   for _ in range(2)]
        results = sorted((process.finish() for process in running), key=lambda result: result.status)
        self.assertEqual(results[0].status, DONE, str(results[0]))
        self.assertIn(results[1].status, (DONE, 11, NOT_ALLOWED), str(results[1]))
        self.assertNotIn("damaged", results[1].said)
        cases = self.beta.ok("--json", "case", "list").objects()
        self.assertEqual(len(cases), before + 1)
        self.assertEqual(len(self.beta.list(cases[-1]["case"])), 7)
        self.beta.check_clean()


class RolesTest(SharingTest):
    @classmethod
    def setUpClass(cls):
        cls.root = root = scratch("roles")
        cls.alpha = Organisation(os.path.join(root, "alpha"), "Alpha", "anna")
        cls.beta = Organisation(os.path.join(root, "beta"), "Beta", "berta")
        cls.alpha.enrol("boris")
        cls.alpha.enrol("vera", "auditor")
        cls.alpha.meet(cls.beta)
        cls.case = cls.alpha.new_case("case", {"a.txt": CANARY})
        cls.alpha.ok("case", "grant", cls.case, "boris", "--right", "read")
        cls.alpha.ok("case", "grant", cls.case, "vera", "--right", "read")

    def test_auditor(self):
        bundle = self.beta.share(self.beta.new_case("x", {"x.txt": b"x"}), ["Alpha"])
        for command in (("share", self.case, "--to", "Beta", "--out", "out.age"), ("receive", bundle), ("contact", "self"),
                        ("contact", "add", "X", "--age", self.beta.card()["age"], "--sign", self.beta.card()["sign"]),
                        ("contact", "remove", "Beta"), ("contact", "self", "--renew")):
            with self.subTest(command[:2]):
                result = self.alpha.run(*command, user="vera")
                self.assertEqual((result.status, result.out), (NOT_ALLOWED, b""), str(result))
        self.assertFalse(os.path.exists(os.path.join(self.alpha.root, "out.age")))
        self.assertIn("Beta", self.alpha.ok("contact", "list", user="vera").text)
        self.assertRegex(self.alpha.ok("audit", "show", "--user", "vera").text, r"share +refused")
        self.alpha.check_clean()

    def test_member(self):
        """May share what they may read; proofs are an owner's to give."""
        out = self.alpha.fresh("bundle")
        result = self.alpha.run("share", self.case, "--to", "Beta", "--out", out, user="boris")
        self.assertEqual(result.status, DONE, str(result))
        self.assertIn("only an owner can disclose", result.said)
        _, summary = self.beta.take(out)
        self.assertEqual((summary["person"], summary["proofs"]), ("boris", 0))
        self.assertTrue(any("could not disclose" in sentence for sentence in summary["not_checked"]))
        closed = self.alpha.new_case("closed", {"b.txt": CANARY + b" of the closed case"})
        result = self.alpha.run("share", closed, "--to", "Beta", "--out", self.alpha.fresh("bundle"), user="boris")
        self.assertIn(result.status, (NOT_ALLOWED, NOT_FOUND), str(result))
        self.assertEqual(self.alpha.run("contact", "self", "--renew", user="boris").status, NOT_ALLOWED)

    def test_member_receives(self):
        bundle = self.beta.share(self.beta.new_case("x", {"y.txt": b"y for boris"}), ["Alpha"])
        result = self.alpha.receive(bundle, "--into", self.case, user="boris")
        self.assertIn(result.status, (NOT_ALLOWED, NOT_FOUND), f"boris may only read {self.case}: {result}")
        records, _ = self.alpha.take(bundle, user="boris")
        self.assertEqual(self.alpha.ok("cat", records[0]["object"], user="boris").out, b"y for boris")
        self.alpha.check_clean()
        self.alpha.check_clean(user="boris")

    def test_withdrawn(self):
        case = self.alpha.new_case("case", {"stays.txt": b"stays", "goes.txt": CANARY})
        self.alpha.ok("withdraw", f"{case}/E-1", "--reason", "x", "--yes")
        objects = {e["name"]: e for e in self.alpha.list(case).values() if not e["withdrawn"]}
        records, _ = self.beta.take(self.alpha.share(case, ["Beta"]))
        self.assertEqual([record["name"] for record in records], list(objects))

    def test_announced(self):
        """What went to whom under which hash is in the log, and everybody's to see in the list of contacts."""
        out = self.alpha.fresh("bundle")
        shared = self.alpha.ok("--json", "share", self.case, "--to", "Beta", "--out", out).objects()[-1]["bundle"]
        log = self.alpha.ok("--json", "audit", "show", "--action", "share").objects()
        told = [entry["objects"] for entry in log]
        self.assertTrue(any("Beta" in objects and f"{self.case}" in objects for objects in told), told)
        self.assertTrue(any(shared[:32] in objects for objects in told), told)


class RevokedTest(SharingTest):
    """boris was removed from Alpha, and has an old copy of its vault, his passphrase, and Alpha's keys."""

    @classmethod
    def setUpClass(cls):
        cls.root = root = scratch("revoked")
        cls.alpha = Organisation(os.path.join(root, "alpha"), "Alpha", "anna")
        cls.beta = Organisation(os.path.join(root, "beta"), "Beta", "berta")
        cls.alpha.enrol("boris")
        cls.alpha.meet(cls.beta)
        cls.case = cls.alpha.new_case("case", {"a.txt": CANARY, "b.txt": CANARY + b" b"})
        cls.alpha.ok("case", "grant", cls.case, "boris", "--right", "add")
        cls.copy = cls.alpha.copy_vault("copy")
        cls.before = cls.copy.fresh("bundle")
        cls.copy.ok("share", cls.case, "--to", "Beta", "--out", cls.before, user="boris")
        cls.alpha.ok("user", "remove", "boris", "--yes")
        cls.beta.take(cls.alpha.share(f"{cls.case}/E-1", ["Beta"]))

    def bundle_of_boris(self):
        out = self.copy.fresh("bundle")
        self.copy.ok("share", f"{self.case}/E-2", "--to", "Beta", "--out", out, user="boris")
        return out

    def test_refused(self):
        for bundle in (self.before, self.bundle_of_boris()):
            for options in (("--accept-older",), ("--accept-older", "--accept-sender")):
                self.check_refused(self.beta, bundle, DAMAGED, "boris.*membership was revoked", *options)
            self.check_refused(self.beta, bundle, DAMAGED, "boris.*membership was revoked")

    def test_refused_after_the_contact_was_added_again(self):
        """What was learned of a vault stays known when the contact is removed and added with the same keys."""
        beta = Organisation(os.path.join(self.root, "beta again"), "Beta again", "berta")
        self.alpha.meet(beta)
        copy = self.copy
        card = beta.card()
        copy.ok("contact", "add", "Beta again", "--age", card["age"], "--sign", card["sign"], user="boris")
        out = copy.fresh("bundle")
        copy.ok("share", f"{self.case}/E-2", "--to", "Beta again", "--out", out, user="boris")
        beta.take(self.alpha.share(f"{self.case}/E-1", ["Beta again"]))
        beta.ok("contact", "remove", "Alpha")
        beta.add_contact(self.alpha.card())
        self.check_refused(beta, self.bag_of_boris(beta), DAMAGED, ".", "--accept-older")
        self.check_refused(beta, out, DAMAGED, "membership was revoked", "--accept-older")

    def bag_of_boris(self, org):
        """boris knows Alpha's signing key: a plain bag under it names nobody, so nothing shows who made it."""
        forger = Forger(os.path.join(self.root, "forger"), "Alpha")
        forger.seed = organisation_seed(self.copy, "boris")
        self.assertEqual(forger.sign, self.alpha.card()["sign"], "the test has the key")
        members = bag_members([("data/C-1/forged.txt", CANARY + b" forged")], forger.signature)
        return forger.write("downgraded", members, org.card()["age"])

    def test_without_bundle_json(self):
        """From a partner with casevault there are no bundles by stock tools, whether one came before or not."""
        fresh = Organisation(os.path.join(self.root, "fresh"), "Fresh", "berta")
        fresh.add_contact(self.alpha.card())
        for org in (self.beta, fresh):
            self.check_refused(org, self.bag_of_boris(org), DAMAGED, ".", "--accept-older", "--accept-sender")


def organisation_seed(office, user):
    """The organisation's minisign seed, as anybody who was a member has it."""
    from casevault_functions import seal_open  # the independent reader knows the way there
    from casevault_reader import Reader, passphrase_of
    reader = Reader(office.vault, user, passphrase_of(office.passphrase_file(user)))
    sealed = reader.blob(reader.catalogue.sealed_keys[reader.user.id])
    plain = seal_open(reader.slot.box, sealed, "the organisation's keys")
    assert plain[:4] == b"CVO1"
    return plain[-32:]


class MadeByStockToolsTest(SharingTest):
    """From a partner without casevault."""

    @classmethod
    def setUpClass(cls):
        cls.root = root = scratch("bags")
        cls.us = Organisation(os.path.join(root, "us"), "Us")
        cls.known, cls.unknown = (Stock(os.path.join(root, name)) for name in ("known", "unknown"))
        cls.us.add_contact(cls.known.card("Court of Strasbourg"))
        cls.files = {"Письмо.txt": CANARY, "sub folder/scan.bin": noise(200_000), "empty": b"", "it's.txt": b"it is"}
        for name, content in cls.files.items():
            write(os.path.join(root, "files", name), content)

    def make(self, partner, files="files", age=None):
        out = os.path.join(self.root, f"bundle-{len(os.listdir(self.root))}.age")
        words = [os.path.join(self.root, files), partner.secret, age or self.us.card()["age"], out]
        tool("bash", os.path.join(HERE, "stock_bundle.sh"), *words)
        return out

    def test_known(self):
        bundle = self.make(self.known)
        records, summary = self.us.take(bundle)
        self.assertEqual((summary["contact"], summary["person"], summary["records"]), ("Court of Strasbourg", "", 4))
        self.assertTrue(any("stock tools" in sentence for sentence in summary["not_checked"]))
        place = records[0]["object"].split("/")[0]
        self.assertEqual(sorted(self.us.contents(place).values()), sorted(self.files.values()))
        for name in self.files:
            self.assertTrue(any(record["name"].endswith(name) for record in records), records)
        self.assertIn(place, self.us.ok("search", CANARY.decode().split("-")[0]).text)
        self.us.check_clean()
        self.assertEqual(leaks_in(self.us.root), [])
        self.assertEqual(self.us.receive(bundle).status, NOT_ALLOWED)
        # And on to the next: where it comes from is told.
        after = Stock(os.path.join(self.root, "next"))
        self.us.add_contact(after.card("Next"))
        told = json.loads(dict(members_of(after.open(self.us.share(place, ["Next"]))))[BUNDLE_JSON])
        for record in told["records"]:
            self.assertEqual([hop.get("sign", "a vault") for hop in record["hops"]], [self.known.sign, "a vault"])

    def test_unknown(self):
        write(os.path.join(self.root, "files 2", "a.txt"), CANARY + b" 2")
        bundle = self.make(self.unknown, "files 2")
        for options in ((), ("--accept-sender",)):  # there is no age recipient to pin
            self.check_refused(self.us, bundle, NOT_FOUND, "minisign key [0-9A-F]+.*no contact", *options)

    def test_same_bag_of_somebody_else(self):
        """A bag says nothing of who made it but by its signature: the same one under another key is another bundle."""
        write(os.path.join(self.root, "files 3", "a.txt"), CANARY + b" 3")
        third = Stock(os.path.join(self.root, "third"))
        self.us.add_contact(third.card("Third"))
        self.us.take(self.make(third, "files 3"))
        self.check_refused(self.us, self.make(self.unknown, "files 3"), NOT_FOUND, "no contact")
        _, summary = self.us.take(self.make(self.known, "files 3"))
        self.assertEqual(summary["contact"], "Court of Strasbourg")

    def test_altered(self):
        tar = self.known.open(self.make(self.known, age=self.known.age))
        members = members_of(tar)
        changed = [(path, b"changed" if path == "data/empty" else content) for path, content in members]
        self.assertNotEqual(changed, members)
        path = write(os.path.join(self.root, "altered"), age_seal(tar_of(changed), self.us.card()["age"]))
        self.check_refused(self.us, path, DAMAGED, "empty")


class CardTest(SharingTest):
    """What is printed for partners, and what they send back."""

    @classmethod
    def setUpClass(cls):
        cls.us = Organisation(os.path.join(scratch("cards"), "us"), "Us")
        cls.stock = Stock(os.path.join(os.path.dirname(cls.us.root), "stock"))

    def test_card(self):
        card = self.us.card()
        self.assertRegex(card["fingerprint"], r"^([bdfghjklmnprstvz][aiou]){2}[bdfghjklmnprstvz](-\w{5}){7}$")
        age_seal(b"x", card["age"])
        self.assertEqual(len(card["sign"]), 56)

    def test_bad_cards(self):
        age, sign = self.stock.age, self.stock.sign
        own = self.us.card()
        for what, name, recipient, key in [
                ("no age key", "X", "age1nonsense", sign), ("a typo", "X", age[:-1] + ("q" if age[-1] != "q" else "p"), sign),
                ("a secret key", "X", read(self.stock.identity).decode().splitlines()[2], sign),
                ("no minisign key", "X", age, "RWnonsense"), ("empty", "X", "", sign),
                ("our own keys", "X", own["age"], own["sign"]), ("our own recipient", "X", own["age"], sign),
                ("a bad name", "a/b", age, sign), ("a comma", "a,b", age, sign), ("control characters", "a\x1bb", age, sign),
                ("no name", "", age, sign)]:
            with self.subTest(what):
                result = self.us.run("contact", "add", name, "--age", recipient, "--sign", key)
                self.assertEqual((result.status, result.out), (USAGE, b""), str(result))
        self.assertEqual(self.us.ok("--json", "contact", "list").out, b"")
        self.us.check_clean()

    def test_pinned(self):
        self.us.add_contact(self.stock.card("Court"))
        other = Stock(os.path.join(os.path.dirname(self.us.root), "other"))
        for name, card in (("Court", other.card("Court")), ("Court", self.stock.card("Court")),
                           ("Second name", self.stock.card("x"))):
            result = self.us.run("contact", "add", name, "--age", card["age"], "--sign", card["sign"])
            self.assertEqual(result.status, USAGE, str(result))
        self.us.ok("contact", "remove", "Court")
        self.assertEqual(self.us.run("contact", "remove", "Court").status, NOT_FOUND)
        case = self.us.new_case("case", {"x": b"x"})
        result = self.us.run("share", case, "--to", "Court", "--out", self.us.fresh("out"))
        self.assertEqual(result.status, NOT_FOUND, str(result))
        self.us.add_contact(other.card("Court"))
        states = [contact["state"] for contact in self.us.ok("--json", "contact", "list").objects()]
        self.assertEqual(states, ["removed", "active"])
        log = self.us.ok("audit", "show").text
        for action in ("contact-add", "contact-remove"):
            self.assertRegex(log, rf"{action} +Court +done")


if __name__ == "__main__":
    if not all(os.access(os.path.join("/usr/bin", name), os.X_OK) for name in ("age", "age-keygen", "minisign", "tar")):
        print("skipped: age, age-keygen, minisign and tar are needed")
        sys.exit(77)
    main()
