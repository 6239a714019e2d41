#!/usr/bin/python3
"""`order issue` and `order status` of the real program, without any vault, against custodians written from the protocol's
document (order_server.py), which check every signature over exactly the bytes that arrived. Cards are made here, too."""
import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import unittest

try:
    from nacl.signing import SigningKey
    from order_server import Card, OrderServer, canonical, custody_id, make_certificate, now_ms
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAM = os.environ.get("CASEVAULT_TEST")
DONE, USAGE, PARTIAL, REFUSED, UNREACHED = 0, 2, 3, 17, 18


class OrdersTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="casevault-orders-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.vault, self.salt, known = secrets.token_hex(16), secrets.token_bytes(16), set()
        self.servers = [OrderServer(self.folder, self.vault, known, 2) for _ in range(3)]
        for server in self.servers:
            self.addCleanup(server.stop)
        self.cards = [Card(number, self.vault, self.salt, self.servers) for number in (1, 2, 3)]
        known.update(card.name for card in self.cards)
        self.files = [self.write(f"card-{card.number}.txt", card.text) for card in self.cards]
        self.addCleanup(self.check_what_arrived)

    def check_what_arrived(self):
        for server in self.servers:
            self.assertEqual(server.faults, [])
            for _, target, body in server.arrived:
                for trace in (trace for card in self.cards for trace in card.traces()):
                    self.assertNotIn(trace, target.encode() + body, "a card's secret")

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run_program(self, status, *arguments, stdin=""):
        done = subprocess.run([PROGRAM, *arguments], input=stdin, capture_output=True, text=True, check=False,
                              env={"HOME": self.folder, "LANG": "C.UTF-8"}, cwd=self.folder)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        for card in self.cards:
            self.assertNotIn(card.seed.hex(), done.stdout + done.stderr)
        return done

    def issue(self, status, kind, card, *options, **others):
        return self.run_program(status, "order", "issue", kind, "--card", self.files[card], "--yes", *options, **others)

    def bodies(self, server):
        return [json.loads(body) for method, _, body in server.arrived if method == "POST"]

    def stop(self, server):
        server.stop()
        server.stop = lambda: None

    # ---- Lock.

    def test_lock_by_one_card_at_all_custodians(self):
        done = self.issue(DONE, "lock", 0, "--reason", "обыск \"09:30\"")
        self.assertEqual(done.stdout.count("412 keys or machines"), 3)
        self.assertIn("not confirmed on the machine yet", done.stderr)
        bodies = [self.bodies(server) for server in self.servers]
        self.assertEqual(bodies[0], bodies[1], "one order goes to all unchanged")
        statement = json.loads(bodies[0][0]["statement"])
        self.assertEqual((statement["type"], statement["scope"], statement["reason"]), ("lock", "vault", "обыск \"09:30\""))
        self.assertEqual([server.state for server in self.servers], ["locked"] * 3)

    def test_a_card_from_standard_input(self):
        self.run_program(DONE, "order", "issue", "lock", "--card", "-", stdin=self.cards[0].line)

    def test_json(self):
        done = self.issue(DONE, "lock", 0, "--json")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        order = hashlib.sha256(self.bodies(self.servers[0])[0]["statement"].encode()).hexdigest()
        self.assertEqual([(line["order"], line["state"], line["affected"], line["place"]) for line in lines],
                         [(order, "done", 412, "Oslo")] * 3)

    def test_names_become_ids(self):
        names = {"--user": ("user", "Инга", "Инга"), "--case": ("case", "C-3", "C-3"), "--device": ("device", "pc", "pc")}
        for option, (kind, typed, name) in names.items():
            scope = f"{kind}:{custody_id(self.salt, kind, name)}"
            for server in self.servers:
                server.known_ids[scope] = 2
            self.issue(DONE, "burn" if kind == "device" else "lock", 0, option, typed)
            self.assertEqual(json.loads(self.bodies(self.servers[0])[-1]["statement"])["scope"], scope)

    def test_an_order_about_nothing_says_so(self):
        for server in self.servers:
            server.known_ids[f"user:{custody_id(self.salt, 'user', 'nobody')}"] = 0
        self.assertIn("check how it is written", self.issue(DONE, "lock", 0, "--user", "nobody").stdout)

    # ---- What takes several cards.

    def test_destroy_by_two_cards_in_different_places(self):
        done = self.issue(DONE, "destroy", 0, "--reason", "agreed")
        self.assertEqual(done.stdout.count("waiting: 1 of 2 signatures"), 3)
        self.assertIn("the holders of other cards can add their signatures", done.stderr)
        done = self.issue(DONE, "destroy", 1, "--reason", "other words")
        self.assertEqual(done.stdout.count("done on"), 3)
        for server in self.servers:
            self.assertEqual(server.state, "destroyed")
            self.assertEqual(len(server.orders), 1, "the second card signs what the first one signed")

    def test_destroy_by_two_cards_in_one_place(self):
        self.issue(DONE, "destroy", 0, "--card", self.files[1])
        self.assertEqual([server.state for server in self.servers], ["destroyed"] * 3)

    def test_a_custodian_that_missed_the_first_signature_gets_both(self):
        self.servers[2].answer_instead = self.servers[2].refuse(503, "busy")
        self.issue(PARTIAL, "unlock", 0)
        self.servers[2].answer_instead = None
        self.issue(DONE, "unlock", 2)
        self.assertEqual([len(body["signatures"]) for body in self.bodies(self.servers[2])][-1], 2)
        self.assertEqual([list(server.orders.values())[-1]["done"] > 0 for server in self.servers], [True] * 3)

    def test_the_same_card_twice_is_one_signature(self):
        self.issue(DONE, "destroy", 0, "--card", self.files[0])
        done = self.issue(DONE, "destroy", 0)
        self.assertIn("waiting: 1 of 2 signatures", done.stdout)
        self.assertEqual(len(self.servers[0].orders), 1)

    def test_what_cannot_be_undone_is_asked_about(self):
        for kind in ("destroy", "unlock"):
            done = self.run_program(USAGE, "order", "issue", kind, "--card", self.files[0])
            self.assertIn("nothing was signed or sent", done.stderr)
        self.run_program(USAGE, "order", "issue", "burn", "--card", self.files[0], "--device", "pc")
        self.run_program(DONE, "order", "issue", "lock", "--card", self.files[0])
        self.assertEqual([self.bodies(server)[0]["statement"].count('"lock"') for server in self.servers], [1] * 3)

    # ---- What goes wrong.

    def test_custodians_that_are_not_reached_are_named(self):
        self.stop(self.servers[1])
        done = self.issue(PARTIAL, "lock", 0)
        self.assertRegex(done.stdout, "Хранитель 2 +Oslo +not reached: ")
        for server in (self.servers[0], self.servers[2]):
            self.stop(server)
        done = self.issue(UNREACHED, "lock", 0)
        self.assertIn("no custodian took the order", done.stderr)

    def test_refusals_have_their_own_status(self):
        self.servers[0].cards.clear()
        done = self.issue(REFUSED, "lock", 0)
        self.assertIn("refused", done.stderr)
        done = self.run_program(REFUSED, "order", "status", "--card", self.files[0])
        self.assertIn("Хранитель 1", done.stderr)

    def test_one_that_refuses_does_not_undo_the_others(self):
        self.servers[0].vault = secrets.token_hex(16)
        done = self.issue(PARTIAL, "lock", 0)
        self.assertRegex(done.stdout, "Хранитель 1 +Oslo +refused: ")
        self.assertEqual([server.state for server in self.servers], ["active", "locked", "locked"])

    def test_somebody_else_at_the_address_is_sent_nothing(self):
        self.servers[0].pin = make_certificate(self.folder)[1]
        card = self.write("moved.txt", self.cards[0].text)
        done = self.run_program(PARTIAL, "order", "issue", "lock", "--card", card)
        self.assertIn("somebody else answers where Хранитель 1 should", done.stderr)
        self.assertEqual(self.servers[0].arrived, [])

    def test_a_receipt_of_somebody_else_is_not_believed(self):
        self.servers[0].receipt_key = SigningKey.generate()
        done = self.issue(PARTIAL, "lock", 0)
        self.assertRegex(done.stdout, "Хранитель 1 +Oslo +not reached: it gives nonsense")

    def test_a_wrong_clock_is_put_right_for_requests(self):
        for server in self.servers:
            server.clock_ahead = 3600
        self.run_program(DONE, "order", "status", "--card", self.files[0])

    def test_texts_that_are_no_card(self):
        card = self.cards[0]
        old = Card(1, self.vault, self.salt, self.servers, expires=now_ms() - 1)
        other = Card(1, secrets.token_hex(16), self.salt, self.servers)
        for text, says in (("", "this is not a card"), (card.line[:-5], "not all there"), (old.text, "this card expired"),
                           (card.line.replace(":1/", ":2/"), "newer kind"), ("x" * 70_000, "longer than a card")):
            done = self.run_program(USAGE, "order", "issue", "lock", "--card", self.write("wrong.txt", text))
            self.assertIn(says, done.stderr)
        done = self.issue(USAGE, "lock", 0, "--card", self.write("other.txt", other.text))
        self.assertIn("different vaults", done.stderr)
        self.assertEqual([server.arrived for server in self.servers], [[], [], []])

    def test_wrong_usage(self):
        for arguments in (("open",), ("lock", "--device", "pc"), ("burn",), ("lock", "--user", "a", "--case", "C-1"),
                          ("lock", "--case", "3"), ("lock", "--reason", "x" * 501)):
            self.run_program(USAGE, "order", "issue", *arguments, "--card", self.files[0], "--yes")
        self.run_program(USAGE, "order", "issue", "lock")
        self.assertEqual([server.arrived for server in self.servers], [[], [], []])

    # ---- Who has obeyed.

    def test_status(self):
        done = self.run_program(DONE, "order", "status", "--card", self.files[0])
        self.assertIn("there are no orders", done.stderr)
        self.issue(DONE, "lock", 0, "--reason", "обыск")
        self.issue(DONE, "destroy", 1)
        done = self.run_program(DONE, "order", "status", "--card", self.files[2])
        self.assertRegex(done.stdout, "lock +vault +.* +done at 3 of 3 +not confirmed on any machine +обыск")
        self.assertRegex(done.stdout, "destroy +vault +.* +waiting: 1 of 2 signatures")

    def test_a_machine_is_confirmed_only_by_its_last_receipt(self):
        self.issue(DONE, "lock", 0)
        machine = SigningKey.generate()
        name = machine.verify_key.encode().hex()
        for server, stage, words in ((0, "received", "received, not confirmed"), (1, "keys-destroyed", "keys gone, not "),
                                     (0, "reopening-failed", "confirmed 20")):
            self.servers[server].machine_says(machine, stage, ["/media/usb"])
            done = self.run_program(DONE, "order", "status", "--card", self.files[0])
            self.assertIn(f"{name[:8]} {words}", done.stdout)
            self.assertIn("says: /media/usb", done.stderr)
        done = self.run_program(DONE, "order", "status", "--card", self.files[0], "--json")
        orders = [json.loads(line) for line in done.stdout.splitlines() if "machines" in line]
        self.assertEqual([(m["device"], m["confirmed"], m["not_reached"]) for m in orders[0]["machines"]],
                         [(name, True, ["/media/usb"])])

    def test_a_list_in_pages(self):
        for server in self.servers:
            server.page_size = 1
        self.issue(DONE, "destroy", 0)
        self.issue(DONE, "unlock", 0)
        self.issue(DONE, "lock", 1)
        done = self.run_program(DONE, "--json", "order", "status", "--card", self.files[2])
        types = [json.loads(line)["type"] for line in done.stdout.splitlines() if "machines" in line]
        self.assertEqual(sorted(types), ["destroy", "lock", "unlock"])
        done = self.issue(DONE, "unlock", 2)
        self.assertIn("done", done.stdout)
        self.assertNotIn("waiting", done.stdout)

    def test_a_list_with_a_forged_receipt_is_nonsense(self):
        self.issue(DONE, "lock", 0)
        self.servers[0].machine_says(SigningKey.generate(), "reopening-failed")
        value = json.loads(canonical({"next": 0, "orders": self.servers[0].standings(), "state": "locked"}))
        value["orders"][0]["receipts"][0]["by"] = "00" * 32
        self.servers[0].shown_instead = canonical(value)
        done = self.run_program(PARTIAL, "order", "status", "--card", self.files[0])
        self.assertIn("not confirmed on any machine", done.stdout)


if __name__ == "__main__":
    if not PROGRAM:
        print("skipped: CASEVAULT_TEST does not name the program")
        sys.exit(77)
    unittest.main()
