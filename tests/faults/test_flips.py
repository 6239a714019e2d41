"""Single changed bytes anywhere in a vault; and whole files missing, cut, swapped, or replaced by something else.

The promise: never a crash, never wrong plaintext, and `verify`, run by an owner who may read all cases, ends with
status 15 and names the file. A change may go unnoticed only where nothing depends on the byte, and `verify` lists these
places:

- `slots`, where no user has their slot (61 of the 64 here; which ones is learned by asking);
- `audit/reserve`, all of it: filler, given back when the disk is full.

In one place more it shows otherwise: of one's own slot one is told that the passphrase is wrong (status 12), for
nothing tells a damaged lock from a wrong key; everybody else's `verify` names it.

CASEVAULT_FLIPS: changed bytes in all (120 if not given). Older copies are the matter of test_older.py.
"""
import collections
import os
import re
import shutil
import socket

from harness import (DAMAGED, DONE, NO_AUDIT, NO_VAULT, RANDOM, WRONG_PASSPHRASE, FaultTest, FilledOffice, copy_tree,
                     describe, files_of, main,
                     number_from, read, scratch, write)

FLIPS = number_from("CASEVAULT_FLIPS", 120)
SLOT_SIZE, SLOT_COUNT, PAGE_SIZE = 1024, 64, 4096
# How much of all changes goes to which file.
WEIGHTS = {"vault.json": 2, "slots": 3, "catalog.db": 4, "cases": 6, "audit/log": 4, "bodies": 4, "handover": 2,
           "audit/reserve": 1}
READERS = (
    ("list", "C-1"), ("list", "C-2"), ("show", "C-1/T-1"), ("history", "C-1/E-1"), ("search", "Они"),
    ("cat", "C-1/E-1"), ("cat", "C-1/E-2"), ("cat", "C-1/E-4"), ("cat", "C-1/T-1"), ("cat", "C-2/E-2"),
    ("cat", "C-1/T-1", "--version", "1"), ("case", "list"), ("case", "show", "C-1"), ("user", "list"))


def flip(path, offset, change):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ change]))


class Harmed(FaultTest):
    """A vault, what reading commands print while it is whole, and the checks once it is not."""

    @classmethod
    def setUpClass(cls):
        cls.office = FilledOffice(scratch("flips"))
        cls.printed = {command: cls.office.ok("--json", *command).out for command in READERS if command[0] != "cat"}
        for record, content in cls.office.expected.items():
            cls.printed["cat", record] = content
        for (record, version), content in cls.office.older.items():
            cls.printed["cat", record, "--version", str(version)] = content
        cls.databases = cls.case_databases()

    def setUp(self):
        self.office.restore()

    @classmethod
    def case_databases(cls):
        """C-1 and C-2 by the paths of their databases: the one that fails when its file is damaged."""
        cases = {}
        for path in files_of(os.path.join(cls.office.vault, "cases")):
            if path.endswith(".db"):
                copy_tree(cls.office.pristine, cls.office.vault)
                flip(os.path.join(cls.office.vault, "cases", path), PAGE_SIZE // 2, 1)
                failing = [case for case in ("C-1", "C-2") if cls.office.run("list", case).status == DAMAGED]
                cases["cases/" + path] = "/".join(failing)
        assert sorted(cases.values()) == ["C-1", "C-2"], cases
        return cases

    def path(self, name):
        return os.path.join(self.office.vault, name)

    def check_named(self, result, name):
        """Status 15, and the file named; of a case's database its case will do."""
        self.assertEqual(result.status, DAMAGED, f"{name} was changed, and: {result}")
        base = os.path.basename(name)
        names = [name, base, self.databases.get(name, name)] if not name.startswith("audit") else ["audit"]
        self.assertTrue(any(word in result.said for word in names), f"{name} is not named: {result}")

    def check_reader(self, command, must_work=False):
        """What it prints is right, or it prints nothing and fails. Returns its status."""
        result = self.office.run(*(command if command[0] == "cat" else ("--json", *command)))
        if result.status == DONE:
            self.assertEqual(result.out, self.printed[command], f"wrong output: {result}")
        else:
            self.assertEqual(result.out, b"", f"it failed, and printed: {result}")
            self.assertFalse(must_work, f"nothing that this needs was harmed: {result}")
            self.assertIn("casevault: error: ", result.said)
        return result.status

    def check_export(self):
        folder = self.office.fresh("export")
        result = self.office.run("--json", "export", "C-1", "C-2", "--to", folder)
        exported = result.objects()
        for entry in exported:
            content = read(os.path.join(folder, entry["path"]))
            self.assertEqual(content, self.office.expected[entry["object"]],
                             f"{entry['object']} was exported as {describe(content)}")
        extra = set(files_of(folder)) - {entry["path"] for entry in exported}
        self.assertEqual(extra, {"manifest-sha256.txt"} if result.status == DONE else set(), f"left by {result}")
        shutil.rmtree(folder, ignore_errors=True)
        return result.status


class FlipTest(Harmed):
    """Single bytes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.used_slots, cls.own_slots = cls.learn_slots()

    @classmethod
    def learn_slots(cls):
        """Which slots `verify` notices changes of; and which of them keeps anna out."""
        used, own = set(), set()
        for slot in range(SLOT_COUNT):
            cls.office.restore()
            flip(os.path.join(cls.office.vault, "slots"), slot * SLOT_SIZE + RANDOM.randrange(SLOT_SIZE),
                 1 << RANDOM.randrange(8))
            status = cls.office.verify().status
            if status != DONE:
                used.add(slot)
            if status == WRONG_PASSPHRASE:
                own.add(slot)
        return used, own

    def test_slots_in_use(self):
        self.assertEqual(len(self.used_slots), 3, "three users, three slots")
        self.assertEqual(len(self.own_slots), 1)
        self.assertIn("61 of 64 slots are unused noise", self.office.check_clean())

    def test_random_bytes(self):
        pristine = self.office.pristine
        paths = [path for path in files_of(pristine)
                 if os.path.getsize(os.path.join(pristine, path)) > 0 and not path.startswith("spare/")]  # nothing depends on it
        start_of = {path: next(start for start in WEIGHTS if path.startswith(start)) for path in paths}
        starts = collections.Counter(start_of.values())
        weights = [WEIGHTS[start_of[path]] / starts[start_of[path]] for path in paths]
        chosen = paths + RANDOM.choices(paths, weights, k=max(0, FLIPS - len(paths)))  # each file at least once
        unnoticed = collections.Counter()
        for path in chosen:
            offset, change = self.place_in(path), RANDOM.randrange(1, 256)
            with self.subTest(file=path, offset=offset, change=hex(change)):
                unnoticed[path] += self.check_flip(path, offset, change)
        print(f"{len(chosen)} changed bytes; unnoticed, and of no consequence: {dict(+unnoticed)}", flush=True)

    def place_in(self, path):
        """Anywhere; often at edges, and often in the slots that are used."""
        size = os.path.getsize(os.path.join(self.office.pristine, path))
        if path == "slots" and RANDOM.random() < 0.7:
            return RANDOM.choice(sorted(self.used_slots)) * SLOT_SIZE + RANDOM.randrange(SLOT_SIZE)
        if RANDOM.random() < 0.2:
            page = RANDOM.randrange(max(1, size // PAGE_SIZE)) * PAGE_SIZE
            edges = [0, size - 1, page, page + 15, page + PAGE_SIZE - 80, page + PAGE_SIZE - 1]
            return min(size - 1, RANDOM.choice(edges))
        return RANDOM.randrange(size)

    def check_flip(self, path, offset, change):
        """Returns whether `verify` did not notice, where it need not."""
        self.office.restore()
        flip(self.path(path), offset, change)
        result = self.office.verify()
        may_pass = path == "audit/reserve" or (path == "slots" and offset // SLOT_SIZE not in self.used_slots)
        sound_records = set(self.office.expected)
        if may_pass:
            self.assertEqual(result.status, DONE, str(result))
            self.assertRegex(result.text, rf"note +{path}: .*nothing depends on")
        elif path == "slots" and offset // SLOT_SIZE in self.own_slots:
            self.assertIn(result.status, (WRONG_PASSPHRASE, DAMAGED), str(result))
            self.check_named(self.office.verify(user="vera"), "slots")
            sound_records = set()
        else:
            self.check_named(result, path)
            sound_records -= self.harmed_records(path, result)
        self.office.restore()
        flip(self.path(path), offset, change)
        for command in RANDOM.sample(READERS, 4):
            if command == ("user", "list") and "/join-" in path:
                continue  # it may show the request, or not
            self.check_reader(command, must_work=command[0] == "cat" and command[1] in sound_records)
        if RANDOM.random() < 0.5:
            self.check_export()
        return may_pass

    def harmed_records(self, path, result):
        """The records that a change of this file may make unreadable; those of the others must stay readable."""
        if path.startswith("bodies/"):
            harmed = set(re.findall(re.escape(path) + r" \((C-\d+/E-\d+) ", result.text))
            self.assertEqual(len(harmed), 1, f"verify does not say whose body {path} is: {result}")
            return harmed
        if path.startswith("handover/") or path == "slots":
            return set()
        return {record for record in self.office.expected if record.startswith(self.databases.get(path, ""))}


# Whole files

def remove(path):
    shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def half(path):
    os.truncate(path, os.path.getsize(path) // 2)


def empty(path):
    os.truncate(path, 0)


def append(path):
    with open(path, "ab") as file:
        file.write(RANDOM.randbytes(512))  # of the log a whole record: less than one is what a crash leaves


def pipe(path):
    remove(path)
    os.mkfifo(path)


def link_to_device(path):
    remove(path)
    os.symlink("/dev/zero", path)


def folder(path):
    remove(path)
    os.mkdir(path)


def listener(path):
    remove(path)
    with socket.socket(socket.AF_UNIX) as opened:
        here = os.open(os.path.dirname(path), os.O_PATH)
        opened.bind(f"/proc/self/fd/{here}/{os.path.basename(path)}")  # a socket's path is short
        os.close(here)


HARMS = {"missing": remove, "half": half, "empty": empty, "longer": append, "a pipe": pipe,
         "a link to a device": link_to_device,
         "a folder": folder, "a socket": listener}
# What cannot be read any more.
EVERYTHING, OF_C1, ONE_RECORD, NOTHING = "everything", "what is in C-1", "one record", "nothing"


class FileTest(Harmed):
    """Whole files, one test for each harm of each file."""

    def check_harm(self, name, harm, loss):
        """`verify` names the file; reading fails with status 15 where it depends on it, and works elsewhere."""
        path = self.find(name)
        harm(self.path(path))
        result = self.office.verify()
        if name == "audit/log" and harm in (pipe, link_to_device, folder, listener):
            self.assertIn(result.status, (DAMAGED, NO_AUDIT))
        else:
            self.check_named(result, path)
        records = set(re.findall(r"C-\d/E-\d", result.text))
        self.office.restore()
        harm(self.path(path))
        cats = [("cat", record) for record in self.office.expected]
        for command in RANDOM.sample(READERS, 5) + (cats if loss == ONE_RECORD else RANDOM.sample(cats, 2)):
            if command == ("user", "list") and name == "join":
                continue  # it may show the request, or not
            self.check_loss(command, self.is_lost(command, loss, records))
        self.check_export()

    def is_lost(self, command, loss, records):
        of_c1 = any(word.startswith("C-1") for word in command[1:]) or command[0] == "search"
        if loss == ONE_RECORD:
            self.assertEqual(len(records), 1, f"verify does not say whose body it is: {records}")
            return command[0] == "cat" and command[1] in records
        return loss == EVERYTHING or (loss == OF_C1 and of_c1)

    def check_loss(self, command, is_lost):
        status = self.check_reader(command, must_work=not is_lost)
        if is_lost:
            self.assertIn(status, (DAMAGED, NO_AUDIT), f"{command}")

    def find(self, name):
        if name == "C-1":
            return next(path for path, case in self.databases.items() if case == "C-1")
        if name == "a body":
            return "bodies/" + RANDOM.choice(files_of(self.path("bodies")))
        if name == "join":
            return next("handover/" + path for path in files_of(self.path("handover")) if path.startswith("join-"))
        return name

    def check_nothing_lost(self):
        for command in RANDOM.sample(READERS, 6):
            self.check_reader(command, must_work=True)

    def test_unfinished_log_entry(self):
        """It was never acknowledged: a crash left it, and the next access removes it."""
        with open(self.path("audit/log"), "ab") as file:
            file.write(RANDOM.randbytes(RANDOM.randrange(1, 512)))
        self.check_nothing_lost()
        self.office.check_clean()

    def test_request_to_join_missing(self):
        """Whoever can delete files can hide a request; that it was made stands in the audit log."""
        os.remove(self.path(self.find("join")))
        self.office.check_clean()
        self.assertIn("user-join", self.office.ok("audit", "show").text)

    def test_reserve(self):
        """Nothing depends on it but a full disk: no loss, and `verify` does not claim that it is there."""
        for name, harm in (("missing", remove), ("empty", empty), ("half", half)):
            with self.subTest(name):
                self.office.restore()
                harm(self.path("audit/reserve"))
                result = self.office.verify()
                self.assertIn(result.status, (DONE, DAMAGED), str(result))
                self.assertRegex(result.said, r"audit/reserve: .*(missing|gone|given back|used|smaller|shorter|anew)")
                self.check_nothing_lost()

    def test_journals_missing(self):
        for path in files_of(self.office.vault):
            if path.endswith("-journal"):
                os.remove(self.path(path))
        self.office.check_clean()
        self.check_nothing_lost()

    def test_folders_missing(self):
        for name in ("cases", "bodies", "audit", "handover"):
            with self.subTest(name):
                self.office.restore()
                shutil.rmtree(self.path(name))
                self.check_named(self.office.verify(), name)
                for command in READERS:
                    # The request of somebody who asked to join is lost with the folder.
                    if not (name == "handover" and command[:2] == ("user", "list")):
                        self.check_reader(command)

    def test_newer_format(self):
        header = read(self.path("vault.json"))
        write(self.path("vault.json"), header.replace(b'"format":1', b'"format":2'))
        for command in (("verify",), *READERS):
            result = self.office.run(*command)
            self.assertEqual((result.status, result.out), (NO_VAULT, b""), str(result))

    def test_databases_swapped(self):
        first, second = self.databases
        self.swap(first, second)
        result = self.office.verify()
        self.check_named(result, first)
        self.check_named(result, second)
        for command in READERS:
            self.assertIn(self.check_reader(command), (DONE, DAMAGED))
        self.assertEqual(self.check_reader(("list", "C-1")), DAMAGED)

    def test_bodies_swapped(self):
        sizes = collections.defaultdict(list)
        for path in files_of(self.path("bodies")):
            sizes[os.path.getsize(self.path("bodies/" + path))].append("bodies/" + path)
        first, second = next(paths for paths in sizes.values() if len(paths) == 2)
        self.swap(first, second)
        result = self.office.verify()
        self.check_named(result, first)
        self.check_named(result, second)
        for record in ("C-2/E-2", "C-2/E-3"):
            if self.office.expected[record] and len(self.office.expected[record]) > 65_536:
                self.assertEqual(self.check_reader(("cat", record)), DAMAGED)

    def swap(self, first, second):
        os.rename(self.path(first), self.path("swap"))
        os.rename(self.path(second), self.path(first))
        os.rename(self.path("swap"), self.path(second))

    def test_strange_files(self):
        """Named by `verify`, and in nobody's way."""
        for name in ("x", "bodies/x", "bodies/ab/x", "cases/x", "audit/x", "handover/x", ".0123456789abcdef.partial"):
            with self.subTest(name):
                self.office.restore()
                write(self.path(name), b"strange")
                self.assertIn(name, self.office.verify().said)
                self.check_nothing_lost()


# Every file of the vault, every harm; what is lost with it. What the catalogue keeps a copy of is put back, and said.
LOSSES = {"vault.json": EVERYTHING, "slots": EVERYTHING, "catalog.db": EVERYTHING, "audit/log": EVERYTHING,
          "handover/1": NOTHING, "join": NOTHING,
          "C-1": OF_C1, "a body": ONE_RECORD}
for _name in LOSSES:
    for _harm in HARMS:
        if (_name, _harm) in (("join", "missing"), ("C-1", "longer"), ("catalog.db", "longer")):
            continue  # the first has a test of its own; SQLite does not read behind the pages it knows
        # Entries that are lost are no evidence lost; but a log that cannot be written lets nobody in.
        _loss = NOTHING if _name == "audit/log" and _harm in ("half", "empty", "longer") else LOSSES[_name]
        _title = re.sub(r"\W+", "_", f"test_{_name.replace('-', '')} {_harm}")
        setattr(FileTest, _title, lambda self, name=_name, harm=HARMS[_harm],
                loss=_loss: self.check_harm(name, harm, loss))


if __name__ == "__main__":
    main()
