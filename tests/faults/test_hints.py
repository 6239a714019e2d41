#!/usr/bin/python3
"""What people read when custody says no: the reason, and a next command that works when it is typed as it stands."""
import os
import re
import shlex

from custodians import Custodian, KeptOffice
from harness import DONE, USAGE, FaultTest, main, scratch

REFUSED, TOO_FEW = 17, 18


class HintsTest(FaultTest):
    def setUp(self):
        self.root = scratch("hints")
        self.custodians = [Custodian(self.root, f"keeper{n}", f"Place {n}") for n in (1, 2, 3)]
        self.office = KeptOffice(os.path.join(self.root, "office"), self.custodians)

    def tearDown(self):
        for custodian in self.custodians:
            custodian.kill()

    def hint(self, result, words):
        """What `result` says to type, beginning with `words`."""
        found = re.search(rf"hint: .*?({words}.*)", result.said)
        self.assertTrue(found, str(result))
        return found.group(1)

    def test_locked(self):
        office = self.office
        locked = office.order("lock", 1)
        self.assertEqual(self.hint(locked, "casevault order status"), f"casevault order status --card {office.card(1)}")
        self.assertRegex(locked.said, r"for [1-9]\d* keys or machines")
        again = office.order("lock", 2)
        self.assertEqual(again.status, DONE, str(again))
        self.assertEqual(again.text.count("; it was so already"), 3)
        for command in ("list", "C-1"), ("unlock",), ("custody", "status"):
            result = office.run(*command)
            self.assertEqual(result.status, REFUSED, str(result))
            self.hint(result, "casevault order status --card FILE")
        unlocked = office.order("unlock", 1, 2)
        self.assertIn("locked by orders of their own stay locked", unlocked.said)
        office.ok("unlock")
        office.ok("lock", passphrase=False)

    def test_of_nobody(self):
        result = self.office.order("lock", 1, options=("--user", "nobody"))
        self.assertEqual(result.status, REFUSED, str(result))
        self.assertIn("keeper1, keeper2, keeper3: refused: the order is", result.said)
        self.hint(result, "casevault order issue lock --card FILE")

    def test_too_few(self):
        for custodian in self.custodians[:2]:
            custodian.kill()
        result = self.office.run("list", "C-1")
        self.assertEqual(result.status, TOO_FEW, str(result))
        self.hint(result, "--proxy 127.0.0.1:9050")

    def test_a_name_that_another_machine_has(self):
        office = self.office
        new = {"HOME": office.fresh("new-machine")}
        request = office.ok("custody", "enroll-device", passphrase=False, env=new).text.strip()
        refused = office.run("custody", "enroll-device", request)
        self.assertEqual(refused.status, REFUSED, str(refused))
        self.assertRegex(refused.said, "the custodians know another machine as .* already")
        self.hint(refused, "casevault custody enroll-device --name NAME")
        renamed = office.run("custody", "enroll-device", "--name", "laptop", passphrase=False, env=new)
        self.assertEqual(renamed.status, USAGE, str(renamed))
        move = shlex.split(self.hint(renamed, "mv ").partition(";")[0])
        os.rename(*move[1:])
        request = office.ok("custody", "enroll-device", "--name", "laptop", passphrase=False, env=new).text.strip()
        office.ok("custody", "enroll-device", request)
        self.assertIn("laptop", office.ok("custody", "status", env=new).text)

    def test_enrolling_that_breaks_off(self):
        office = self.office
        cards = office.fresh("cards")
        words = ["custody", "enroll", *[c.invitation() for c in self.custodians], "--threshold", "2", "--cards", "1",
                 "--quorum", "1", "--out"]
        broken = office.run(*words[:2], words[2][:-9], *words[3:], cards)
        self.assertEqual(broken.status, USAGE, str(broken))
        self.assertIn("invitation 1: ", broken.said)
        for out, why in (office.cards, "there already"), (cards + "/cards", "no folder"), (office.vault + "/c", "vault"):
            refused = office.run(*words, out, passphrase=False)
            self.assertEqual(refused.status, USAGE, str(refused))
            self.assertIn(why, refused.said)
        self.custodians[2].kill()
        broken = office.run(*words, cards)
        self.assertEqual(broken.status, TOO_FEW, str(broken))
        self.assertIn(f"nothing changed; the cards in {cards} are worth nothing: delete them", broken.said)
        self.custodians[2].start()
        done = office.ok("custody", "enroll", *[c.invitation() for c in self.custodians], *words[5:],
                         office.fresh("cards"), "--lease", "1")
        self.assertIn("each single card can destroy this vault", done.said)
        self.assertIn("locks itself after 1 hour in which no guard was heard", done.said)


if __name__ == "__main__":
    main()
