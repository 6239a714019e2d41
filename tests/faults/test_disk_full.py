"""A disk that is full, or becomes full in the middle of a command, or cannot be written at all.

A command for which there is no space ends with status 20, or 16 where it is the audit log that cannot be written, and
says so; what it had reported is there, the rest is not half there; with space again `verify` is clean and repeating
completes the job. Reading goes on: `audit/reserve` pays for the log.

CASEVAULT_TRIES: random amounts of free space tried for each command (6 if not given), besides the powers of two.
"""
import collections
import os
import shutil
import subprocess

from harness import (DONE, NOT_ALLOWED, NO_AUDIT, NO_SPACE, PASSPHRASES, RANDOM, WRONG_PASSPHRASE, Disk, FaultTest,
                     FilledOffice, check_manifest, files_of,
                     in_own_mounts, main, noise, number_from, program, read, scratch)

PAGE = 4096
SIZE = 16 << 20  # of the disk
TRIES = number_from("CASEVAULT_TRIES", 6)  # of random amounts of free space for each command
CAN_MOUNT = in_own_mounts()
READING = (("list", "C-1"), ("cat", "C-1/E-1"), ("cat", "C-1/E-2"), ("show", "C-1/T-1"), ("search", "Они"),
           ("case", "list"), ("audit", "show"))
WRITING = (("add", "C-1", "SOURCE"), ("update", "C-1/E-1", "SOURCE"), ("case", "new", "x"),
           ("withdraw", "C-1/E-2", "--reason", "x", "--yes"),
           ("user", "approve", "galina", "--yes"), ("case", "revoke", "C-1", "boris", "--yes"))


class DiskFullTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        if not CAN_MOUNT:
            cls.disk = None
            return
        cls.office = FilledOffice(scratch("disk"))
        cls.disk = Disk(os.path.join(cls.office.root, "disk"), SIZE)
        cls.office.vault = os.path.join(cls.disk.folder, "office.vault")

    @classmethod
    def tearDownClass(cls):
        if cls.disk:
            subprocess.run(["umount", cls.disk.folder], check=False)

    def setUp(self):
        if not self.disk:
            self.skipTest("nothing can be mounted here: neither root nor unprivileged namespaces")
        self.disk.clear()
        self.office.restore()
        self.office.set_passphrase("anna", PASSPHRASES["anna"])

    def source(self, name, content):
        return self.office.source(name, content)

    def fill_up(self, command, check, **options):
        """Runs `command` with ever more free space until it succeeds, and with random amounts in between."""
        amount, statuses = 0, []
        while DONE not in statuses:
            self.assertLess(amount, SIZE, "it does not succeed however much is free")
            statuses.append(self.run_with(amount, command, check, options))
            amount = max(2 * amount, PAGE)
        statuses += [self.run_with(RANDOM.randrange(amount // 2), command, check, options) for _ in range(TRIES)]
        print(f"`{' '.join(command[:2])}` with up to {amount // 2} bytes free: {collections.Counter(statuses)}",
              flush=True)

    def run_with(self, amount, command, check, options):
        self.setUp()
        self.disk.leave(amount)
        with self.subTest(free=amount):
            result = self.office.run(*command, **options)
            if result.status != DONE:
                self.check_refusal(result)
                self.check_reading()
            self.disk.clear()
            if result.status != DONE:
                self.office.check_clean()
                self.office.check_records({k: v for k, v in self.office.expected.items() if k not in command})
            check(result)
            self.office.check_clean()
            return result.status
        return "failed"

    def check_refusal(self, result):
        self.assertIn(result.status, (NO_SPACE, NO_AUDIT), str(result))
        self.assertRegex(result.said, "casevault: error: .*(no space|disk)")
        if result.status == NO_AUDIT:
            self.assertIn("audit log", result.said)

    def check_reading(self):
        """On the full disk."""
        for record in ("C-1/E-3", "C-2/E-1", "C-2/E-2"):
            self.assertEqual(self.office.ok("cat", record).out, self.office.expected[record])

    def test_add_bodies(self):
        files = {f"large/{i}": noise(150_000) for i in range(8)}
        self.check_adding("large", files)

    def test_add_small_files(self):
        files = {f"small/{i}": noise(RANDOM.randrange(20_000)) for i in range(60)}
        self.check_adding("small", files)

    def check_adding(self, folder, files):
        for name, content in files.items():
            self.source(name, content)
        command = ("add", "C-1", os.path.join(self.office.sources, folder))

        def check(result):
            names = {record: entry["name"] for record, entry in self.office.list("C-1").items()}
            for line in result.lines():
                record, name = line.split("  ", 1)
                self.assertEqual(names.get(record), name, "printed as done, and not there")
            self.office.ok(*command)
            found = self.office.contents("C-1")
            added = sorted(content for record, content in found.items() if record not in self.office.expected)
            self.assertEqual(added, sorted(files.values()))
            self.assertNotIn("left in", self.office.check_clean())

        self.fill_up(command, check, terminal=True)

    def test_update(self):
        content = noise(200_000)
        command = ("update", "C-1/E-1", self.source("newer", content))

        def check(result):
            if result.status != DONE:
                self.assertEqual(self.office.ok("cat", "C-1/E-1").out, self.office.expected["C-1/E-1"])
            self.office.ok(*command)
            self.assertEqual(self.office.ok("cat", "C-1/E-1").out, content)

        self.fill_up(command, check)

    def test_user_approve(self):
        def check(result):
            if result.status != DONE:
                self.office.ok("user", "approve", "galina", "--yes")
            self.office.ok("status", user="galina")

        self.fill_up(("user", "approve", "galina", "--yes"), check)

    def test_user_passphrase(self):
        """A change that failed has changed nothing: the old passphrase counts, the new one does not."""
        old, new = PASSPHRASES["anna"], "umbrella Tatra 1956 quiet marble lemon"
        self.office.set_passphrase("anna's new one", new)
        command = ("user", "passphrase", "--new-passphrase-file", self.office.passphrase_file("anna's new one"))

        def check(result):
            if result.status != DONE:
                self.office.set_passphrase("anna", new)
                self.assertEqual(self.office.run("status").status, WRONG_PASSPHRASE,
                                 "the command failed, and the new passphrase counts")
                self.office.set_passphrase("anna", old)
                self.office.ok(*command)
            self.office.set_passphrase("anna", new)

        self.fill_up(command, check)

    def test_withdraw(self):
        command = ("withdraw", "C-1/E-2", "--reason", "x", "--yes")

        def check(result):
            if result.status != DONE and not self.office.list("C-1")["C-1/E-2"]["withdrawn"]:
                self.assertEqual(self.office.ok("cat", "C-1/E-2").out, self.office.expected["C-1/E-2"])
                self.office.ok(*command)
            self.assertTrue(self.office.list("C-1")["C-1/E-2"]["withdrawn"])

        self.fill_up(command, check)

    def test_case_revoke(self):
        command = ("case", "revoke", "C-1", "boris", "--yes")

        def check(result):
            if result.status != DONE:
                self.office.run(*command)
            self.assertNotEqual(self.office.run("list", "C-1", user="boris").status, DONE)

        self.fill_up(command, check)

    def test_init(self):
        place = self.office.vault
        shutil.rmtree(place)
        for amount in (0, PAGE, 64 << 10, 1 << 20, (1 << 20) + (64 << 10)):
            with self.subTest(free=amount):
                self.disk.leave(amount)
                result = self.office.run("init", "--organisation", "x", "--no-recovery")
                self.assertEqual(result.status, NO_SPACE, str(result))
                self.assertEqual(os.listdir(self.disk.folder), ["filler"], "something half-made is left")
        self.disk.clear()
        self.office.ok("init", "--organisation", "x", "--no-recovery")
        self.office.check_clean()

    def test_user_join(self):
        self.office.set_passphrase("dmitri", PASSPHRASES["vera"])
        self.disk.leave(0)
        result = self.office.run("user", "join", "dmitri", user="dmitri")
        self.check_refusal(result)
        self.disk.clear()
        self.office.check_clean()
        self.assertEqual([path for path in files_of(self.office.vault) if path.endswith(".partial")], [])
        self.office.ok("user", "join", "dmitri", user="dmitri")

    def test_export(self):
        """The disk that is exported to fills up: what was printed is whole, nothing else is there."""
        out = os.path.join(self.disk.folder, "out")
        self.office.vault = os.path.join(self.office.root, "office.vault")
        try:
            self.office.restore()
            shutil.rmtree(os.path.join(self.disk.folder, "office.vault"))
            self.office.add("C-1", {f"film-{i}.mp4": noise(400_000) for i in range(3)})
            for amount in (0, PAGE, 100_000, 500_000, 1_000_000):
                with self.subTest(free=amount):
                    self.disk.leave(amount)
                    result = self.office.run("--json", "export", "C-1", "C-2", "--to", out)
                    self.assertEqual(result.status, NO_SPACE, str(result))
                    self.assertEqual(sorted(entry["path"] for entry in result.objects()), files_of(out))
                    for entry in result.objects():
                        self.assertEqual(read(os.path.join(out, entry["path"])), self.office.expected[entry["object"]])
                    shutil.rmtree(out, ignore_errors=True)
            self.disk.clear()
            self.office.ok("export", "C-1", "C-2", "--to", out)
            check_manifest(out)
            self.office.check_clean()
        finally:
            self.office.restore()
            shutil.rmtree(out, ignore_errors=True)
            self.office.vault = os.path.join(self.disk.folder, "office.vault")

    def test_reading_goes_on(self):
        """On a disk without a free byte, for as long as the reserve lasts."""
        self.disk.leave(0)
        for _ in range(15):
            for record in ("C-1/E-1", "C-1/E-2", "C-2/E-2"):
                self.assertEqual(self.office.ok("cat", record).out, self.office.expected[record])
            self.office.ok("list", "C-1", user="vera")
            self.assertEqual(self.disk.free() // (64 << 10), 0)
        self.assertLess(os.path.getsize(os.path.join(self.office.vault, "audit/reserve")), 1 << 20)
        self.disk.clear()
        self.office.check_clean()
        self.assertGreaterEqual(self.office.ok("audit", "show", "--action", "cat").text.count("\n"), 46,
                                "45 reads are in the log")

    def test_no_reserve(self):
        """Without it nothing can be logged, so nothing is shown."""
        for reserve in ("audit/reserve", "spare/audit/reserve"):
            os.truncate(os.path.join(self.office.vault, reserve), 0)
        self.disk.leave(0)
        refused = 0
        for _ in range(20):
            result = self.office.run("cat", "C-1/E-1")
            if result.status == DONE:
                continue  # the last page of the log had space for it
            refused += 1
            self.assertEqual((result.status, result.out), (NO_AUDIT, b""), str(result))
            self.check_refusal(result)
        self.assertGreater(refused, 10)
        self.disk.clear()
        self.office.check_clean()
        self.office.check_all()

    def test_read_only(self):
        """What cannot be logged is not shown, let alone changed."""
        source = self.source("file", b"content")
        self.disk.make_read_only(True)
        try:
            for command in READING + WRITING + (("verify",), ("status",),
                                                ("export", "C-1", "--to", self.office.fresh("out"))):
                with self.subTest(command=command):
                    result = self.office.run(*(source if word == "SOURCE" else word for word in command))
                    self.assertIn(result.status, (NO_AUDIT, NOT_ALLOWED), str(result))
                    self.assertEqual(result.out, b"")
                    self.assertIn("casevault: error: ", result.said)
            result = self.office.run("init", "--organisation", "x", "--no-recovery", "--vault",
                                     os.path.join(self.disk.folder, "new"))
            self.assertEqual(result.status, NOT_ALLOWED, str(result))
        finally:
            self.disk.make_read_only(False)
        self.office.check_clean()
        self.office.check_all()


class LimitTest(FaultTest):
    """The same by other means, without mounting."""

    @classmethod
    def setUpClass(cls):
        cls.office = FilledOffice(scratch("limit"))

    def setUp(self):
        self.office.restore()

    def test_file_size_limit(self):
        """RLIMIT_FSIZE: a file may not become as large as it should."""
        source = self.office.source("big", noise(900_000))
        for limit in (0, 512, 30_000, 80_000, 500_000):
            with self.subTest(limit=limit):
                self.office.restore()
                result = self.office.run("add", "C-1", source, under=("prlimit", f"--fsize={limit}"))
                self.assertIn(result.status, (NO_SPACE, NO_AUDIT), str(result))
                self.assertEqual(result.out, b"")
                self.office.check_clean()
                self.office.ok("add", "C-1", source)
                self.assertNotIn("left in", self.office.check_clean())
                self.office.check_records(self.office.expected)

    def test_standard_output_is_full(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([program(), "cat", "C-1/E-2", "--passphrase-file",
                                   self.office.passphrase_file("anna")], stdout=full,
                                  stderr=subprocess.PIPE, env=self.office.env("anna"), check=False)
        self.assertEqual(done.returncode, NO_SPACE, done.stderr)
        self.assertIn(b"cannot write to standard output", done.stderr)


if __name__ == "__main__":
    main()
