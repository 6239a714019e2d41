"""A duress passphrase against the true one, with three custodians as real processes and a threshold of two: what a
network in between sees (connections and TLS records, by a relay before each custodian), exit status and shape of the
output, and what changes in the vault's folder. How long each takes is measured by tests/bench/duress_time.py.

One custodian is dead: with all three, the slowest is asked or dropped as chance has it, whichever passphrase it is.
"""
import json
import os
import re

from custodians import Custodian, KeptOffice
from harness import DONE, PARTIAL, WRONG_PASSPHRASE, FaultTest, Office, files_of, main, read, scratch, write
from relay import Relay

REFUSED = 17
PLACES = ("Georgia", "Iceland", "Portugal")
DURESS = "another walnut 1905 Kama lantern"
TRUE, COERCED, WRONG = "anna", "duress", "wrong"  # whose passphrase is typed, for anna
TITLES = ("Дело Ивановой", "Parking fine")
RUNS = 3


class Relayed(Custodian):
    """Known to the offices by the address of a relay."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.relay = Relay(self.port)

    def invitation(self):
        return super().invitation("--address", self.relay.address)

    def kill(self, *number):
        super().kill(*number)
        self.relay.close()


class CoercedOffice(KeptOffice):
    """With a decoy behind a duress passphrase, which holds as many cases and records as the vault."""

    def __init__(self, root, custodians):
        super().__init__(root, custodians)
        self.set_passphrase(COERCED, DURESS)
        self.set_passphrase(WRONG, "nobody has this passphrase 1921 plum")
        decoy = Office(os.path.join(root, "decoy"))
        decoy.set_passphrase("anna", DURESS)
        decoy.ok("init", "--organisation", "Legal Aid", "--no-recovery")
        decoy.ok("case", "new", TITLES[1])
        decoy.ok("add", "C-1", write(os.path.join(root, "sources", "fine.txt"), "They say I owe 100 euro to them.\n"))
        self.ok("user", "passphrase", "--duress", "--new-passphrase-file", self.passphrase_file(COERCED), "--decoy",
                decoy.vault)
        self.ok("status")

    def type(self, passphrase, *words):
        return self.run("--user", "anna", *words, user=passphrase)


class Seen:
    """What one command showed to whom."""

    def __init__(self, office, passphrase, words):
        living = [custodian for custodian in office.custodians if custodian.process]
        for custodian in living:
            custodian.relay.take()
        before = contents_of(office.vault)
        self.result = office.type(passphrase, *words)
        self.wire = [custodian.relay.take() for custodian in living]
        self.before, self.after = before, contents_of(office.vault)

    @property
    def touched(self):
        """Files that are not as they were, each with what it grew by."""
        return {path: now[0] - self.before[path][0] for path, now in self.after.items() if now != self.before[path]}


def contents_of(folder):
    """Size, time of change and content of each file."""
    found = {}
    for path in files_of(folder):
        whole = os.path.join(folder, path)
        found[path] = os.stat(whole).st_size, os.stat(whole).st_mtime_ns, read(whole)
    return found


def shape(text):
    """The output without what is a value: numbers, times, titles, fingerprints, hashes, widths."""
    for title in TITLES:
        text = text.replace(title, "TITLE")
    text = re.sub(r"\b(?:[a-z]{5}-){7}[a-z]{5}\b", "FINGERPRINT", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "HASH", text)
    text = re.sub(r"\b(?:note|fine)\.txt\b", "NAME", text)
    text = re.sub(r"\d+", "9", text)
    return re.sub(r"  +", "  ", text)


def json_shape(text):
    return [{key: type(value).__name__ for key, value in json.loads(line).items()} for line in text.splitlines()]


class DuressTest(FaultTest):
    def setUp(self):
        root = scratch("duress")
        self.custodians = [Relayed(root, f"keeper{n}", place) for n, place in enumerate(PLACES, 1)]
        self.addCleanup(lambda: [custodian.kill() for custodian in self.custodians])
        self.office = CoercedOffice(os.path.join(root, "office"), self.custodians)
        self.custodians[2].kill()

    def unlock(self):
        """At the custodians that live."""
        self.assertEqual(self.office.order("unlock", 1, 2).status, PARTIAL)

    def both(self, *words):
        """The command under the true passphrase, then under duress."""
        self.unlock()
        return [Seen(self.office, passphrase, words) for passphrase in (TRUE, COERCED)]

    def assert_alike(self, words):
        with self.subTest(command=" ".join(words)):
            true, coerced = self.both(*words)
            self.assertEqual(coerced.result.status, true.result.status, str(coerced.result))
            self.assertEqual(shape(coerced.result.err.decode()), shape(true.result.err.decode()))
            of = json_shape if "--json" in words else shape
            if words[0] != "cat":
                self.assertEqual(of(coerced.result.text), of(true.result.text))
            self.assertEqual(coerced.wire, true.wire)

    def test_unlocking_is_alike(self):
        """Three times over, so that the first unlocking under duress, which locks the rest, and later ones are seen."""
        self.assertEqual(self.office.type(COERCED, "case", "list").status, DONE)
        self.assertEqual(self.office.type(TRUE, "list", "C-1").status, REFUSED)
        first = Seen(self.office, COERCED, ("case", "list"))
        for _ in range(RUNS):
            self.assert_alike(("case", "list"))
            again = Seen(self.office, COERCED, ("case", "list"))
            self.assertEqual(again.wire, first.wire)
        requests = sum(len(up) for lines in first.wire for up, _ in lines)
        self.assertGreater(requests, 2 * 3, "the relays saw nothing")

    def test_reading_is_alike(self):
        for words in (("--json", "case", "list"), ("list", "C-1"), ("--json", "list", "C-1"), ("show", "C-1/E-1"),
                      ("cat", "C-1/E-1"), ("search", "nothing"), ("verify",), ("case", "show", "C-1")):
            self.assert_alike(words)

    def test_errors_are_alike(self):
        for words in (("cat", "C-7/E-1"), ("list", "C-7"), ("cat", "C-1/E-9")):
            self.assert_alike(words)

    def test_wrong_passphrases_are_alike(self):
        """Whatever was typed before, and whether the vault is locked."""
        seen = []
        for passphrase in (TRUE, COERCED, COERCED):
            self.unlock()
            self.assertEqual(self.office.type(passphrase, "case", "list").status, DONE)
            seen.append(Seen(self.office, WRONG, ("case", "list")))
            after = self.office.type(passphrase, "case", "list")
            self.assertRegex(after.said, "somebody tried 1 wrong passphrase for")
            seen.append(Seen(self.office, WRONG, ("status",)))
        for one in seen:
            self.assertEqual(one.result.status, WRONG_PASSPHRASE, str(one.result))
            self.assertEqual((one.result.out, one.result.err), (b"", seen[0].result.err))
            self.assertEqual(one.wire, seen[0].wire)
            self.assertEqual(one.touched, seen[0].touched)

    def test_the_folder_grows_alike(self):
        """The same files, each as long as it would be; but which log grew by how much, and whose catalogue was written,
        differs, for whoever compares two images of the disk."""
        for words in (("case", "list"), ("cat", "C-1/E-1")):
            true, coerced = self.both(*words)
            self.assertEqual(set(coerced.after), set(true.before))
            self.assertEqual(sum(coerced.touched.values()), sum(true.touched.values()))
            mirrored = {path.removeprefix("spare/") if path.startswith("spare/") else f"spare/{path}": grown
                        for path, grown in coerced.touched.items()}
            self.assertEqual(mirrored, true.touched)
            for path in ("slots", "vault.json", "spare/slots", "spare/vault.json"):
                self.assertNotIn(path, {**true.touched, **coerced.touched})


if __name__ == "__main__":
    main()
