"""Replicas of a vault under custody: on a new machine, and of an age that the custodians know better."""
import os
import shutil

from custodians import Custodian, KeptOffice
from harness import DAMAGED, DONE, PARTIAL, FaultTest, files_of, main, scratch, write
from replicas import flip


class ReplicaCustodyTest(FaultTest):
    def setUp(self):
        root = scratch("replica-custody")
        self.custodians = [Custodian(root, name, place) for name, place in
                           (("Oslo", "Norway"), ("Porto", "Portugal"), ("Riga", "Latvia"))]
        for custodian in self.custodians:
            self.addCleanup(custodian.kill)
        self.office = KeptOffice(os.path.join(root, "office"), self.custodians)
        self.replica = os.path.join(root, "replica")
        self.office.ok("replicate", self.replica)
        self.root = root

    def restore(self, *options, env=None):
        place = self.office.fresh("restored")
        return self.office.run("restore", self.replica, "--vault", place, *options, env=env), place

    def check_reads(self, place, env=None):
        office = self.office
        before, office.vault = office.vault, place
        try:
            self.assertEqual(office.ok("cat", "C-1/E-1", env=env).out, "Они пришли ночью.\n".encode())
            office.check_clean(env=env)
        finally:
            office.vault = before

    def test_on_the_same_machine(self):
        result, place = self.restore()
        self.assertEqual(result.status, DONE, str(result))
        self.check_reads(place)

    def test_on_a_new_machine(self):
        new = {"HOME": os.path.join(self.root, "new-machine")}
        os.makedirs(new["HOME"])
        result, place = self.restore(env=new)
        self.assertEqual(result.status, PARTIAL, str(result))
        self.assertIn("custody enroll-device", result.said)
        office = self.office
        before, office.vault = office.vault, place
        office.ok("custody", "enroll-device", "--name", "new", *[c.invitation() for c in self.custodians], passphrase=False, env=new)
        office.vault = before
        self.check_reads(place, new)

    def test_damaged_on_a_new_machine(self):
        new = {"HOME": os.path.join(self.root, "new-machine")}
        os.makedirs(new["HOME"])
        self.office.ok("add", "C-1", write(os.path.join(self.office.root, "sources", "large"), os.urandom(90_000)))
        self.office.ok("replicate", self.replica)
        (body,) = files_of(os.path.join(self.replica, "bodies"))
        flip(os.path.join(self.replica, "bodies", body))
        refused, place = self.restore(env=new)
        self.assertEqual(refused.status, DAMAGED, str(refused))
        self.assertIn(body, refused.said)
        self.assertIn("--damaged", refused.said)
        self.assertFalse(os.path.exists(place))
        taken, place = self.restore("--damaged", env=new)
        self.assertEqual(taken.status, DAMAGED, str(taken))
        self.assertIn(body, taken.said)
        self.assertIn("custody enroll-device", taken.said)
        self.assertTrue(os.path.exists(place))

    def test_older_than_the_custodians_have_seen(self):
        office = self.office
        elsewhere = {"HOME": os.path.join(self.root, "home-of-replica")}
        shutil.copytree(office.home, elsewhere["HOME"])
        for folder, _, names in os.walk(elsewhere["HOME"]):
            for name in names:
                if name == "replica":  # what the machine itself remembers
                    os.remove(os.path.join(folder, name))
        office.ok("add", "C-1", write(os.path.join(office.root, "sources", "later"), "later"))
        office.ok("status")  # witnessed
        result, place = self.restore(env=elsewhere)
        self.assertEqual(result.status, DAMAGED, str(result))
        self.assertIn("older than its custodians have seen it", result.said)
        self.assertIn("--older", result.said)
        self.assertFalse(os.path.exists(place))
        result, place = self.restore("--older", env=elsewhere)
        self.assertEqual(result.status, DONE, str(result))
        before, office.vault = office.vault, place
        self.assertEqual(office.run("cat", "C-1/E-1", env=elsewhere).status, DAMAGED)
        office.ok("custody", "accept", "--yes", env=elsewhere)
        office.vault = before
        self.check_reads(place, elsewhere)


if __name__ == "__main__":
    main()
