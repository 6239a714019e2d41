"""A raid, all of it in real processes: a guard that listens to three custodians, orders by cards from elsewhere, and
what is left on the machine and of a copy of its disk."""
import base64
import json
import os
import signal
import time

from nacl.signing import SigningKey

from custodians import Custodian, KeptOffice
from custody_client import b64, canonical, nonce, now_ms, public, sign
from harness import (DESTROYED, DONE, PATIENCE, UNDER_STRACE, FaultTest, Running, copy_tree, files_of, has_strace, main,
                     program, read, scratch, strace, write)
from liar import Liar

DAY = 86_400_000  # milliseconds
PLACES = ("Georgia", "Iceland", "Portugal")


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.002)
    return value


class RaidedOffice(FaultTest):
    def make_custodians(self):
        return [Custodian(self.root, f"keeper{n}", place) for n, place in enumerate(PLACES, 1)]

    def setUp(self):
        self.root = scratch("raid")
        self.custodians = self.make_custodians()
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


class RaidTest(RaidedOffice):
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

    def test_a_guard_obeys_new_cards(self):
        """One that runs since before they were made."""
        office = self.office
        self.start_guard()
        office.cards = office.fresh("cards")
        office.ok("custody", "enroll", *[c.invitation() for c in self.custodians], "--threshold", "2", "--cards", "1",
                  "--quorum", "1", "--out", office.cards)
        self.assertEqual(office.order("destroy", 1).status, DONE)
        guard, self.guard = self.guard, None
        self.assertEqual(guard.finish().status, DESTROYED)
        self.assertEqual(os.listdir(office.vault), ["vault.json"])

    def test_under_a_guard_custodians_are_brought_what_they_missed(self):
        self.start_guard()
        self.custodians[1].kill()
        self.office.ok("case", "new", "made while keeper2 is away", passphrase=False, env=self.env())
        self.custodians[1].start()
        self.assertTrue(self.is_unlocked())
        self.custodians[0].kill()
        self.office.ok("list", "C-2", passphrase=False, env=self.env())

    def test_destroy(self):
        office = self.office
        taken, taken_home = os.path.join(self.root, "taken"), os.path.join(self.root, "taken-home")
        copy_tree(office.vault, taken)
        copy_tree(office.home, taken_home)
        self.start_guard()
        self.assertEqual(office.order("destroy", 1, 2).status, DONE)
        guard, self.guard = self.guard, None
        self.assertEqual(guard.finish().status, DESTROYED)
        self.assertEqual(os.listdir(office.vault), ["vault.json"])  # the tombstone
        for folder, home in ((office.vault, office.home), (taken, taken_home)):
            after = office.run("cat", "C-1/E-1", env={"CASEVAULT_DIR": folder, "HOME": home})
            self.assertEqual(after.status, DESTROYED, str(after))
        self.assertIn("reopening-failed", json.dumps(self.standing()))
        self.assertEqual(files_of(office.home), [], "the key of this machine, once the receipts were sent")

    def test_no_custodian_destroys_by_itself(self):
        """One card, where two are needed, changes nothing on the machine."""
        self.start_guard()
        self.office.order("destroy", 1)
        self.assertTrue(self.is_unlocked())
        self.assertEqual(self.office.run("cat", "C-1/E-1").status, DONE)

    def test_panic_takes_the_key_of_this_machine(self):
        office = self.office
        self.assertEqual([os.path.basename(name) for name in files_of(office.home)], ["device"])
        office.ok("panic", "--destroy", "--yes", passphrase=False)
        self.assertEqual(files_of(office.home), [])

    def test_an_interrupted_destruction_takes_it_at_the_end(self):
        if not has_strace():
            self.skipTest("needs strace")
        office = self.office
        inject = ["-e", "inject=unlinkat:signal=KILL:when=2"]
        killed = office.run("panic", "--destroy", "--yes", passphrase=False, may_be_killed=True, env=UNDER_STRACE,
                            under=strace(office.fresh("strace"), *inject))
        self.assertEqual(killed.status, -signal.SIGKILL)
        self.assertIn("keys destroyed", killed.text)
        self.assertEqual(sorted(map(os.path.basename, files_of(office.home))), ["condemned", "device"])
        self.assertEqual(office.run("status").status, DESTROYED)
        self.assertEqual(os.listdir(office.vault), ["vault.json"])
        self.assertEqual(files_of(office.home), [])

    def test_a_mark_elsewhere_takes_no_key(self):
        """A folder that was prepared, with a mark that names this vault: what is in it goes, and nothing else."""
        folder = os.path.join(self.root, "usb")
        slots = os.stat(write(os.path.join(folder, "slots"), "x"))
        vault = json.loads(read(os.path.join(self.office.vault, "vault.json")))["vault"]
        write(os.path.join(folder, "vault.json"), canonical(
            {"casevault": "destroyed", "device": slots.st_dev, "finished": False, "inode": slots.st_ino, "order": "",
             "time": 1, "vault": vault}) + "\n")
        self.assertEqual(self.office.run("status", "--vault", folder).status, DESTROYED)
        self.assertEqual(os.listdir(folder), ["vault.json"])
        self.assertEqual(self.office.run("cat", "C-1/E-1").status, DONE)


class LiarTest(RaidedOffice):
    """Two of the three custodians say to the guard whatever they like; two are needed to open anything."""

    def make_custodians(self):
        honest = Custodian(self.root, "keeper1", PLACES[0])
        self.liars = [Liar(self.root, f"liar{n}", PLACES[n]) for n in (1, 2)]
        return [honest, *self.liars]

    def destroy_order(self, issued):
        """Signed by two cards, and taken by nobody."""
        cards = [self.card_of(number) for number in (1, 2)]
        text = canonical({"expires": issued + 3 * DAY, "issued": issued, "kind": "order", "nonce": nonce(), "reason": "",
                          "scope": "vault", "type": "destroy", "vault": cards[0]["vault"]})
        keys = [SigningKey(bytes.fromhex(card["seed"])) for card in cards]
        signatures = [{"card": public(key), "signature": b64(sign(key, "casevault/v1/order", text))} for key in keys]
        return {"signatures": sorted(signatures, key=lambda signature: signature["card"]), "statement": text}

    def card_of(self, number):
        lines = read(self.office.card(number)).decode().splitlines()
        encoded = next(line for line in lines if line.startswith("casevault-card:1/")).split("/", 1)[1]
        return json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))

    def wait_for_polls(self, liar, count=2):
        """What it said before the first of these has been weighed by then."""
        before = liar.polls
        wait_until(lambda: liar.polls >= before + count, "polls of a liar")

    def wait_for_destruction(self):
        guard, self.guard = self.guard, None
        self.assertEqual(guard.finish().status, DESTROYED)
        self.assertEqual(os.listdir(self.office.vault), ["vault.json"])

    def test_a_refusal_of_one_locks_nothing(self):
        self.start_guard()
        for word in ("locked", "destroyed"):
            self.liars[0].refusal = word
            self.wait_for_polls(self.liars[0])
            self.assertTrue(self.is_unlocked(), word)
        self.liars[1].refusal = "locked"
        wait_until(lambda: not self.is_unlocked(), "locked, because too few are left to open it")

    def test_an_expired_order_of_one_destroys_nothing(self):
        self.start_guard()
        self.liars[0].orders = [self.destroy_order(now_ms() - 700 * DAY)]
        wait_until(lambda: not self.is_unlocked(), "locked, to be on the safe side")
        self.office.ok("unlock", env=self.env())
        self.liars[0].orders *= 2  # the same again
        self.wait_for_polls(self.liars[0])
        self.assertTrue(self.is_unlocked())
        self.office.check_clean()

    def test_an_expired_order_of_a_threshold_destroys(self):
        """As where the clock of the office is wrong."""
        self.start_guard()
        order = self.destroy_order(now_ms() - 700 * DAY)
        self.liars[0].orders = [order]
        wait_until(lambda: not self.is_unlocked(), "locked at once")
        self.liars[1].orders = [order]
        self.wait_for_destruction()
        self.assertEqual(self.liars[0].stages, ["received", "keys-destroyed", "reopening-failed"])

    def test_a_guard_in_the_background_waits_for_the_threshold(self):
        self.office.ok("unlock", env=self.env())
        self.addCleanup(lambda: self.office.run("panic", passphrase=False, env=self.env()))
        wait_until(self.is_unlocked, "unlocked")
        order = self.destroy_order(now_ms() - 700 * DAY)
        self.liars[0].orders = [order]
        wait_until(lambda: not self.is_unlocked(), "locked at once")
        self.liars[1].orders = [order]
        wait_until(lambda: os.listdir(self.office.vault) == ["vault.json"], "destroyed")

    def test_an_order_in_force_needs_one(self):
        self.start_guard()
        self.liars[0].orders = [self.destroy_order(now_ms())]
        self.wait_for_destruction()


if __name__ == "__main__":
    main()
