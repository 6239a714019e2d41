#!/usr/bin/python3
"""A vault under custody, with three custodians as real processes on loopback and a threshold of two."""
import os
import re
import time

from custodians import Custodian, KeptOffice
from harness import (DAMAGED, DESTROYED, DONE, NOT_ALLOWED, USAGE, WRONG_PASSPHRASE, FaultTest, Office, copy_tree, files_of, main, read, scratch, write)

REFUSED, TOO_FEW = 17, 18
PLACES = ("Georgia", "Iceland", "Portugal")


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
        self.assertRegex(result.said, "an owner goes on: casevault custody accept")
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
