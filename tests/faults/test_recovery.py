#!/usr/bin/python3
"""Trustees: a vault under custody is destroyed everywhere and comes back from shares and a replica; and kill -9 in the
middle of the commands that make and use shares.

CASEVAULT_RECOVERY_KILLS: kills of each command (12 if not given). CASEVAULT_RECORDS: records of each case in the
disaster (5 if not given).
"""
import os
import re
import shutil

from custodians import Custodian, KeptOffice
from harness import (DAMAGED, DONE, NOT_ALLOWED, RANDOM, UNDER_STRACE, USAGE, WRONG_PASSPHRASE, FaultTest, FilledOffice,
                     calls_in, copy_tree, files_of, has_strace, main, noise, number_from, read, scratch, spread,
                     strace, write)

KILLS = number_from("CASEVAULT_RECOVERY_KILLS", 12)
RECORDS = number_from("CASEVAULT_RECORDS", 5)
PLACES = ("Georgia", "Iceland", "Portugal")
PASSPHRASE = "umbrella Tatra 1956 quiet marble lemon"


def sheets_in(folder, *numbers):
    return [os.path.join(folder, f"trustee-{n}.txt") for n in numbers]


class DisasterTest(FaultTest):
    def setUp(self):
        self.root = scratch("recovery")
        self.custodians = [Custodian(self.root, f"keeper{n}", place) for n, place in enumerate(PLACES, 1)]
        self.office = KeptOffice(os.path.join(self.root, "office"), self.custodians)
        self.sheets = os.path.join(self.root, "sheets")
        self.office.set_passphrase("olga", PASSPHRASE)

    def tearDown(self):
        for custodian in self.custodians:
            custodian.kill()

    def fill(self):
        """Two more users, three more cases; one was there before there were trustees, one is re-keyed after."""
        office = self.office
        for user, role in (("boris", "member"), ("vera", "auditor")):
            office.ok("user", "join", user, user=user)
            office.ok("user", "approve", user, "--role", role, "--yes")
        office.ok("case", "new", "Second")
        office.ok("case", "new", "Third", user="boris")
        office.ok("case", "grant", "C-2", "boris", "--right", "read")
        office.ok("recovery", "renew", "--trustees", "3/5", "--shares", self.sheets)
        office.ok("case", "new", "Fourth", user="boris")
        expected = {"C-1/E-1": "Они пришли ночью.\n".encode()}
        for case, user in (("C-1", "anna"), ("C-2", "anna"), ("C-3", "boris"), ("C-4", "boris")):
            contents = [noise(RANDOM.choice((300, 5000, 70_000))) for _ in range(RECORDS)]
            paths = [write(os.path.join(office.root, "sources", f"{case}-{number}"), content)
                     for number, content in enumerate(contents)]
            added = office.ok("--json", "add", case, *paths, user=user).objects()
            expected.update({each["object"]: content for each, content in zip(added, contents)})
        office.ok("case", "revoke", "C-2", "boris", "--yes")
        office.check_clean()
        office.check_clean(user="boris")
        return expected

    def test_everything_is_gone(self):
        office = self.office
        expected = self.fill()
        copy = os.path.join(self.root, "replica")
        os.mkdir(copy)
        office.ok("replicate", copy)
        entries = len(office.ok("--json", "audit", "show").objects())
        self.assertEqual(office.order("destroy", 1, 2).status, DONE)
        for custodian in self.custodians:
            custodian.kill()
        shutil.rmtree(office.vault)
        shutil.rmtree(office.home)
        os.mkdir(office.home)

        two = office.run("recovery", "combine", *sheets_in(self.sheets, 2, 5), "--from", copy, user="olga")
        self.assertEqual(two.status, USAGE, str(two))
        self.assertRegex(two.said, "2 of the 3 shares that are needed are here: 1 is missing")
        self.assertFalse(os.path.exists(office.vault))

        untouched = {name: read(os.path.join(copy, name)) for name in files_of(copy)}
        done = office.ok("--json", "recovery", "combine", *sheets_in(self.sheets, 1, 2, 5), "--from", copy, user="olga")
        told = done.objects()[0]
        self.assertEqual(told["cases"], [1, 2, 3, 4])
        self.assertEqual(sorted(told["put_out"]), ["anna", "boris", "vera"])
        self.assertEqual(untouched, {name: read(os.path.join(copy, name)) for name in files_of(copy)})
        found = office.contents("C-1", "C-2", "C-3", "C-4", user="olga")
        self.assertEqual(set(found), set(expected))
        for record, content in expected.items():
            self.assertEqual(found[record], content, record)
        office.ok("audit", "verify", user="olga")
        office.check_clean(user="olga")
        shown = office.ok("--json", "audit", "show", user="olga").objects()
        self.assertGreater(len(shown), entries - 3)  # `audit show` itself stood in the log behind the copy
        self.assertNotEqual(office.run("status", user="anna").status, DONE)
        office.ok("case", "new", "After", user="olga")
        office.ok("user", "join", "boris", user="boris")
        office.ok("user", "approve", "boris", "--role", "owner", "--yes", user="olga")
        office.ok("case", "grant", "C-1", "boris", "--right", "manage", user="olga")
        office.ok("cat", "C-1/E-1", user="boris")
        self.again_with_the_same_shares(copy, expected)
        self.custody_anew(expected)

    def again_with_the_same_shares(self, copy, expected):
        """What was recovered is sealed to the same shares until they are renewed."""
        second = os.path.join(self.root, "second.vault")
        self.office.ok("recovery", "combine", *sheets_in(self.sheets, 3, 4, 5), "--from", self.office.vault,
                       user="olga", env={"CASEVAULT_DIR": second})
        found = self.office.contents("C-4", user="olga", env={"CASEVAULT_DIR": second})
        for record, content in found.items():
            self.assertEqual(expected[record], content)

    def custody_anew(self, expected):
        office = self.office
        keepers = [Custodian(self.root, f"new{n}", place) for n, place in enumerate(PLACES, 1)]
        self.custodians += keepers
        office.ok("custody", "enroll", *[keeper.invitation() for keeper in keepers], "--threshold", "2", "--cards", "2",
                  "--quorum", "2", "--out", os.path.join(self.root, "new-cards"), user="olga")
        office.ok("status", user="olga")
        self.assertEqual(office.ok("cat", "C-1/E-1", user="olga").out, expected["C-1/E-1"])
        office.check_clean(user="olga")

    def test_what_others_wrote_waits_and_is_covered_later(self):
        office = self.office
        office.ok("user", "join", "boris", user="boris")
        office.ok("user", "approve", "boris", "--yes")
        office.ok("case", "new", "His own", user="boris")
        renewed = office.ok("recovery", "renew", "--trustees", "2/3", "--shares", self.sheets)
        self.assertRegex(renewed.said, r"these sheets do not open yet: C-2 \(boris\)")
        self.assertRegex(office.ok("status").said, "do not open C-2 yet; that changes when boris next unlocks")
        copy = os.path.join(self.root, "copy")
        copy_tree(office.vault, copy)
        partly = office.run("recovery", "combine", *sheets_in(self.sheets, 1, 2), "--from", copy, user="olga",
                            env={"CASEVAULT_DIR": os.path.join(self.root, "partly.vault")})
        self.assertEqual(partly.status, 3, str(partly))
        self.assertRegex(partly.said, "not recovered.*: C-2")
        self.assertRegex(partly.said, "hint: casevault restore .*copy --vault .* --user boris")
        office.ok("case", "list", user="boris")
        self.assertNotRegex(office.ok("status").said, "do not open")
        office.ok("recovery", "combine", *sheets_in(self.sheets, 1, 3), "--from", office.vault, user="olga",
                  env={"CASEVAULT_DIR": os.path.join(self.root, "whole.vault")})
        self.assertEqual(len(office.ok("--json", "case", "list", user="olga",
                                       env={"CASEVAULT_DIR": os.path.join(self.root, "whole.vault")}).objects()), 2)


class KeysTest(FaultTest):
    """Whatever changes keys seals them to the trustees again."""

    def setUp(self):
        self.root = scratch("recovery-keys")
        self.office = FilledOffice(self.root)
        self.office.set_passphrase("olga", PASSPHRASE)
        self.sheets = os.path.join(self.root, "sheets")
        self.office.ok("recovery", "renew", "--trustees", "2/3", "--shares", self.sheets)

    def recover(self, name, *shares, **options):
        env = {"CASEVAULT_DIR": os.path.join(self.root, name)}
        return self.office.run("recovery", "combine", *sheets_in(self.sheets, *(shares or (1, 3))), "--from",
                               self.office.vault, user="olga", env=env, **options)

    def check_recovered(self, name):
        result = self.recover(name)
        self.assertEqual(result.status, DONE, str(result))
        env = {"CASEVAULT_DIR": os.path.join(self.root, name)}
        found = self.office.contents("C-1", "C-2", user="olga", env=env)
        self.assertEqual(found, self.office.expected)
        self.office.ok("audit", "verify", user="olga", env=env)
        self.office.check_clean(user="olga", env=env)

    def test_after_an_auditor_was_removed(self):
        self.office.ok("user", "remove", "vera", "--yes")  # catalogue key, audit key, case keys
        self.office.check_clean()
        self.check_recovered("a.vault")

    def test_after_the_organisations_keys_changed(self):
        self.office.ok("contact", "self", "--renew", "--yes")
        self.office.check_clean()
        self.check_recovered("b.vault")

    def test_after_somebody_was_let_in(self):
        self.office.ok("user", "approve", "galina", "--yes")
        self.check_recovered("c.vault")

    def test_a_withdrawn_record_stays_withdrawn(self):
        self.office.ok("withdraw", "C-1/E-2", "--reason", "asked", "--yes")
        del self.office.expected["C-1/E-2"]
        self.check_recovered("d.vault")

    def test_renewed_shares_take_the_place_of_the_old(self):
        old = self.sheets
        self.sheets = os.path.join(self.root, "sheets2")
        self.office.ok("recovery", "renew", "--trustees", "2/2", "--shares", self.sheets)
        self.assertEqual(self.office.run("recovery", "check", *sheets_in(old, 1, 2), passphrase=False).status,
                         WRONG_PASSPHRASE)
        refused = self.office.run("recovery", "combine", *sheets_in(old, 1, 2), "--from", self.office.vault,
                                  user="olga", env={"CASEVAULT_DIR": os.path.join(self.root, "e.vault")})
        self.assertEqual(refused.status, WRONG_PASSPHRASE, str(refused))
        self.assertEqual(self.recover("f.vault", 1, 2).status, DONE)

    def test_a_copy_that_was_put_together_of_two_days_is_refused(self):
        """The newest log with the catalogue and the cases of a day before: a rollback that the log tells of."""
        office = self.office
        copy = os.path.join(self.root, "mixed")
        copy_tree(office.vault, copy)
        office.add("C-1", {"newest": b"the newest evidence"})
        write(os.path.join(copy, "audit", "log"), read(os.path.join(office.vault, "audit", "log")))
        recover = ("recovery", "combine", *sheets_in(self.sheets, 1, 2), "--from", copy)
        env = {"CASEVAULT_DIR": os.path.join(self.root, "mixed.vault")}
        refused = office.run(*recover, user="olga", env=env)
        self.assertEqual(refused.status, DAMAGED, str(refused))
        self.assertRegex(refused.said, "older than its audit log")
        self.assertFalse(os.path.exists(env["CASEVAULT_DIR"]))
        taken = office.run(*recover, "--older", user="olga", env=env)
        self.assertEqual(taken.status, DAMAGED, str(taken))
        self.assertRegex(taken.said, "warning: the catalogue of this copy is older than its audit log")
        self.assertRegex(office.ok("audit", "show", user="olga", env=env).text, "from a rolled back copy")

    def test_a_copy_from_before_a_change_of_keys_under_the_newest_log_is_refused(self):
        office = self.office
        copy = os.path.join(self.root, "mixed")
        copy_tree(office.vault, copy)
        office.ok("user", "remove", "vera", "--yes")
        write(os.path.join(copy, "audit", "log"), read(os.path.join(office.vault, "audit", "log")))
        refused = office.run("recovery", "combine", *sheets_in(self.sheets, 1, 2), "--from", copy, user="olga",
                             env={"CASEVAULT_DIR": os.path.join(self.root, "mixed.vault")})
        self.assertEqual(refused.status, DAMAGED, str(refused))
        self.assertRegex(refused.said, "older than its audit log")
        opened = office.run("status", env={"CASEVAULT_DIR": copy})
        self.assertEqual(opened.status, DAMAGED, str(opened))
        self.assertRegex(opened.said, "rolled back")

    def test_a_vault_that_was_put_into_a_replica_is_not_taken_for_it(self):
        office = self.office
        replica = os.path.join(self.root, "replica")
        office.ok("replicate", replica)
        older = {name: read(os.path.join(office.vault, name)) for name in files_of(office.vault)}
        office.add("C-1", {"newest": b"the newest evidence"})
        office.ok("replicate", replica)
        for name, content in older.items():
            write(os.path.join(replica, name), content)
        env = {"CASEVAULT_DIR": os.path.join(self.root, "h.vault")}
        office.ok("recovery", "combine", *sheets_in(self.sheets, 1, 3), "--from", replica, user="olga", env=env)
        self.assertEqual(office.contents("C-1", "C-2", user="olga", env=env), office.expected)
        folder = office.run("recovery", "combine", *sheets_in(self.sheets, 1, 3), "--from", office.vault, "--snapshot",
                            "1", user="olga", env={"CASEVAULT_DIR": os.path.join(self.root, "i.vault")})
        self.assertEqual(folder.status, USAGE, str(folder))

    def test_of_a_damaged_replica_comes_what_is_whole(self):
        office = self.office
        replica = os.path.join(self.root, "replica")
        office.ok("replicate", replica)
        bodies = sorted(name for name in files_of(replica) if name.startswith("bodies/"))
        write(os.path.join(replica, bodies[0]), read(os.path.join(replica, bodies[0]))[:-1] + b"\x00")
        os.remove(os.path.join(replica, bodies[1]))
        env = {"CASEVAULT_DIR": os.path.join(self.root, "j.vault")}
        result = office.run("recovery", "combine", *sheets_in(self.sheets, 1, 2), "--from", replica, user="olga", env=env)
        self.assertEqual(result.status, DAMAGED, str(result))
        lost = set(re.findall(r"C-\d+/E-\d+", result.said))
        self.assertEqual(len(lost), 2, str(result))
        for record, content in office.expected.items():
            if record not in lost:
                self.assertEqual(office.ok("cat", record, user="olga", env=env).out, content)

    def test_leftovers_of_a_killed_run_go(self):
        left = os.path.join(self.root, ".k.vault.0011223344556677.recovery.partial")
        os.mkdir(left)
        write(os.path.join(left, "catalog.db"), noise(4096))
        self.check_recovered("k.vault")
        self.assertFalse(os.path.exists(left))

    def test_only_owners_renew(self):
        result = self.office.run("recovery", "renew", "--trustees", "2/3", "--shares", os.path.join(self.root, "x"),
                                 user="boris")
        self.assertEqual(result.status, NOT_ALLOWED, str(result))
        self.assertFalse(os.path.exists(os.path.join(self.root, "x")))

    def test_nobody_sees_from_outside_that_there_are_trustees(self):
        """The same files of the same sizes, with trustees and without; and no share's word in any of them."""
        with_trustees = {name: os.path.getsize(os.path.join(self.office.vault, name))
                         for name in files_of(self.office.vault) if not name.startswith(("cases/", "bodies/", "spare/"))}
        without = {name: os.path.getsize(os.path.join(self.office.pristine, name))
                   for name in files_of(self.office.pristine) if not name.startswith(("cases/", "bodies/", "spare/"))}
        with_trustees["handover/1"] = with_trustees.pop("handover/2")  # how often the catalogue's key changed shows
        self.assertEqual(set(with_trustees), set(without))
        self.assertEqual(with_trustees["handover/1"], without["handover/1"])
        self.assertEqual(with_trustees["slots"], without["slots"])

    def test_a_damaged_copy_is_named_and_recovered_as_far_as_it_goes(self):
        body = next(name for name in files_of(self.office.vault) if name.startswith("bodies/"))
        path = os.path.join(self.office.vault, body)
        write(path, read(path)[:-1] + b"\x00")
        result = self.recover("g.vault")
        self.assertEqual(result.status, 15, str(result))
        self.assertRegex(result.said, re.escape(body))
        self.assertTrue(os.path.exists(os.path.join(self.root, "g.vault", "vault.json")))


class KillTest(FaultTest):
    """kill -9 just before a call that changes something, anywhere in the run."""

    @classmethod
    def setUpClass(cls):
        cls.office = FilledOffice(scratch("recovery-kill"))
        cls.office.set_passphrase("olga", PASSPHRASE)
        cls.old = os.path.join(cls.office.root, "old-sheets")
        cls.office.ok("recovery", "renew", "--trustees", "2/3", "--shares", cls.old)
        cls.start = os.path.join(cls.office.root, "start")
        copy_tree(cls.office.vault, cls.start)

    def setUp(self):
        if not has_strace():
            self.skipTest("strace cannot run here")
        copy_tree(self.start, self.office.vault)

    def each_kill(self, command, check, prepare, **options):
        prepare()
        log = self.office.fresh("strace")
        self.office.ok(*command(), under=strace(log), env={**UNDER_STRACE, **options.get("env", {})},
                       user=options.get("user", "anna"))
        calls = calls_in(log)
        hits = 0
        for at in spread(min(KILLS, len(calls)), len(calls)):
            call = calls[at]
            with self.subTest(killed_at=str(call)):
                prepare()
                injection = f"inject={call.name}:signal=KILL:when={call.number}"
                result = self.office.run(*command(), under=strace(self.office.fresh("strace"), "-e", injection),
                                         env={**UNDER_STRACE, **options.get("env", {})}, may_be_killed=True,
                                         user=options.get("user", "anna"))
                hits += result.status != DONE
                check(result)
        print(f"{hits} of {min(KILLS, len(calls))} runs killed", flush=True)
        self.assertGreaterEqual(hits, KILLS / 2, "too few runs were killed: the test shows nothing")

    def are_in_force(self, folder):
        return self.office.run("recovery", "check", *sheets_in(folder, 1, 2), passphrase=False).status == DONE

    def check_sheets(self, folder):
        """All of them or none."""
        if os.path.exists(folder):
            self.assertEqual(len(files_of(folder)), 6)

    def test_renew(self):
        office = self.office
        new = os.path.join(office.root, "new-sheets")

        def prepare():
            copy_tree(self.start, office.vault)
            shutil.rmtree(new, ignore_errors=True)

        def check(result):
            self.check_sheets(new)
            frozen = os.path.join(office.root, "frozen")
            copy_tree(office.vault, frozen)
            statuses = [office.run("recovery", "combine", *sheets_in(folder, 1, 3), "--from", frozen, user="olga",
                                   env={"CASEVAULT_DIR": office.fresh("vault")}).status
                        for folder in (self.old, new) if os.path.exists(folder)]
            self.assertEqual(statuses.count(DONE), 1, f"a copy of that moment opens for one set: {statuses}")
            office.check_clean()  # unlocks, which mends what was announced
            office.check_records(office.expected)
            old_ones, new_ones = self.are_in_force(self.old), os.path.exists(new) and self.are_in_force(new)
            self.assertNotEqual(old_ones, new_ones, "exactly one set is in force")
            if result.lines():
                self.assertTrue(new_ones, "printed as done, and the old shares are in force")
            target = office.fresh("vault")
            office.ok("recovery", "combine", *sheets_in(new if new_ones else self.old, 1, 3), "--from", office.vault,
                      user="olga", env={"CASEVAULT_DIR": target})
            found = office.contents("C-1", "C-2", user="olga", env={"CASEVAULT_DIR": target})
            self.assertEqual(found, office.expected)
            shutil.rmtree(target)

        self.each_kill(lambda: ("recovery", "renew", "--trustees", "2/3", "--shares", new), check, prepare)

    def test_init(self):
        office = self.office
        parent = os.path.join(office.root, "made")
        env = {"CASEVAULT_DIR": os.path.join(parent, "new.vault")}
        sheets = os.path.join(office.root, "init-sheets")

        def prepare():
            shutil.rmtree(parent, ignore_errors=True)
            shutil.rmtree(sheets, ignore_errors=True)
            os.mkdir(parent)

        def check(result):
            self.check_sheets(sheets)
            made = os.path.exists(env["CASEVAULT_DIR"])
            if result.lines():
                self.assertTrue(made)
            if not made:
                return
            self.assertEqual(len(files_of(sheets)), 6, "a vault whose shares are not there")
            checked = office.run("recovery", "check", *sheets_in(sheets, 2, 3), passphrase=False, env=env)
            self.assertEqual(checked.status, DONE, str(checked))
            office.check_clean(env=env)

        self.each_kill(lambda: ("init", "--organisation", "X", "--trustees", "2/3", "--shares", sheets), check, prepare,
                       env=env)

    def test_combine(self):
        office = self.office
        parent = os.path.join(office.root, "combined")
        env = {"CASEVAULT_DIR": os.path.join(parent, "new.vault")}
        before = {name: read(os.path.join(self.start, name)) for name in files_of(self.start)}

        def command():
            return ("recovery", "combine", *sheets_in(self.old, 1, 2), "--from", self.start)

        def prepare():
            shutil.rmtree(parent, ignore_errors=True)
            os.mkdir(parent)

        def check(result):
            self.assertEqual(before, {name: read(os.path.join(self.start, name)) for name in files_of(self.start)},
                             "the copy was changed")
            if result.lines():
                self.assertTrue(os.path.exists(env["CASEVAULT_DIR"]), "printed as done, and not there")
            if not os.path.exists(env["CASEVAULT_DIR"]):
                for left in os.listdir(parent):
                    self.assertRegex(left, r"^\.new\.vault\.[0-9a-f]{16}\.recovery\.partial$")
                office.ok(*command(), user="olga", env=env)
                self.assertEqual(os.listdir(parent), ["new.vault"])
            office.check_clean(user="olga", env=env)
            found = office.contents("C-1", "C-2", user="olga", env=env)
            self.assertEqual(found, office.expected)

        self.each_kill(command, check, prepare, env=env, user="olga")


if __name__ == "__main__":
    main()
