#!/usr/bin/python3
"""A vault under custody, with three custodians as real processes on loopback and a threshold of two."""
import base64
import calendar
import json
import os
import re
import sys
import time

from nacl.signing import VerifyKey

from custodians import Custodian, KeptOffice
from harness import (DAMAGED, DESTROYED, DONE, NOT_ALLOWED, UNDER_STRACE, USAGE, WRONG_PASSPHRASE, FaultTest, Office,
                     calls_in, copy_tree, files_of, has_strace, main, read, scratch, strace, write)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
import casevault_reader as reader  # noqa: E402

REFUSED, TOO_FEW = 17, 18
PLACES = ("Georgia", "Iceland", "Portugal")


def boxes_in(handover):
    data = read(handover)
    return [data[start:start + 200] for start in range(0, len(data), 200)]


class CustodyTest(FaultTest):
    def setUp(self):
        self.root = scratch("custody")
        self.custodians = [Custodian(self.root, f"keeper{n}", place) for n, place in enumerate(PLACES, 1)]
        self.office = KeptOffice(os.path.join(self.root, "office"), self.custodians)

    def tearDown(self):
        for custodian in self.custodians:
            custodian.kill()

    def test_enrolled(self):
        office = self.office
        status = office.ok("custody", "status").text
        for custodian in self.custodians:
            self.assertRegex(status, rf"{custodian.name} .*{custodian.place} .*active")
        self.assertEqual(office.ok("cat", "C-1/E-1").out, "Они пришли ночью.\n".encode())
        office.check_clean()
        self.assertEqual(files_of(office.cards), sorted(f"card-{n}.{kind}" for n in (1, 2, 3) for kind in ("html", "txt")))

    def test_custodians_die(self):
        office = self.office
        self.custodians[0].kill()
        office.ok("cat", "C-1/E-1")
        self.custodians[1].kill()
        began = time.monotonic()
        self.assertEqual(office.run("cat", "C-1/E-1").status, TOO_FEW)
        self.took("two custodians dead: exit 18", time.monotonic() - began, 3)
        self.custodians[1].start()
        office.ok("cat", "C-1/E-1")

    def took(self, what, seconds, mark):
        print(f"{what}: {seconds:.2f} s (mark {mark} s)", flush=True)

    def test_lock_and_unlock(self):
        office = self.office
        done = office.order("lock", 1)
        self.assertEqual(done.status, DONE, str(done))
        result = office.run("cat", "C-1/E-1")
        self.assertEqual(result.status, REFUSED, str(result))
        self.assertRegex(result.said, "locked")
        self.assertEqual(office.run("status").status, REFUSED)
        half = office.order("unlock", 2)
        self.assertEqual(half.status, DONE, str(half))
        self.assertRegex(half.said, "1 of 2")
        self.assertEqual(office.run("status").status, REFUSED)
        self.assertEqual(office.order("unlock", 3).status, DONE)
        office.ok("cat", "C-1/E-1")

    def test_destroy(self):
        office = self.office
        taken = os.path.join(self.root, "taken")
        copy_tree(office.vault, taken)
        self.assertEqual(office.order("destroy", 1, 2).status, DONE)
        for folder in (office.vault, taken):
            result = office.run("cat", "C-1/E-1", env={"CASEVAULT_DIR": folder})
            self.assertEqual(result.status, DESTROYED, str(result))
        for custodian in self.custodians:  # restarted, too
            custodian.kill()
            custodian.start()
        self.assertEqual(office.run("cat", "C-1/E-1", env={"CASEVAULT_DIR": taken}).status, DESTROYED)
        self.assertEqual(office.order("unlock", 1, 2).status, REFUSED)

    def test_wrong_passphrases(self):
        office = self.office
        office.set_passphrase("mallory", "not the passphrase of anyone 1848")
        statuses = []
        for _ in range(20):
            statuses.append(office.run("status", "--user", "anna", user="mallory").status)
        self.assertEqual(statuses[:9], [WRONG_PASSPHRASE] * 9)
        self.assertEqual(statuses[10:], [REFUSED] * 10)
        self.assertEqual(office.run("status").status, REFUSED)
        self.assertEqual(office.order("unlock", 1, 2, options=("--user", "anna")).status, DONE)
        office.ok("status")
        outcomes = [e["outcome"] for e in office.ok("--json", "audit", "show", "--action", "unlock").objects()]
        self.assertEqual((outcomes.count("failed"), outcomes.count("refused") >= 10), (10, True))
        logged = office.ok("--json", "custody", "statement").objects()
        tries = [e for e in logged if e.get("action") == "evaluate" and e["custodian"] == "keeper1"]
        self.assertGreaterEqual(len(tries), 10)

    def test_any_unlock_order_lifts_a_lock_by_tries(self):
        """Also one for the whole vault; and how many tries there were is still told."""
        office = self.office
        office.set_passphrase("mallory", "not the passphrase of anyone 1848")
        for _ in range(11):
            office.run("status", "--user", "anna", user="mallory")
        self.assertEqual(office.run("status").status, REFUSED)
        self.assertEqual(office.order("unlock", 1, 2).status, DONE)
        self.assertRegex(office.ok("status").said, "somebody tried 10 wrong passphrases")

    def test_cards_that_are_replaced_do_not_wait(self):
        """An order that only lost cards have signed does not keep the office from replacing them."""
        office = self.office
        self.assertEqual(office.order("destroy", 1).status, DONE)
        self.move(*self.custodians, threshold=2)
        self.assertNotEqual(office.order("destroy", 2).status, DONE)
        office.ok("cat", "C-1/E-1")

    def test_tries_elsewhere_show_here(self):
        """On a copy of the disk, by the same machine's key: this vault's own log knows nothing of them."""
        office = self.office
        office.set_passphrase("mallory", "not the passphrase of anyone 1848")
        taken = os.path.join(self.root, "taken")
        copy_tree(office.vault, taken)
        for _ in range(3):
            office.run("status", "--user", "anna", user="mallory", env={"CASEVAULT_DIR": taken})
        self.assertRegex(office.ok("status").said, "somebody tried 3 wrong passphrases")
        self.assertRegex(office.ok("audit", "show", "--action", "custody-tries").text, "3 failed")

    def test_destroying_a_copy_says_what_goes_with_it(self):
        office = self.office
        copy = os.path.join(self.root, "copy")
        copy_tree(office.vault, copy)
        for more in ((), ("--yes",)):
            done = office.run("panic", "--destroy", *more, passphrase=False, env={"CASEVAULT_DIR": copy})
            self.assertRegex(done.said, "warning: this machine's key at the custodians goes with it: another copy")
            self.assertEqual(done.status, DONE if more else USAGE, str(done))
            self.assertEqual(office.run("status").status, NOT_ALLOWED if more else DONE)

    def test_tries_are_told_to_members_in_their_words(self):
        office = self.office
        self.add_user("boris")
        office.ok("status", user="boris")
        office.set_passphrase("mallory", "not the passphrase of anyone 1848")
        for name, hint in (("boris", "tell an owner of the vault"), ("anna", "see: casevault audit show")):
            office.run("status", "--user", name, user="mallory")
            self.assertRegex(office.ok("status", user=name).said, "tried 1 wrong passphrase for your name; .*" + hint)

    def test_statement_after_a_raid(self):
        office = self.office
        for title in ("second", "third"):
            office.ok("case", "new", title)
        made = int(time.time())
        while int(time.time()) == made:  # statements are asked for by the second
            office.ok("case", "list")
        began = time.time()
        office.ok("cat", "C-1/E-1")
        office.order("lock", 1)
        office.run("cat", "C-1/E-1")
        office.order("unlock", 1, 2)
        office.ok("list", "C-3")
        start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))
        summary = office.ok("--json", "custody", "statement", "--from", start).objects()[-1]
        self.assertEqual(summary["released"], ["C-1", "C-3"])
        self.assertEqual(summary["cases"], 3)

    def incomplete(self, user="anna"):
        """What `custody status` says hangs on fewer custodians, by the custodian that lacks it."""
        told = self.office.ok("--json", "custody", "status", user=user).objects()[-1]["incomplete"]
        return {entry["custodian"]: entry["of"] for entry in told}

    def add_user(self, name, *rights):
        office = self.office
        office.set_passphrase(name, "zoravik quilted bemt ostrich 7 plovd " + name)
        office.ok("user", "join", name, user=name)
        said = office.ok("user", "approve", name, "--yes").said
        for case, right in rights:
            office.ok("case", "grant", case, name, "--right", right)
        return said

    def opens_without(self, away, *words, user="anna"):
        custodian = self.custodians[away - 1]
        custodian.kill()
        result = self.office.run(*words, user=user)
        custodian.start()
        self.assertEqual(result.status, DONE, f"without {custodian.name}: {result}")

    def test_what_a_custodian_missed_is_brought_to_it(self):
        """A case that was made while one was away is said to hang on the others, at once; with the next command of an
        owner it hangs on any two of the three."""
        office = self.office
        self.custodians[1].kill()
        made = office.ok("case", "new", "made while keeper2 is away")
        self.assertRegex(made.said, r"no share of the new key came to keeper2 \(.+\): it takes 2 of the 2 custodians")
        self.assertRegex(made.said, "none of them may fail now")
        self.assertEqual(self.incomplete(), {"keeper2": ["C-2"]})
        self.assertRegex(office.ok("custody", "status").said, "keeper2 has no share of C-2")
        self.assertRegex(office.ok("status").said, "keeper2 has no share of 1 key")
        self.custodians[1].start()
        self.assertNotIn("no share", office.ok("status").said)
        self.assertEqual(self.incomplete(), {})
        logged = office.ok("--json", "audit", "show", "--action", "custody-deposit").objects()
        self.assertEqual([entry["objects"] for entry in logged], ["C-2"])
        for away in (1, 2, 3):
            self.opens_without(away, "list", "C-2")

    def test_so_is_what_was_re_keyed(self):
        """Cases, and the catalogue for those who were away, when somebody is removed."""
        office = self.office
        for name in ("boris", "vera"):
            self.add_user(name, ("C-1", "read"))
            office.ok("status", user=name)
        self.custodians[1].kill()
        said = office.ok("user", "remove", "boris", "--yes").said
        self.assertEqual(said.count("no share of the new key"), 1, said)
        self.assertEqual(self.incomplete(), {"keeper2": ["the catalogue", "C-1"]})
        self.custodians[1].start()
        office.ok("case", "list")
        self.assertEqual(self.incomplete(), {})
        self.opens_without(1, "cat", "C-1/E-1")
        self.opens_without(1, "cat", "C-1/E-1", user="vera")  # who was handed the new catalogue key in halves
        office.check_clean()

    def test_who_may_bring_it(self):
        """Members what they manage; not what they may only add to."""
        office = self.office
        self.add_user("boris")
        office.ok("status", user="boris")
        self.custodians[1].kill()
        office.ok("case", "new", "of anna")
        office.ok("case", "grant", "C-2", "boris", "--right", "add")
        office.ok("case", "new", "of boris", user="boris")
        self.custodians[1].start()
        self.assertEqual(self.incomplete(user="boris"), {"keeper2": ["C-2"]})
        self.opens_without(1, "list", "C-3", user="boris")
        self.assertEqual(self.incomplete(), {})
        self.opens_without(1, "list", "C-2", user="boris")

    def test_people_who_were_let_in_while_one_was_away(self):
        office = self.office
        self.custodians[1].kill()
        self.assertRegex(self.add_user("vera"), "vera could not be told to all custodians: .*keeper2")
        office.ok("status", user="vera")  # under the passphrase alone
        self.custodians[1].start()
        office.ok("status")
        self.assertRegex(office.ok("custody", "status").said, "when they next unlock, best today: vera")
        office.ok("status", user="vera")
        told = office.ok("--json", "custody", "status").objects()[-1]
        self.assertEqual((told["users_waiting"], told["incomplete"]), ([], []))
        for away in (1, 2, 3):
            self.opens_without(away, "status", user="vera")

    def test_people_who_follow_while_one_is_away(self):
        """Where the others are enough to seal a slot under, it hangs on these, and that is said."""
        office = self.office
        self.custodians.append(Custodian(self.root, "keeper4", "Norway"))
        self.move(*self.custodians, threshold=2)
        self.custodians[3].kill()
        self.add_user("vera")
        office.ok("status", user="vera")
        self.custodians[3].start()
        office.ok("status")
        told = office.ok("--json", "custody", "status").objects()[-1]
        self.assertEqual((told["users_waiting"], told["incomplete"]), ([], [{"custodian": "", "of": ["vera"]}]))
        self.assertRegex(office.ok("custody", "status").said, "some of the custodians may have nothing of vera")
        self.move(*self.custodians, threshold=2)
        office.ok("status", user="vera")
        self.assertEqual(self.incomplete(), {})

    def test_a_machine_that_was_let_in_while_one_was_away(self):
        office = self.office
        new = {"HOME": office.fresh("new-machine")}
        request = office.ok("custody", "enroll-device", "--name", "laptop", passphrase=False, env=new).text.strip()
        self.custodians[1].kill()
        self.assertRegex(office.ok("custody", "enroll-device", request).said, "keeper2 does not know the machine")
        self.custodians[1].start()
        self.assertNotIn("does not know", office.ok("custody", "enroll-device", request).said)
        self.custodians[0].kill()
        office.ok("list", "C-1", env=new)

    def test_killed_while_a_share_is_brought(self):
        """With kill -9 at each message to the custodians, and each write, after the unlocking itself: the case opens all
        the time, and in the end without any one of them."""
        if not has_strace():
            self.skipTest("strace cannot trace here")
        office = self.office
        self.add_user("boris")
        office.ok("status", user="boris")
        calls = ("sendto", "pwrite64", "fdatasync")
        log = os.path.join(self.root, "strace")
        office.ok("case", "list", under=strace(log, calls=",".join(calls)), env=UNDER_STRACE)
        usual = {call.name: call.number for call in calls_in(log)}  # messages are not always the same number
        first = {"sendto": usual["sendto"] - 3, "pwrite64": usual["pwrite64"] // 2, "fdatasync": usual["fdatasync"] // 2}
        for number, call in enumerate(calls, 2):
            case = f"C-{number}"
            self.custodians[1].kill()
            office.ok("case", "new", "made while keeper2 is away")
            office.ok("case", "grant", case, "boris", "--right", "read")
            self.custodians[1].start()
            kills = self.kill_at_each(call, first[call], case)
            print(f"killed {kills} times at {call}", flush=True)
            self.assertGreater(kills, 4)
            self.assertEqual(self.incomplete(), {})
            for away in (1, 2, 3):
                self.opens_without(away, "list", case)
        office.check_clean()

    def kill_at_each(self, call, number, case):
        """From the `number`th on, until there is none so late. Returns how many there were."""
        kills = 0
        while True:
            under = strace(os.devnull, "-e", f"inject={call}:signal=SIGKILL:when={number + kills}", calls=call)
            done = self.office.run("case", "list", under=under, env=UNDER_STRACE, may_be_killed=True)
            self.office.ok("list", case, user="boris")  # who brings nothing
            if done.status == DONE:
                return kills
            kills += 1

    def statement(self, *options, card=1, json_too=True):
        """By a card, in a place that knows no vault."""
        words = ("--json",) if json_too else ()
        return self.office.run(*words, "order", "statement", "--card", self.office.card(card), *options,
                               passphrase=False, env={"CASEVAULT_DIR": "", "HOME": self.office.fresh("abroad")})

    def test_statement_by_a_card(self):
        """Who can get the certificate after a raid: while the vault is locked, and after it was destroyed for ever."""
        office = self.office
        for title in ("second", "third"):
            office.ok("case", "new", title)
        made = int(time.time())
        while int(time.time()) == made:  # statements are asked for by the second
            office.ok("case", "list")
        start = ("--from", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time())))
        office.ok("cat", "C-1/E-1")
        office.order("lock", 1)
        self.assertEqual(office.run("custody", "statement").status, REFUSED)
        for kind, state in (("lock", "locked"), ("destroy", "destroyed")):
            self.assertEqual(office.order(kind, 1, 2).status, DONE)
            done = self.statement(*start)
            self.assertEqual(done.status, DONE, str(done))
            summary = done.objects()[-1]
            self.assertEqual(summary["states"], [state] * 3)
            self.assertEqual((summary["released"], summary["cases"], summary["enough"]), (["C-1"], 3, True))
            self.assertNotIn("anna", done.text)
        self.custodians[2].kill()  # two of three still cover everything
        self.assertEqual(self.statement(*start).objects()[-1]["enough"], True)
        self.custodians[1].kill()
        done = self.statement(*start, json_too=False)
        self.assertEqual(done.status, TOO_FEW, str(done))
        self.assertRegex(done.said, "too few custodians answered to be sure")

    def test_statement_for_others_to_check(self):
        """What the custodians signed, as files."""
        out = os.path.join(self.root, "signed")
        self.assertEqual(self.statement("--out", out).status, DONE)
        self.assertEqual(files_of(out), [f"{n}-keeper{n}.jsonl" for n in (1, 2, 3)])
        for number, custodian in enumerate(self.custodians, 1):
            for line in read(os.path.join(out, f"{number}-keeper{number}.jsonl")).decode().splitlines():
                page = json.loads(line)
                self.assertEqual(page["by"], custodian.identity["key"])
                VerifyKey(bytes.fromhex(page["by"])).verify(
                    b"casevault/v1/custody-statement\0" + page["statement"].encode(), base64.b64decode(page["signature"]))
                self.assertEqual(json.loads(page["statement"])["threshold"], 2)
        self.assertNotEqual(self.statement("--out", out).status, DONE)

    def test_statement_names_what_it_does_not_cover(self):
        """Cases of people who have not added anything since."""
        office = self.office
        office.ok("custody", "leave", "--yes")
        office.ok("status")
        office.ok("user", "join", "boris", user="boris")
        office.ok("user", "approve", "boris", "--yes")
        office.ok("case", "new", "of boris", user="boris")
        self.move(*self.custodians, threshold=2)
        office.ok("status")
        summary = office.ok("--json", "custody", "statement").objects()[-1]
        self.assertEqual((summary["cases"], summary["not_covered"]), (1, ["C-2"]))
        self.assertRegex(office.ok("custody", "statement").said, "hold nothing of C-2 yet")

    def test_new_people_and_passphrases(self):
        office = self.office
        office.ok("user", "join", "boris", user="boris")
        office.ok("user", "approve", "boris", "--yes")
        office.ok("case", "grant", "C-1", "boris", "--right", "add")
        office.ok("status", user="boris")  # converted
        office.ok("cat", "C-1/E-1", user="boris")
        office.ok("case", "new", "of boris", user="boris")
        office.ok("list", "C-2", user="boris")
        office.ok("case", "grant", "C-2", "anna", "--right", "manage", user="boris")
        self.assertNotIn("boris", office.ok("custody", "status").text)
        office.ok("user", "remove", "boris", "--yes")
        self.assertEqual(office.run("status", user="boris").status, WRONG_PASSPHRASE)
        office.ok("cat", "C-1/E-1")
        office.check_clean()

    def test_leave_and_move(self):
        office = self.office
        more = Custodian(self.root, "keeper4", "Norway")
        self.custodians.append(more)
        invitations = [c.invitation() for c in (self.custodians[1], self.custodians[2], more)]
        office.ok("custody", "enroll", *invitations, "--threshold", "3", "--cards", "1", "--quorum", "1", "--out",
                  office.fresh("cards"))
        office.ok("cat", "C-1/E-1")
        self.custodians[0].kill()
        office.ok("cat", "C-1/E-1")
        office.ok("custody", "leave", "--yes")
        office.ok("status")
        for custodian in self.custodians:
            custodian.kill()
        self.assertEqual(office.ok("cat", "C-1/E-1").out, "Они пришли ночью.\n".encode())
        office.check_clean()

    def move(self, *custodians, threshold):
        self.office.ok("custody", "enroll", *[c.invitation() for c in custodians], "--threshold", str(threshold),
                       "--cards", "1", "--quorum", "1", "--out", self.office.fresh("cards"))

    def test_former_custodians_forget(self):
        """People's secrets of an earlier enrolment: an older image and its passphrase open nothing any more."""
        office = self.office
        older = os.path.join(self.root, "older")
        copy_tree(office.vault, older)
        more = Custodian(self.root, "keeper4", "Norway")
        self.custodians.append(more)
        self.move(self.custodians[1], self.custodians[2], more, threshold=2)
        self.custodians[0].kill()
        office.ok("status")  # converts anna, and forgets at those who are reached
        status = office.ok("custody", "status")
        self.assertRegex(status.said, "to be deleted at keeper1, keeper2, keeper3 .*: anna")
        waiting = office.ok("--json", "custody", "status").objects()[-1]["to_forget"]
        self.assertEqual([sorted(w["custodians"]) for w in waiting], [["keeper1", "keeper2", "keeper3"]])
        self.custodians[0].start()
        office.ok("status")
        self.assertEqual(office.ok("--json", "custody", "status").objects()[-1]["to_forget"], [])
        self.assertEqual(self.named_custodians(), ["keeper2", "keeper3", "keeper4"])
        result = office.run("case", "list", env={"CASEVAULT_DIR": older})
        self.assertEqual(result.status, WRONG_PASSPHRASE, str(result))
        office.ok("custody", "leave", "--yes")
        office.ok("status")
        self.assertEqual(self.named_custodians(), [])
        office.check_clean()
        self.move(*self.custodians[1:], threshold=2)  # back to those who know the vault and this machine
        office.ok("status")
        office.ok("cat", "C-1/E-1")

    def named_custodians(self):
        return [name for name in (f"keeper{n}" for n in range(1, 5)) if self.is_named(name)]

    def is_named(self, custodian):
        return custodian.encode() in read(os.path.join(self.office.vault, "vault.json"))

    def test_an_image_from_before_opens_no_later_catalogue(self):
        """By an independent reader: what is in a slot of the day before custody, with the passphrase, against the
        catalogue of today. Members who have not followed yet are handed a half only, too."""
        office = Office(os.path.join(self.root, "second"))
        office.ok("init", "--organisation", "Legal Aid", "--no-recovery")
        for name in ("boris", "vera"):
            office.ok("user", "join", name, user=name)
            office.ok("user", "approve", name, "--yes")
            office.ok("status", user=name)
        before = os.path.join(self.root, "before")
        copy_tree(office.vault, before)
        self.assertTrue(self.old_key_opens(office, before, before))  # the rig works
        office.ok("custody", "enroll", *[c.invitation() for c in self.custodians], "--threshold", "2", "--cards", "1",
                  "--quorum", "1", "--out", office.fresh("cards"))
        for who in (None, "anna", "boris"):  # nobody has unlocked, the owner has, a member has; vera never does
            if who:
                office.ok("status", user=who)
            self.assertFalse(self.old_key_opens(office, before, office.vault), who)
        office.set_passphrase("dina", "zoravik quilted bemt ostrich 7 plovd")
        office.ok("user", "join", "dina", user="dina")
        office.ok("user", "approve", "dina", "--yes")
        office.ok("user", "remove", "boris", "--yes")
        self.assertFalse(self.old_key_opens(office, before, office.vault))
        for name in ("anna", "vera", "dina"):
            office.ok("status", user=name)
        office.check_clean()
        office.ok("custody", "leave", "--yes")
        for name in ("anna", "vera"):
            office.ok("status", user=name)
        for custodian in self.custodians:
            custodian.kill()
        for name in ("anna", "vera"):
            office.ok("status", user=name)
        office.check_clean()

    def old_key_opens(self, office, before, now):
        """Whether anna's slot in `before` leads into the catalogue in `now`: with its key, or one handed to its owner."""
        header = reader.Header(read(os.path.join(before, "vault.json")))
        passphrase = read(office.passphrase_file("anna")).strip()
        slot = reader.find_slot(header, "anna", passphrase, read(os.path.join(before, "slots")))
        keys = [(slot.catalogue_key, slot.epoch)]
        for epoch in os.listdir(os.path.join(now, "handover")):
            handed = [self.key_in(slot, box) for box in boxes_in(os.path.join(now, "handover", epoch))]
            keys += [(key, int(epoch)) for key in handed if key]
        return any(self.opens(now, header, key, epoch) for key, epoch in keys)

    def key_in(self, slot, box):
        try:
            return reader.seal_open(slot.box, box, "a box")[40:72]
        except reader.Refused:
            return None

    def opens(self, vault, header, key, epoch):
        try:
            reader.open_database(vault, "catalog.db", reader.D(key, "casevault/v1/catalog-db",
                                                               header.id + epoch.to_bytes(4, "big")))
        except reader.Refused:
            return False
        return True

    def test_rolled_back(self):
        office = self.office
        older = os.path.join(self.root, "older")
        copy_tree(office.vault, older)
        office.ok("add", "C-1", write(office.fresh("more"), "more"))
        office.ok("status")  # custodians witness the log
        self.assertRegex(office.ok("audit", "verify").text, "last witnessed by a custodian")
        office.ok("list", "C-1")
        result = office.run("list", "C-1", env={"CASEVAULT_DIR": older})
        self.assertEqual(result.status, DAMAGED, str(result))
        self.assertRegex(result.said, "it was rolled back")
        office.ok("list", "C-1")

    def test_an_older_copy_is_gone_on_with(self):
        """The disk was taken, and what is left is last night's copy."""
        office = self.office
        last_night = os.path.join(self.root, "last night")
        copy_tree(office.vault, last_night)
        here = {"CASEVAULT_DIR": last_night}
        office.ok("add", "C-1", write(office.fresh("more"), "more"))
        office.ok("status")  # custodians witness the log
        result = office.run("status", env=here)
        self.assertEqual(result.status, DAMAGED, str(result))
        self.assertRegex(result.said, "by an owner: casevault custody accept")
        self.assertEqual(office.run("custody", "accept", env=here).status, USAGE, "not by accident")
        self.assertEqual(office.run("status", env=here).status, DAMAGED)
        self.assertRegex(office.ok("--yes", "custody", "accept", env=here).text, "under new keys")
        self.assertNotIn("custodians could not be told", office.ok("status", env=here).said)
        self.assertRegex(office.ok("--yes", "custody", "accept", env=here).text, "nothing to accept")
        self.assertRegex(office.ok("audit", "show", "--action", "custody-accept", env=here).text, "rolled back")
        self.assertRegex(office.ok("audit", "verify", env=here).text, "last witnessed by a custodian")
        office.ok("add", "C-1", write(office.fresh("new"), "new"), env=here)
        office.ok("status", env=here)
        seized = office.run("status")
        self.assertEqual(seized.status, DAMAGED, str(seized))
        self.assertRegex(seized.said, "rolled back|they know newer keys")

    def test_a_destroyed_case_hinders_nothing(self):
        office = self.office
        office.ok("case", "new", "second")
        self.assertEqual(office.order("destroy", 1, 2, options=("--case", "C-2")).status, DONE)
        self.assertEqual(office.run("list", "C-2").status, DESTROYED)
        self.assertIn("C-2: this was destroyed by an order", office.ok("verify").said)
        again = office.ok("custody", "enroll", *[c.invitation() for c in self.custodians], "--threshold", "2", "--cards", "2",
                          "--quorum", "2", "--out", office.fresh("new-cards"))
        self.assertIn("C-2 keeps its key", again.said)
        office.ok("cat", "C-1/E-1")

    def test_a_copy_is_not_witnessed(self):
        """Working in a copy, to try it out or out of malice, does not keep anybody from the vault."""
        office = self.office
        office.ok("status")
        copy = {"CASEVAULT_DIR": os.path.join(self.root, "copy")}
        copy_tree(office.vault, copy["CASEVAULT_DIR"])
        for _ in range(3):
            self.assertIn("this folder is a copy", office.ok("status", env=copy).said)
        office.ok("list", "C-1")
        office.ok("add", "C-1", write(office.fresh("more"), "more"))
        office.ok("status")
        self.assertEqual(office.run("status", env=copy).status, DAMAGED)

    def test_a_forked_log_is_refused(self):
        """The custodians witnessed another history of the same length and more."""
        office = self.office
        office.ok("status")
        fork = os.path.join(self.root, "fork")
        copy_tree(office.vault, fork)
        office.ok("list", "C-1")
        self.assertRegex(office.ok("--yes", "custody", "accept", env={"CASEVAULT_DIR": fork}).text, "witness this folder")
        for _ in range(5):
            office.ok("status", env={"CASEVAULT_DIR": fork})
        result = office.run("list", "C-1")
        self.assertEqual(result.status, DAMAGED, str(result))
        self.assertRegex(result.said, "rolled back|forked")

    def test_duress(self):
        office = self.office
        office.set_passphrase("duress", "another walnut 1905 Kama lantern")
        decoy = Office(os.path.join(self.root, "decoy"))
        decoy.set_passphrase("anna", "another walnut 1905 Kama lantern")
        decoy.ok("init", "--organisation", "Legal Aid", "--no-recovery")
        decoy.ok("case", "new", "Appeal of a parking fine")
        office.ok("user", "passphrase", "--duress", "--new-passphrase-file", office.passphrase_file("duress"), "--decoy",
                  decoy.vault)
        office.ok("cat", "C-1/E-1")
        coerced = office.run("--user", "anna", "case", "list", user="duress")
        self.assertEqual(coerced.status, DONE, str(coerced))
        self.assertIn("parking fine", coerced.text)
        self.assertNotIn("Ивановой", coerced.text)
        self.assertEqual(coerced.err, b"")
        self.assertEqual(office.run("cat", "C-1/E-1").status, REFUSED)  # all else is locked
        self.assertIn("parking fine", office.ok("--user", "anna", "case", "list", user="duress").text)
        self.assertEqual(office.order("unlock", 1, 2).status, DONE)
        office.ok("cat", "C-1/E-1")
        self.assertRegex(office.ok("audit", "show", "--action", "unlock").text, "duress")
        self.assertIn("duress", [e.get("action") for e in office.ok("--json", "custody", "statement").objects()])

    def test_duress_ends_with_the_custody(self):
        """A duress passphrase of before is a wrong one, and its user is told."""
        office = self.office
        office.set_passphrase("duress", "another walnut 1905 Kama lantern")
        self.set_duress()
        more = Custodian(self.root, "keeper4", "Norway")
        self.custodians.append(more)
        told = office.ok("custody", "enroll", *[c.invitation() for c in (*self.custodians[1:3], more)], "--threshold",
                         "2", "--cards", "1", "--quorum", "1", "--out", office.fresh("cards"))
        self.assertRegex(told.said, "duress passphrase was taken away.*user passphrase --duress")
        office.ok("status")
        self.assertEqual(self.coerced().status, WRONG_PASSPHRASE)
        office.ok("status")
        self.set_duress()
        self.assertEqual(self.coerced().status, DONE)

    def test_duress_of_others_ends_when_they_follow(self):
        office = self.office
        office.set_passphrase("duress", "another walnut 1905 Kama lantern")
        office.ok("user", "join", "boris", user="boris")
        office.ok("user", "approve", "boris", "--yes")
        office.ok("status", user="boris")
        office.ok("user", "passphrase", "--duress", "--new-passphrase-file", office.passphrase_file("duress"),
                  user="boris")
        told = office.ok("custody", "leave", "--yes")
        self.assertRegex(told.said, "the duress passphrase of boris is from before")
        self.assertRegex(office.ok("status", user="boris").said, "duress passphrase was taken away")
        self.assertEqual(self.coerced("boris").status, WRONG_PASSPHRASE)
        office.check_clean()

    def set_duress(self):
        self.office.ok("user", "passphrase", "--duress", "--new-passphrase-file",
                       self.office.passphrase_file("duress"))

    def coerced(self, name="anna"):
        return self.office.run("--user", name, "case", "list", user="duress")

    def facts(self, *words, user="anna"):
        """What it shows, without what differs from run to run: the names of lines, and lines about custody."""
        result = self.office.run("--user", "anna", *words, user=user)
        self.assertEqual(result.status, DONE, str(result))
        return result.text.splitlines(), result.err

    def test_a_decoy_shows_the_custody_around_it(self):
        """`status` and `custody status` are the same in shape, and in all that the folder tells anyway."""
        office = self.office
        office.ok("status")
        office.set_passphrase("duress", "another walnut 1905 Kama lantern")
        self.set_duress()
        names = ("Vault", "Organisation", "Fingerprint", "You", "Users", "Custody", "Recovery", "Replicas")
        shown = {}
        for user in ("anna", "duress"):
            lines, err = self.facts("status", user=user)
            facts = dict(line.split(":", 1) for line in lines)
            self.assertRegex(facts["Last witnessed"], "just now")
            custody, custody_err = self.facts("custody", "status", user=user)
            shown[user] = (list(facts), [facts[name] for name in names], err, custody, custody_err)
        self.assertEqual(shown["anna"], shown["duress"])

    def test_silence(self):
        """When it would lock the vault is said where a lease is set; and how fresh the last cosignature is."""
        office = self.office
        office.ok("custody", "enroll", *[c.invitation() for c in self.custodians], "--threshold", "2", "--cards", "1",
                  "--quorum", "1", "--lease", "48", "--out", office.fresh("cards"))
        office.ok("status")
        said = office.ok("status").text
        match = re.search("Silence locks: +after 48 hours in which no guard was heard: on (.*) UTC", said)
        self.assertTrue(match, said)
        locks = calendar.timegm(time.strptime(match[1], "%Y-%m-%d %H:%M:%S"))
        self.assertLess(abs(locks - time.time() - 48 * 3600), 120)
        self.assertRegex(said, "Last witnessed: .* UTC, just now")
        self.assertRegex(office.ok("audit", "verify").text, "last witnessed by a custodian: .*, just now, with")
        for custodian in office.ok("--json", "custody", "status").objects()[:3]:
            self.assertRegex(custodian["silence_locks_at"], "T.*Z")

    def test_a_machine_is_burned_and_another_let_in(self):
        office = self.office
        new = {"HOME": office.fresh("new-machine")}
        self.assertEqual(office.run("list", "C-1", env=new).status, NOT_ALLOWED)
        request = office.ok("custody", "enroll-device", "--name", "laptop", passphrase=False, env=new).text.strip()
        office.ok("custody", "enroll-device", request)
        office.ok("list", "C-1", env=new)
        self.assertEqual(office.order("burn", 1, 2, options=("--device", "laptop")).status, DONE)
        self.assertEqual(office.run("list", "C-1", env=new).status, REFUSED)
        office.ok("list", "C-1")
        # Where no machine is left: by the custodians' own invitations.
        other = {"HOME": office.fresh("other-machine")}
        office.ok("custody", "enroll-device", "--name", "phone", *[c.invitation() for c in self.custodians],
                  passphrase=False, env=other)
        office.ok("list", "C-1", env=other)

    def test_nothing_of_ours_at_the_custodians(self):
        office = self.office
        secrets = [b"anna", "Ивановой".encode(), b"note.txt", office.vault.encode(), b"Legal Aid",
                   read(office.passphrase_file("anna")).strip()]
        for custodian in self.custodians:
            custodian.stop()
            for path in files_of(custodian.root):
                content = read(os.path.join(custodian.root, path))
                for secret in secrets:
                    self.assertNotIn(secret, content, path)
            self.assertIsNone(re.search("C-[0-9]", custodian.said()))

    def test_one_store_opens_nothing(self):
        """The disk and one custodian, all of it, and the passphrase: below the threshold."""
        office = self.office
        for custodian in self.custodians[1:]:
            custodian.kill()
        self.assertEqual(office.run("cat", "C-1/E-1").status, TOO_FEW)
        self.assertEqual(office.run("case", "list").status, TOO_FEW)


if __name__ == "__main__":
    main()
