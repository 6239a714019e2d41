"""Several processes on one vault at once, and Ctrl-C in the middle.

Each ends with what it was asked to do, or with status 11 (busy) and nothing done; what any of them reported is there;
the log holds all of it. Ctrl-C ends with status 130, what was reported is there, nothing is half-made.

CASEVAULT_TRIES: how often each race is run (4 if not given), and how many moments are tried for Ctrl-C.
"""
import collections
import os
import shutil
import signal

from harness import (BUSY, DONE, INTERRUPTED, NOT_ALLOWED, NOT_FOUND, RANDOM, UNDER_STRACE, USAGE,
                     WRONG_PASSPHRASE, FaultTest,
                     FilledOffice, Office, calls_in, check_sane, copy_tree, files_of, has_strace, main, noise,
                     number_from, read, scratch, spread, strace)


TRIES = number_from("CASEVAULT_TRIES", 4)
RIGHT_GONE = (NOT_ALLOWED, NOT_FOUND)


def finish_all(running):
    results = [one.finish() for one in running]
    return [check_sane(result) for result in results]


class RaceTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        cls.office = FilledOffice(scratch("race"))

    def setUp(self):
        self.office.restore()

    def race(self, *commands):
        """Starts them all, each as (words, user), and returns how they ended."""
        running = [self.office.start(*words, user=user, terminal=True) for words, user in commands]
        return finish_all(running)

    def check_ended(self, result, *statuses):
        """Done, busy, or as a race of this kind may end as well."""
        self.assertIn(result.status, (DONE, BUSY, *statuses), str(result))
        if result.status != DONE:
            self.assertIn("casevault: error: ", result.said)

    def check_sound(self):
        self.office.check_clean()
        self.office.check_records(self.office.expected)
        self.assertIn("nothing bad was found", self.office.ok("audit", "verify").text)

    def check_added(self, result, content):
        """Everything that an `add` printed is there as it should be. `content` is what a name stands for."""
        found = self.office.contents("C-1")
        for line in result.lines():
            record, name = line.split("  ", 1)
            self.assertEqual(found.get(record), content[name], f"printed as done: {line}")
        return len(result.lines())

    def folder(self, name, count=12):
        content = {f"{name}/{i}": noise(RANDOM.choice((500, 5000, 80_000))) for i in range(count)}
        for path, data in content.items():
            self.office.source(path, data)
        return os.path.join(self.office.sources, name), content

    def test_init(self):
        """Exactly one wins."""
        for _ in range(TRIES):
            office = Office(scratch("init"))
            running = [office.start("init", "--organisation", f"Number {i}", "--no-recovery") for i in range(4)]
            results = finish_all(running)
            self.assertEqual([result.status for result in results].count(DONE), 1, "\n".join(map(str, results)))
            for result in results:
                self.check_ended(result, USAGE)
            winner = next(i for i, result in enumerate(results) if result.status == DONE)
            self.assertIn(f"Number {winner}", office.ok("status").text)
            office.ok("case", "new", "x")
            office.check_clean()
            self.assertEqual([name for name in os.listdir(office.root) if name.endswith(".partial")], [])

    def test_adds(self):
        for attempt in range(TRIES):
            folders = [self.folder(f"race-{attempt}-{i}") for i in range(4)]
            results = self.race(*((("add", "C-1", path), user) for (path, _),
                                  user in zip(folders, ("anna", "boris", "anna", "boris"))))
            for result, (path, content) in zip(results, folders):
                self.check_ended(result)
                if self.check_added(result, content) < len(content):
                    self.assertEqual(result.status, BUSY)
                    self.office.ok("add", "C-1", path)
            self.check_sound()
            contents = sorted(self.office.contents("C-1").values())
            for _, content in folders:
                for data in content.values():
                    self.assertEqual(contents.count(data), 1, "each file is there once")
            self.assertNotIn("left in", self.office.check_clean())

    def test_the_same_file(self):
        """Added by several at once, it is there once."""
        for attempt in range(TRIES):
            content = noise(RANDOM.choice((900, 90_000)))
            path = self.office.source(f"same-{attempt}", content)
            for result in self.race(*[(("add", "C-1", path), "anna")] * 4):
                self.check_ended(result)
            self.office.ok("add", "C-1", path)
            self.assertEqual(list(self.office.contents("C-1").values()).count(content), 1)
            self.check_sound()

    def test_updates(self):
        """Each version stands once, in one order."""
        for attempt in range(TRIES):
            self.setUp()
            contents = [b"version %d of attempt %d" % (i, attempt) for i in range(4)]
            results = self.race(*((("update", "C-1/E-2", self.office.source(f"update-{i}", data)), "anna") for i,
                                  data in enumerate(contents)))
            done = [data for result, data in zip(results, contents) if result.status == DONE]
            for result in results:
                self.check_ended(result)
            versions = self.office.ok("--json", "history", "C-1/E-2").objects()
            self.assertEqual([entry["version"] for entry in versions], list(range(1, len(done) + 2)))
            stored = [self.office.ok("cat", "C-1/E-2", "--version",
                                     str(entry["version"])).out for entry in versions[1:]]
            self.assertEqual(sorted(stored), sorted(done))
            del self.office.expected["C-1/E-2"]
            self.check_sound()

    def test_reading_and_adding(self):
        for attempt in range(TRIES):
            path, content = self.folder(f"beside-{attempt}")
            readers = ((("--json", "list", "C-1"), "vera"), (("search", "Они"), "boris"), (("audit", "show"), "vera"),
                       (("verify",), "anna"),
                       (("show", "C-1/T-1"), "boris"))
            added, *results = self.race((("add", "C-1", path), "anna"), *readers)
            self.check_ended(added)
            self.check_added(added, content)
            for result in results:
                self.check_ended(result)
            self.check_sound()
            cats = [self.office.start("cat", "C-1/E-2", user=user) for user in ("anna", "boris", "vera")]
            writer = self.office.start("update", "C-1/E-1", self.office.source("beside", b"%d" % attempt))
            written, *results = finish_all([writer, *cats])
            self.check_ended(written)
            for result in results:
                self.check_ended(result)
                self.assertEqual(result.out, self.office.expected["C-1/E-2"] if result.status == DONE else b"")
            self.office.expected["C-1/E-1"] = self.office.ok("cat", "C-1/E-1").out

    def test_new_cases(self):
        for _ in range(TRIES):
            before = self.office.ok("--json", "case", "list").objects()
            results = self.race(*((("case", "new", f"Case {i}"), user) for i,
                                  user in enumerate(("anna", "boris", "anna", "boris"))))
            numbers = [line for result in results for line in result.lines() if result.status == DONE]
            for result in results:
                self.check_ended(result)
            self.assertEqual(len(set(numbers)), len(numbers), f"one number for two cases: {numbers}")
            mine = [result for result in results[::2] if result.status == DONE]
            after = {case["case"] for case in self.office.ok("--json", "case", "list").objects()}
            self.assertEqual(len(after), len(before) + len(mine))
            self.check_sound()

    def test_add_against_revoke(self):
        """boris adds while anna takes the case from him: what he was told is done is done; afterwards he is out."""
        seen = collections.Counter()
        for attempt in range(2 * TRIES):
            self.setUp()
            path, content = self.folder(f"revoked-{attempt}", 4)
            added, revoked = self.race((("add", "C-1", path), "boris"),
                                       (("case", "revoke", "C-1", "boris", "--yes"), "anna"))
            self.check_ended(added, *RIGHT_GONE)
            self.check_ended(revoked)
            self.check_added(added, content)
            if revoked.status != DONE:
                self.office.ok("case", "revoke", "C-1", "boris", "--yes")
            self.assertIn(self.office.run("list", "C-1", user="boris").status, RIGHT_GONE)
            self.check_sound()
            seen[added.status, revoked.status] += 1
        print(f"add and revoke at once ended with {dict(seen)}", flush=True)

    def test_add_against_user_remove(self):
        seen = collections.Counter()
        for attempt in range(TRIES):
            self.setUp()
            path, content = self.folder(f"removed-{attempt}", 4)
            added, other, removed = self.race((("add", "C-1", path), "boris"),
                                              (("update", "C-1/E-3", self.office.source("other", b"other")), "anna"),
                                              (("user", "remove", "boris", "--yes"), "anna"))
            self.check_ended(added, *RIGHT_GONE, WRONG_PASSPHRASE)  # his slot may be gone before he unlocks
            self.check_ended(other)
            self.check_ended(removed)
            if other.status == DONE:
                self.office.expected["C-1/E-3"] = b"other"
            self.check_added(added, content)
            if removed.status != DONE:
                self.assertIn(self.office.run("user", "remove", "boris", "--yes").status, (DONE, NOT_FOUND))
            self.assertNotEqual(self.office.run("status", user="boris").status, DONE)
            self.office.ok("status", user="vera")
            self.office.ok("add", "C-1", self.office.source("after", b"after"))
            self.check_sound()
            seen[added.status, other.status, removed.status] += 1
        print(f"add, update and user remove at once ended with {dict(seen)}", flush=True)

    def test_rotations(self):
        """Two that re-key the same case, and one that lets somebody in."""
        for _ in range(TRIES):
            self.setUp()
            results = self.race((("withdraw", "C-1/E-2", "--reason", "x", "--yes"), "anna"),
                                (("case", "revoke", "C-1", "vera", "--yes"), "anna"),
                                (("user", "approve", "galina", "--yes"), "anna"),
                                (("case", "grant", "C-2", "vera", "--right", "read"), "boris"))
            for result in results:
                self.check_ended(result)
            listed = self.office.list("C-1")
            if results[0].status == DONE:
                self.assertTrue(listed["C-1/E-2"]["withdrawn"])
            if results[1].status == DONE:
                self.assertIn(self.office.run("list", "C-1", user="vera").status, RIGHT_GONE)
            if results[2].status == DONE:
                self.office.ok("status", user="galina")
            if results[3].status == DONE:
                self.office.ok("list", "C-2", user="vera")
            if listed["C-1/E-2"]["withdrawn"]:
                del self.office.expected["C-1/E-2"]
            self.check_sound()


class CtrlCTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        cls.office = FilledOffice(scratch("ctrl-c"))
        cls.content = {f"many/{i}": noise(66_000 if i % 4 else 600) for i in range(90)}  # 64 bodies are a batch
        for path, data in cls.content.items():
            cls.office.source(path, data)
        cls.many = os.path.join(cls.office.sources, "many")
        cls.office.ok("add", "C-2", cls.many)
        cls.office.pristine = os.path.join(cls.office.root, "with many")
        copy_tree(cls.office.vault, cls.office.pristine)

    def setUp(self):
        self.office.restore()

    def interrupt_often(self, command, check, may_finish=False):
        """Ctrl-C just before calls chosen at random, or, without strace, at random moments. `command` makes the words.
        """
        statuses = collections.Counter()
        for start in self.moments(command):
            self.setUp()
            result = start()
            statuses[result.status] += 1
            if result.status == -signal.SIGINT:  # while its libraries were being loaded
                self.assertEqual(result.out + result.err, b"")
                self.office.check_clean()
                continue
            check_sane(result)
            self.assertIn(result.status, (DONE, INTERRUPTED), str(result))
            if result.status == INTERRUPTED:
                self.assertIn("casevault: error: interrupted", result.said)
            self.assertNotIn("internal", result.said)
            check(result)
        print(f"`{command()[0]}` interrupted: {dict(statuses)}", flush=True)
        self.assertTrue(statuses[INTERRUPTED] > 0 or may_finish)

    def moments(self, command):
        if not has_strace():
            return [lambda looks=RANDOM.randrange(20_000): self.signal_after(command, looks) for _ in range(2 * TRIES)]
        log = self.office.fresh("strace")
        self.office.ok(*command(), under=strace(log), env=UNDER_STRACE)
        calls = calls_in(log)
        return [lambda call=calls[at]: self.signal_before(command, call) for at in spread(2 * TRIES, len(calls))]

    def signal_before(self, command, call):
        injection = ("-e", f"inject={call.name}:signal=INT:when={call.number}")
        return self.office.start(*command(), under=strace(self.office.fresh("strace"), *injection), env=UNDER_STRACE,
                                 terminal=True).finish()

    def signal_after(self, command, looks):
        running = self.office.start(*command(), terminal=True)
        while looks and running.is_running():
            looks -= 1
        running.kill(signal.SIGINT)
        return running.finish()

    def test_add(self):
        def check(result):
            self.office.check_clean()
            self.office.check_records(self.office.expected)
            found = self.office.contents("C-1")
            names = {record: entry["name"] for record, entry in self.office.list("C-1").items()}
            for line in result.lines():
                record, name = line.split("  ", 1)
                self.assertEqual(names.get(record), name, f"printed as done: {line}")
            for record in set(found) - set(self.office.expected):
                self.assertEqual(found[record], self.content[names[record]], "half-made")
            self.office.ok("add", "C-1", self.many)
            found = self.office.contents("C-1")
            added = [content for record, content in found.items() if record not in self.office.expected]
            self.assertEqual(sorted(added), sorted(self.content.values()), "after repeating, each file is there once")
            self.assertNotIn("left in", self.office.check_clean())

        self.interrupt_often(lambda: ("add", "C-1", self.many), check)

    def test_export(self):
        folders = []
        whole = {*self.office.expected.values(), *self.content.values()}

        def command():
            folders.append(self.office.fresh("export"))
            return "--json", "export", "C-1", "C-2", "--to", folders[-1]

        def check(result):
            exported = {entry["path"]: entry["object"] for entry in result.objects()}
            there = files_of(folders[-1])
            self.assertLessEqual(set(exported), set(there), "printed as done, and not there")
            for path in there:  # what Ctrl-C kept from being printed may be there as well, but whole
                if path != "manifest-sha256.txt":
                    self.assertIn(read(os.path.join(folders[-1], path)), whole, f"{path} is half-made")
            self.office.check_clean()
            shutil.rmtree(folders.pop(), ignore_errors=True)

        self.interrupt_often(command, check)

    def test_withdraw(self):
        def check(result):
            self.office.check_clean()
            withdrawn = self.office.list("C-1")["C-1/E-2"]["withdrawn"]
            self.assertTrue(withdrawn or result.status == INTERRUPTED)
            if withdrawn:
                del self.office.expected["C-1/E-2"]
            self.office.check_records(self.office.expected)

        # It may be too short to stop for: then it ends as if nothing had been typed.
        self.interrupt_often(lambda: ("withdraw", "C-1/E-2", "--reason", "x", "--yes"), check, may_finish=True)

    def test_verify(self):
        self.interrupt_often(lambda: ("verify",), lambda result: self.office.check_clean())


if __name__ == "__main__":
    main()
