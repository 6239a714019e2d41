"""What somebody with the disk can put back: older copies of single files, or of several, pages of older databases, old
journals.

Each shows: `verify` ends with status 15 and names it, or the file is put back from the catalogue's copy, with a
warning. What is printed on the way is right. (An older copy of everything at once is another matter: nothing in the
folder can tell. Witnesses can; until then it is written down as a limit.)

CASEVAULT_PAGES: pages of older databases that are put back, one at a time (60 if not given).
"""
import os
import shutil

from harness import (DAMAGED, DONE, NOT_ALLOWED, PASSPHRASES, RANDOM, UNDER_STRACE, WRONG_PASSPHRASE, FaultTest,
                     FilledOffice, calls_in, copy_tree,
                     files_of, has_strace, main, noise, number_from, read, scratch, strace, write)

PAGE_SIZE = 4096
PAGES = number_from("CASEVAULT_PAGES", 60)  # of older databases, put back one at a time
NEW_PASSPHRASE = "umbrella Tatra 1956 quiet marble lemon"
# What gets in the way of whom: of files that keep a person out one can only be told so.
REFUSALS = (DAMAGED, WRONG_PASSPHRASE, NOT_ALLOWED)


class OlderTest(FaultTest):
    """Three states of one vault: `first`; `second`, with more of everything under the same keys; `third`, under new."""

    @classmethod
    def setUpClass(cls):
        cls.office = office = FilledOffice(scratch("older"))
        for user in ("boris", "vera"):
            office.ok("status", user=user)
        cls.keep("first")
        office.add("C-1", {"later.txt": b"later", "later.bin": noise(90_000)})
        office.update("C-2/E-1", b"a newer plan")
        office.testify("C-1", "T-2", "Позже я вспомнила.\n".encode(), "--witness", "Синица", "--consent", "court")
        office.ok("user", "approve", "galina", "--yes")
        office.ok("status", user="galina")
        cls.change_passphrase("boris", NEW_PASSPHRASE)
        office.ok("status", user="boris")
        office.ok("status")
        cls.keep("second")
        office.ok("withdraw", "C-1/E-2", "--reason", "x", "--yes")
        del office.expected["C-1/E-2"]
        office.ok("user", "remove", "vera", "--yes")
        office.add("C-1", {"last.txt": b"last"})
        office.ok("status")
        cls.keep("third")

    @classmethod
    def keep(cls, name):
        copy_tree(cls.office.vault, os.path.join(cls.office.root, name))
        write(os.path.join(cls.office.root, name + ".expected"), b"")
        cls.states = {**getattr(cls, "states", {}), name: (dict(cls.office.expected), dict(cls.office.older))}

    @classmethod
    def change_passphrase(cls, user, new):
        cls.office.set_passphrase(user + "'s new one", new)
        cls.office.ok("user", "passphrase", "--new-passphrase-file", cls.office.passphrase_file(user + "'s new one"),
                      user=user)
        cls.office.set_passphrase(user, new)

    def start_from(self, name):
        copy_tree(self.kept(name), self.office.vault)
        self.office.expected, self.office.older = map(dict, self.states[name])

    def kept(self, name, *path):
        return os.path.join(self.office.root, name, *path)

    def put_back(self, state, *paths):
        for path in paths:
            target = os.path.join(self.office.vault, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(self.kept(state, path), target)

    def common(self, older, newer):
        """The files of both that differ."""
        files = set(files_of(self.kept(older))) & set(files_of(self.kept(newer)))
        files = {path for path in files if not path.startswith("spare/")}  # nothing of this vault depends on it
        return sorted(path for path in files if read(self.kept(older, path)) != read(self.kept(newer, path)))

    def check_readers(self):
        """Nothing wrong is shown, and nothing crashes."""
        for record, content in self.office.expected.items():
            result = self.office.run("cat", record)
            if result.status == DONE:
                self.assertEqual(result.out, content, f"wrong content: {result}")
            else:
                self.assertEqual(result.out, b"", str(result))
        for command in (("list", "C-1"), ("list", "C-2"), ("search", "Позже"), ("show", "C-1/E-1"), ("case", "list"),
                        ("user", "list"), ("audit", "show")):
            result = self.office.run(*command)
            self.assertIn(result.status, (DONE, *REFUSALS), str(result))
            self.assertTrue(result.status == DONE or not result.out, str(result))

    def check_shows(self, *names):
        """`verify` ends with status 15 and names one of them; or refuses anna, and then somebody else's names it."""
        result = self.office.verify()
        if result.status == WRONG_PASSPHRASE:
            self.assertIn("slots", result.said)
        else:
            self.assertEqual(result.status, DAMAGED, f"{names} put back, and: {result}")
            self.assertTrue(any(name in result.said for name in names), f"none of {names} is named: {result}")
        self.check_readers()

    def test_single_files(self):
        for older, newer in (("first", "second"), ("second", "third")):
            common = self.common(older, newer)
            self.assertLessEqual({"catalog.db", "slots", "audit/log"}, set(common))
            for path in common:
                with self.subTest(path=path, older=older, newer=newer):
                    self.start_from(newer)
                    self.put_back(older, path)
                    case = {"cases": "C-"}.get(path.split("/")[0], path)
                    self.check_shows(os.path.basename(path), "audit" if path == "audit/log" else case)

    def test_files_that_are_gone(self):
        """What the newer state has no more: databases of old keys, withdrawn bodies, requests. They come to nothing."""
        for older, newer in (("first", "second"), ("second", "third")):
            for path in sorted(set(files_of(self.kept(older))) - set(files_of(self.kept(newer)))):
                with self.subTest(path=path, older=older, newer=newer):
                    self.start_from(newer)
                    self.put_back(older, path)
                    self.office.verify()
                    self.office.check_records(self.office.expected)
                    if newer == "third":
                        self.assertNotEqual(self.office.run("cat", "C-1/E-2").status, DONE,
                                            "a withdrawn record is back")
                        self.assertNotEqual(self.office.run("status", user="vera").status, DONE,
                                            "a removed user is back")

    def test_all_but_the_log(self):
        """The log alone is newer: it has seen what the rest does not know of."""
        for older, newer in (("first", "second"), ("second", "third"), ("first", "third")):
            with self.subTest(older=older, newer=newer):
                self.start_from(older)
                self.put_back(newer, "audit/log")
                self.office.set_passphrase("boris", PASSPHRASES["boris"])
                self.check_shows("catalog.db", "audit")
                self.office.set_passphrase("boris", NEW_PASSPHRASE)

    def test_member_back(self):
        """A member is removed, and all is put back as it was but the log: the log still says that they were."""
        self.start_from("second")
        self.office.ok("user", "remove", "galina", "--yes")
        self.office.ok("cat", "C-1/E-1")
        log = read(os.path.join(self.office.vault, "audit/log"))
        self.start_from("second")
        write(os.path.join(self.office.vault, "audit/log"), log)
        self.check_shows("catalog.db", "audit")

    def test_only_the_log(self):
        for older, newer in (("first", "second"), ("second", "third")):
            with self.subTest(older=older, newer=newer):
                self.start_from(newer)
                self.put_back(older, "audit/log")
                self.check_shows("audit")
                self.check_shows("audit")  # it is not forgotten at the second look

    def test_log_entries(self):
        """Swapped, repeated, left out."""
        size = 512
        for name, change in (
                ("swapped", lambda e: e[:4] + [e[5], e[4]] + e[6:]), ("repeated", lambda e: e[:6] + [e[5]] + e[6:]),
                ("left out", lambda e: e[:5] + e[6:]), ("the last left out", lambda e: e[:-1]),
                ("the last repeated", lambda e: e + [e[-1]])):
            with self.subTest(name):
                self.start_from("second")
                path = os.path.join(self.office.vault, "audit/log")
                log = read(path)
                write(path, b"".join(change([log[at:at + size] for at in range(0, len(log), size)])))
                self.check_shows("audit")

    def test_older_pages(self):
        """A page of an older database passes SQLCipher's own checks. What does not show is of no consequence."""
        pages = []
        for path in self.common("first", "second"):
            if not path.endswith(".db"):
                continue
            old, new = read(self.kept("first", path)), read(self.kept("second", path))
            places = range(0, min(len(old), len(new)), PAGE_SIZE)
            pages += [(path, at) for at in places if old[at:at + PAGE_SIZE] != new[at:at + PAGE_SIZE]]
        unnoticed = []
        for path, at in RANDOM.sample(pages, min(PAGES, len(pages))):
            with self.subTest(path=path, page=at // PAGE_SIZE + 1):
                self.start_from("second")
                self.splice(path, at)
                result = self.office.verify()
                self.assertIn(result.status, (DONE, DAMAGED), str(result))
                if result.status == DONE:
                    unnoticed.append((path, at // PAGE_SIZE + 1))
                    self.office.check_all()
                    self.office.ok("--json", "search", "Позже")  # may miss: the index is not signed (threat-model/README.md)
                else:
                    self.assertTrue(os.path.basename(path) in result.said or "C-" in result.said,
                                    f"{path} is not named: {result}")
                self.start_from("second")
                self.splice(path, at)
                self.check_readers()
        print(f"{len(pages)} pages differ; put back without verify noticing: {unnoticed}", flush=True)

    def splice(self, path, at):
        with open(os.path.join(self.office.vault, path), "r+b") as file:
            file.seek(at)
            file.write(read(self.kept("first", path))[at:at + PAGE_SIZE])

    def test_old_journals(self):
        """A journal of an older change, which SQLite would roll back with: it brings old pages, and shows like them."""
        if not has_strace():
            self.skipTest("strace cannot run here")
        self.start_from("first")
        command = ("add", "C-1", self.office.source("journal.txt", b"journal"))
        log = self.office.fresh("strace")
        self.office.ok(*command, under=strace(log), env=UNDER_STRACE)
        # that ends a transaction: the journal is whole before it
        calls = [call for call in calls_in(log) if call.name == "ftruncate"]
        journals = []
        for call in calls:
            self.start_from("first")
            injection = ("-e", f"inject={call.name}:signal=KILL:when={call.number}")
            self.office.run(*command, under=strace(log, *injection), env=UNDER_STRACE, may_be_killed=True)
            journals += [(path, read(os.path.join(self.office.vault, path))) for path in files_of(self.office.vault)
                         if path.endswith("-journal") and os.path.getsize(os.path.join(self.office.vault, path))]
        self.assertTrue(journals)
        for path, journal in journals:
            with self.subTest(path=path, size=len(journal)):
                self.start_from("second")
                write(os.path.join(self.office.vault, path), journal)
                result = self.office.verify()
                self.assertIn(result.status, (DONE, DAMAGED), str(result))
                if result.status == DONE:
                    self.office.check_all()
                self.start_from("second")
                write(os.path.join(self.office.vault, path), journal)
                self.check_readers()


if __name__ == "__main__":
    main()
