"""kill -9 in the middle of the commands that change a vault.

After each: `verify` is clean, what the command had printed is there, what was there before is there, nothing is
half-made, and repeating the command completes the job. The vault is put back between kills.

CASEVAULT_KILLS: kills in all of the five commands of the acceptance test (40 if not given); each of the others gets a
third of what one of these gets. CASEVAULT_KILL_BY: `strace` kills just before a system call that changes something,
chosen at random among those that an undisturbed run makes; `spinning` kills at any moment, and is what is left where
strace cannot run.
"""
import os

from harness import (DONE, NOT_ALLOWED, NOT_FOUND, RANDOM, UNDER_STRACE, USAGE, WRONG_PASSPHRASE, Call, FaultTest,
                     FilledOffice, calls_in,
                     copy_tree, files_of, has_strace, main, noise, number_from, scratch, spread, strace, write)

MAIN_COMMANDS = 5
KILLS = number_from("CASEVAULT_KILLS", 40)
BY_STRACE = os.environ.get("CASEVAULT_KILL_BY", "strace") == "strace" and has_strace()


class KillTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        cls.office = FilledOffice(scratch("kill"))

    def tearDown(self):
        self.office.restore()

    def kill_often(self, kills, command, check, folder=None, **options):
        """Runs `command` killed at `kills` places, each time on the same vault (or `folder`), and calls `check`."""
        folder = folder or self.office.vault
        start = self.office.fresh("start")
        copy_tree(folder, start)
        places = self.places(kills, command, options)
        hits = 0
        for place in places:
            copy_tree(start, folder)
            with self.subTest(killed_at=str(place)):
                result = self.run_killed(place, command, options)
                hits += result.status != DONE
                check(result)
        print(f"{hits} of {len(places)} runs of `{' '.join(command[:2])}` ended by kill -9", flush=True)
        self.assertGreaterEqual(hits, len(places) / 2, "too few runs were killed: the test shows nothing")

    def places(self, kills, command, options):
        """Where to kill: calls of an undisturbed run, or how often to look before killing."""
        if BY_STRACE:
            log = self.office.fresh("strace")
            self.office.ok(*command, under=strace(log), env=UNDER_STRACE, **options)
            calls = calls_in(log)
            return [calls[at] for at in spread(min(kills, len(calls)), len(calls))]
        running = self.office.start(*command, **options)
        looks = 0
        while running.is_running():
            looks += 1
        self.assertEqual(running.finish().status, DONE)
        return spread(kills, looks)

    def run_killed(self, place, command, options):
        if isinstance(place, Call):
            injection = f"inject={place.name}:signal=KILL:when={place.number}"
            return self.office.run(*command, under=strace(self.office.fresh("strace"), "-e", injection),
                                   env=UNDER_STRACE,
                                   may_be_killed=True, **options)
        running = self.office.start(*command, **options)
        for _ in range(place):
            running.is_running()
        running.kill()
        result = running.finish()
        self.assertIn(result.status, (DONE, -9), str(result))
        return result

    def check_sound(self):
        """What holds after every kill, whatever comes next."""
        self.office.check_clean()

    def check_tidy(self, but=".partial"):
        """Nothing is left of the command that was killed but, named by `verify`, what means nothing to anybody."""
        for line in self.office.check_clean().splitlines():
            if ".partial" in line or but in line:
                continue
            for leftover in ("left in", "belongs to no record", "not part of the vault", "of another epoch"):
                self.assertNotIn(leftover, line)

    def repeat(self, command, *others, **options):
        """`others` are the statuses by which the command may say that it had been done already."""
        result = self.office.run(*command, **options)
        self.assertIn(result.status, (DONE, *others), str(result))
        return result

    # The five commands of the acceptance test

    def test_add_mixed_folder(self):
        files = {f"mixed/{i}.txt": noise(RANDOM.randrange(5000)) for i in range(8)}
        files.update({f"mixed/sub folder/{i}.bin": noise(RANDOM.randrange(60_000, 300_000)) for i in range(4)})
        self.check_adding(share(KILLS) - share(KILLS) // 3, "mixed", files)

    def test_add_several_batches(self):
        files = {f"many/{i}": noise(65_537 + i) for i in range(70)}  # 64 bodies are one batch
        files.update({f"many/small-{i}": noise(600) for i in range(10)})
        self.check_adding(share(KILLS) // 3, "many", files)

    def check_adding(self, kills, folder, files):
        for name, content in files.items():
            self.office.source(name, content)
        command = ("add", "C-1", os.path.join(self.office.sources, folder))

        def check(result):
            self.check_sound()
            found = self.office.check_records(self.office.expected)
            names = {record: entry["name"] for record, entry in self.office.list("C-1").items()}
            for line in result.lines():
                record, name = line.split("  ", 1)
                self.assertEqual(names.get(record), name, f"printed as done, and not there: {line}")
            for record in set(found) - set(self.office.expected):
                self.assertEqual(found[record], files[names[record]], f"{record} is half-made")
            self.repeat(command)
            self.check_tidy()
            found = self.office.check_records(self.office.expected)
            added = sorted(content for record, content in found.items() if record not in self.office.expected)
            self.assertEqual(added, sorted(set(files.values())), "after repeating, each file is there once")

        self.kill_often(kills, command, check, terminal=True)

    def test_update(self):
        content = noise(150_000)
        command = ("update", "C-1/E-1", self.office.source("newer", content))

        def check(result):
            self.check_sound()
            self.office.check_records({**self.office.expected, "C-1/E-1": content} if result.lines() else
                                      {k: v for k, v in self.office.expected.items() if k != "C-1/E-1"})
            now = self.office.ok("cat", "C-1/E-1").out
            self.assertIn(now, (content, self.office.expected["C-1/E-1"]))
            self.repeat(command)
            self.office.check_records({**self.office.expected, "C-1/E-1": content})
            versions = self.office.ok("--json", "history", "C-1/E-1").objects()
            self.assertEqual(len(versions), 3, "repeating makes no further version")
            self.assertEqual(self.office.ok("cat", "C-1/E-1", "--version", "1").out, self.office.older["C-1/E-1", 1])
            self.office.ok("add", "C-1", self.office.source("after", b"after"))
            self.check_tidy()

        self.kill_often(share(KILLS), command, check, terminal=True)

    def test_withdraw(self):
        command = ("withdraw", "C-1/E-2", "--reason", "consent withdrawn", "--yes")
        bodies = set(files_of(os.path.join(self.office.vault, "bodies")))
        databases = set(files_of(os.path.join(self.office.vault, "cases")))
        rest = {k: v for k, v in self.office.expected.items() if k != "C-1/E-2"}

        def is_withdrawn():
            return self.office.list("C-1")["C-1/E-2"]["withdrawn"]

        def check(result):
            self.check_sound()
            self.office.check_records(rest)
            if result.lines():
                self.assertTrue(is_withdrawn(), "printed as done, and not withdrawn")
            if not is_withdrawn():
                self.assertEqual(self.office.ok("cat", "C-1/E-2").out, self.office.expected["C-1/E-2"])
            repeated = self.repeat(command, USAGE)
            if repeated.status == USAGE:
                self.assertIn("was withdrawn already", repeated.said)
            self.assertEqual(self.office.run("cat", "C-1/E-2").status, NOT_FOUND)
            self.office.check_records(rest)
            self.office.ok("add", "C-1", self.office.source("after", b"after"))
            self.check_tidy()
            self.assertEqual(len(bodies - set(files_of(os.path.join(self.office.vault, "bodies")))), 1,
                             "the body is not gone")
            self.assertEqual(len(databases & set(files_of(os.path.join(self.office.vault, "cases")))), 2,
                             "the database of the old epoch is not gone")
            self.assertTrue(is_withdrawn())

        self.kill_often(share(KILLS), command, check, terminal=True)

    def test_user_approve(self):
        command = ("user", "approve", "galina", "--yes")

        def check(result):
            self.check_sound()
            self.office.check_records(self.office.expected)
            if result.lines():
                self.office.ok("status", user="galina")
            repeated = self.repeat(command, USAGE, NOT_FOUND)
            self.office.ok("status", user="galina")
            if repeated.status != DONE:
                self.assertRegex(repeated.said, "of that name already|nobody by that name")
            self.office.ok("case", "grant", "C-1", "galina", "--right", "read")
            self.assertEqual(self.office.ok("cat", "C-1/E-2", user="galina").out, self.office.expected["C-1/E-2"])
            states = [(user["user"], user["state"]) for user in self.office.ok("--json", "user", "list").objects()]
            self.assertEqual(sorted(states), [(name, "active") for name in ("anna", "boris", "galina", "vera")],
                             "a request is left over")
            self.office.check_clean(user="boris")
            self.check_tidy()

        self.kill_often(share(KILLS), command, check, terminal=True)

    def test_case_revoke(self):
        command = ("case", "revoke", "C-1", "boris", "--yes")

        def check(result):
            self.check_sound()
            self.office.check_records(self.office.expected)
            if result.lines():
                self.assertNotEqual(self.office.run("list", "C-1", user="boris").status, DONE,
                                    "printed as done, and boris still reads")
            self.repeat(command, NOT_FOUND)
            self.assertIn(self.office.run("list", "C-1", user="boris").status, (NOT_ALLOWED, NOT_FOUND))
            self.office.check_all()
            self.assertEqual(self.office.ok("cat", "C-1/E-2", user="vera").out, self.office.expected["C-1/E-2"])
            self.check_tidy()

        self.kill_often(share(KILLS), command, check, terminal=True)

    # Others that change several files

    def test_user_remove(self):
        command = ("user", "remove", "vera", "--yes")

        def check(result):
            self.check_sound()
            self.office.check_records(self.office.expected)
            if result.lines():
                self.assertNotEqual(self.office.run("status", user="vera").status, DONE,
                                    "printed as done, and vera still gets in")
            self.repeat(command, NOT_FOUND)
            self.assertNotEqual(self.office.run("status", user="vera").status, DONE)
            self.assertEqual(self.office.ok("cat", "C-1/E-2", user="boris").out, self.office.expected["C-1/E-2"])
            self.office.ok("user", "approve", "galina", "--yes")
            self.office.ok("add", "C-1", self.office.source("after", b"after"))
            self.office.check_all()
            self.check_tidy()

        self.kill_often(few(KILLS), command, check, terminal=True)

    def test_user_passphrase(self):
        office = self.office
        old, new = "lantern crooked Danube pillow 1848 sparrow", "umbrella Tatra 1956 quiet marble lemon"
        new_file = write(os.path.join(office.root, "new"), new + "\n")
        os.chmod(new_file, 0o600)
        command = ("user", "passphrase", "--new-passphrase-file", new_file)

        def check(result):
            accepted = []
            for passphrase in RANDOM.sample((old, new), 2):
                office.set_passphrase("anna", passphrase)
                if office.run("status").status == DONE:
                    accepted.append(passphrase)
            self.assertTrue(accepted, "neither passphrase is accepted")
            if result.lines():
                self.assertEqual(accepted, [new], "printed as done, and the old passphrase counts")
            office.set_passphrase("anna", accepted[0])
            self.check_sound()
            if accepted[0] == old:
                self.repeat(command)
            office.set_passphrase("anna", old)
            self.assertEqual(office.run("status").status, WRONG_PASSPHRASE,
                             "the new passphrase counts, and the old one too")
            office.set_passphrase("anna", new)
            office.check_records(office.expected)
            self.check_tidy()
            office.set_passphrase("anna", old)

        try:
            self.kill_often(few(KILLS), command, check, terminal=True)
        finally:
            office.set_passphrase("anna", old)

    def test_case_new(self):
        command = ("case", "new", "Third matter")

        def check(result):
            self.check_sound()
            titles = [case["title"] for case in self.office.ok("--json", "case", "list").objects()]
            self.assertLessEqual(titles.count("Third matter"), 1)
            if result.lines():
                self.assertIn("Third matter", titles)
            self.repeat(command)
            self.office.check_records(self.office.expected)
            self.check_tidy(but="cases/")  # the empty database of a case that never came to be

        self.kill_often(few(KILLS), command, check, terminal=True)

    def test_user_join(self):
        command = ("user", "join", "dmitri")
        self.office.set_passphrase("dmitri", "seven winters Pripyat 1986 copper moss")

        def check(_):
            self.check_sound()
            self.repeat(command, USAGE, user="dmitri")
            self.office.ok("user", "approve", "dmitri", "--yes")
            self.office.ok("status", user="dmitri")
            self.check_tidy()

        self.kill_often(few(KILLS), command, check, terminal=True, user="dmitri")

    def test_init(self):
        office = self.office
        place = office.vault
        office.vault = os.path.join(office.root, "new place", "new.vault")
        parent = os.path.dirname(office.vault)
        os.mkdir(parent)
        command = ("init", "--organisation", "Other", "--no-recovery")

        def check(result):
            made = os.path.exists(office.vault)
            if result.lines():
                self.assertTrue(made, "printed as done, and not there")
            if not made:
                for left in os.listdir(parent):
                    self.assertRegex(left, r"^\.[0-9a-f]{16}\.partial$")
                self.repeat(command)
            office.check_clean()
            office.ok("case", "new", "First")

        try:
            self.kill_often(few(KILLS), command, check, folder=parent, terminal=True)
        finally:
            office.vault = place


def share(kills):
    """For each of the five commands."""
    return max(3, kills // MAIN_COMMANDS)


def few(kills):
    """For each of the others."""
    return max(3, share(kills) // 3)


if __name__ == "__main__":
    main()
