"""A raid, all of it in real processes: a guard that listens to three custodians, orders by cards from elsewhere, and
what is left on the machine and of a copy of its disk."""
import json
import os
import signal
import time

from custodians import Custodian, KeptOffice
from harness import DESTROYED, DONE, PATIENCE, FaultTest, Running, copy_tree, main, program, scratch, write

PLACES = ("Georgia", "Iceland", "Portugal")


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.002)
    return value


class RaidTest(FaultTest):
    def setUp(self):
        self.root = scratch("raid")
        self.custodians = [Custodian(self.root, f"keeper{n}", place) for n, place in enumerate(PLACES, 1)]
        self.office = KeptOffice(os.path.join(self.root, "office"), self.custodians)
        self.runtime = os.path.join(self.root, "run")
        os.mkdir(self.runtime, 0o700)
        self.guard = None

    def tearDown(self):
        if self.guard is not None:
            self.guard.kill(signal.SIGTERM)
            self.guard.finish()
        for custodian in self.custodians:
            custodian.kill()

    def env(self):
        return {"XDG_RUNTIME_DIR": self.runtime}

    def start_guard(self):
        """A guard that is unlocked and listens."""
        self.guard = Running([program(), "guard"], {**self.office.env("anna"), **self.env()}, self.root)
        wait_until(lambda: os.listdir(os.path.join(self.runtime, "casevault"))
                   if os.path.isdir(os.path.join(self.runtime, "casevault")) else None, "the guard's socket")
        self.office.ok("unlock", env=self.env())
        wait_until(self.is_unlocked, "unlocked")

    def is_unlocked(self):
        return self.office.run("case", "list", passphrase=False, env=self.env()).status == DONE

    def standing(self):
        return self.office.run("--json", "order", "status", "--card", self.office.card(1), passphrase=False,
                               env={"CASEVAULT_DIR": ""}).objects()

    def test_lock_ends_the_session(self):
        self.start_guard()
        self.assertEqual(self.office.order("lock", 1).status, DONE)
        wait_until(lambda: not self.is_unlocked(), "locked by the order")
        self.assertEqual(self.office.order("unlock", 2, 3).status, DONE)
        self.office.ok("unlock", env=self.env())
        self.assertTrue(self.is_unlocked())

    def test_the_guard_brings_the_log_to_the_witnesses(self):
        """Nobody types `status`; what custodians have seen grows all the same."""
        office = self.office

        def witnessed():
            return [e for e in office.ok("--json", "custody", "statement").objects() if e.get("action") == "witness"]

        office.ok("add", "C-1", write(office.fresh("more"), "more"))
        before = len(witnessed())
        self.start_guard()
        wait_until(lambda: len(witnessed()) >= before + 3, "witnessed by all three")

    def test_destroy(self):
        office = self.office
        taken = os.path.join(self.root, "taken")
        copy_tree(office.vault, taken)
        self.start_guard()
        self.assertEqual(office.order("destroy", 1, 2).status, DONE)
        guard, self.guard = self.guard, None
        self.assertEqual(guard.finish().status, DESTROYED)
        self.assertEqual(os.listdir(office.vault), ["vault.json"])  # the tombstone
        for folder in (office.vault, taken):
            self.assertEqual(office.run("cat", "C-1/E-1", env={"CASEVAULT_DIR": folder}).status, DESTROYED)
        self.assertIn("reopening-failed", json.dumps(self.standing()))

    def test_no_custodian_destroys_by_itself(self):
        """One card, where two are needed, changes nothing on the machine."""
        self.start_guard()
        self.office.order("destroy", 1)
        self.assertTrue(self.is_unlocked())
        self.assertEqual(self.office.run("cat", "C-1/E-1").status, DONE)


if __name__ == "__main__":
    main()
