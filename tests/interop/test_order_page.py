#!/usr/bin/python3
"""The page /order in real Chromium: what it signs, sends, shows and refuses. Its counterpart here (order_server.py) is
written from the protocol's document, and checks every signature over exactly the bytes that arrived. CASEVAULT_SCREENSHOTS=DIR: leaves pictures there.
"""
import base64
import hashlib
import json
import os
import secrets
import sys
import tempfile
import unittest

try:
    from nacl.signing import SigningKey
    from order_server import Card, OrderServer, canonical, custody_id, now_ms, read
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
from browser import Browser, Driver, require_chromium
from order_page import OrderPage

DAY = 24 * 3600 * 1000
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}


def setUpModule():
    global DRIVER
    DRIVER = Driver()
    unittest.addModuleCleanup(DRIVER.stop)


class PageTest(unittest.TestCase):
    """One vault with two custodians and three cards, a quorum of two, and one window for all tests of a class."""

    LANGUAGE = "en"
    FLAGS = ()

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser(DRIVER, cls.LANGUAGE, cls.FLAGS)
        cls.addClassCleanup(cls.browser.close)
        cls.page = OrderPage(cls.browser)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="casevault-order-")
        self.addCleanup(folder.cleanup)
        self.vault, self.salt, known = secrets.token_hex(16), secrets.token_bytes(16), set()
        self.servers = [OrderServer(folder.name, self.vault, known, 2) for _ in range(2)]
        for server in self.servers:
            self.addCleanup(server.stop)
        self.server = self.servers[0]
        self.cards = [Card(number, self.vault, self.salt, self.servers) for number in (1, 2, 3)]
        known.update(card.name for card in self.cards)
        self.addCleanup(self.browser.open, "about:blank")
        self.addCleanup(self.check_everything_that_left_the_browser)

    def check_everything_that_left_the_browser(self):
        """After every test: nothing went elsewhere, no secret with it, nothing that the policy or the protocol forbids."""
        ours = tuple(f"https://{server.address}/" for server in self.servers)
        for url in self.browser.requests():
            self.assertTrue(url.startswith((*ours, "data:", "about:", "chrome://")), f"a request to {url}")
        complaints = [text for text in self.browser.violations() if "Failed to load resource" not in text]
        self.assertEqual(complaints, [], "the browser complains")
        for server in self.servers:
            self.assertEqual(server.faults, [])
            for method, target, body in server.arrived:
                for trace in (trace for card in self.cards for trace in card.traces()):
                    self.assertNotIn(trace, target.encode() + body, f"a card's secret in {method} {target}")

    def before_the_page(self, script):
        """Runs before the page's own script, in this test alone."""
        added = self.browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)
        self.addCleanup(self.browser.cdp, "Page.removeScriptToEvaluateOnNewDocument", **added)

    # ---- What a person does.

    def open(self, server=None, fragment=""):
        self.page.open((server or self.server).address, fragment)

    def use(self, card, server=None):
        self.page.use((server or self.server).address, card.text)

    def sent(self, server=None):
        """The orders that arrived, as (whole body, statement)."""
        bodies = [json.loads(body) for method, _, body in (server or self.server).arrived if method == "POST"]
        return [(body, json.loads(body["statement"])) for body in bodies]


class OrdersTest(PageTest):
    def test_lock_by_one_card(self):
        self.use(self.cards[0])
        self.assertIn("Card 1 of Бюро & Co", self.browser.text("#held"))
        self.assertEqual(self.browser.run("return document.getElementById('card-text').value"), "")
        begun = now_ms()
        self.page.order("lock", reason="обыск \"09:30\" \\ <b>")
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.assertIn("412", self.browser.text("#result-text"))
        (body, statement), = self.sent()
        self.assertEqual([one["card"] for one in body["signatures"]], [self.cards[0].name])
        self.assertEqual({**statement, "issued": 0, "expires": 0, "nonce": ""},
                         {"expires": 0, "issued": 0, "kind": "order", "nonce": "", "reason": "обыск \"09:30\" \\ <b>",
                          "scope": "vault", "type": "lock", "vault": self.vault})
        self.assertTrue(begun <= statement["issued"] <= now_ms())
        self.assertEqual(statement["expires"] - statement["issued"], 3 * DAY)
        self.browser.wait_for_text("Lock: The whole vault – done by the custodian", "#standing")
        self.assertIn("At this custodian the vault is locked.", self.browser.text("#standing"))

    def test_a_machine_is_confirmed_only_by_its_last_receipt(self):
        self.use(self.cards[0])
        self.page.order("lock")
        self.browser.wait_for_text("Not confirmed on any machine.", "#standing")
        machine = SigningKey.generate()
        for stage, left, words in (("received", [], "not confirmed on the machine yet"),
                                   ("keys-destroyed", ["/media/usb"], "not confirmed on the machine yet"),
                                   ("reopening-failed", ["/media/usb"], "confirmed: it tried to open the vault again")):
            self.server.machine_says(machine, stage, left)
            self.browser.click("#refresh")
            self.browser.wait_for_text(words, "#standing")
        self.assertIn(f"Machine {machine.verify_key.encode().hex()[:8]}", self.browser.text("#standing"))
        self.assertIn("not reached: /media/usb", self.browser.text("#standing"))

    def test_destroy_by_two_cards(self):
        self.use(self.cards[0])
        self.page.choose("destroy", reason="agreed")
        self.browser.wait(lambda: self.browser.is_shown("#confirm-step"), "the second step")
        self.assertFalse(self.browser.run("return document.getElementById('confirm').disabled === false"))
        self.browser.type("#confirm-word", "destro")
        self.assertTrue(self.browser.run("return document.getElementById('confirm').disabled"))
        self.assertEqual(self.sent(), [])
        self.browser.type("#confirm-word", " Destroy ")
        self.page.picture("destroy-confirm")
        self.browser.click("#confirm")
        self.browser.wait_for_text("Waiting: 1 of 2 signatures", "#result-step")
        self.assertEqual(self.server.state, "active")
        self.use(self.cards[1])
        self.browser.wait_for_text("waiting: 1 of 2 signatures", "#standing")
        self.page.order("destroy", reason="other words")
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.assertEqual(self.server.state, "destroyed")
        (_, first), (body, second) = self.sent()
        self.assertEqual(first, second, "the second card signs what the first one signed")
        self.assertEqual({one["card"] for one in body["signatures"]}, {card.name for card in self.cards[:2]})

    def test_the_same_card_twice_is_still_one_signature(self):
        self.use(self.cards[0])
        self.page.order("destroy")
        self.browser.wait_for_text("Waiting: 1 of 2 signatures", "#result-step")
        self.browser.click("#another")
        self.assertNotIn("Add my signature", self.browser.text("#standing"))
        self.page.order("destroy")
        self.browser.wait_for_text("Waiting: 1 of 2 signatures", "#result-step")
        self.assertEqual(len(self.server.orders), 1)

    def test_a_signature_is_added_from_the_list(self):
        self.use(self.cards[0])
        self.page.order("unlock", reason="they called")
        self.browser.wait_for_text("Waiting: 1 of 2 signatures", "#result-step")
        self.use(self.cards[2])
        self.browser.wait_for_text("Add my signature", "#standing")
        self.browser.click("#standing-list button")
        self.browser.wait_for_text("The same order waits here since", "#confirm-step")
        self.assertIn("they called", self.browser.text("#confirm-order"))
        self.browser.click("#confirm")
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")

    def test_an_order_on_a_later_page_is_shown_and_signed(self):
        self.server.page_size = 1
        self.use(self.cards[0])
        self.page.order("destroy")
        self.browser.wait_for_text("Waiting: 1 of 2 signatures", "#result-step")
        self.browser.click("#another")
        self.page.order("unlock", reason="they called")
        self.browser.wait_for_text("Waiting: 1 of 2 signatures", "#result-step")
        self.use(self.cards[2])
        self.browser.wait_for_text("they called", "#standing")
        self.page.order("unlock")
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.assertEqual(len(self.server.orders), 2)

    def test_names_become_ids(self):
        wanted = [("user", "Инга", "Инга"), ("case", "С-3", "C-3"), ("case", "12", "C-12"), ("device", "office pc", "office pc")]
        self.use(self.cards[0])
        for kind, typed, name in wanted:
            scope = f"{kind}:{custody_id(self.salt, kind, name)}"
            self.server.known_ids[scope] = 2
            self.page.order("burn" if kind == "device" else "lock", kind, name=typed)
            self.browser.wait(lambda: self.browser.is_shown("#another"), "an answer")
            self.assertIn(name, self.browser.text("#result-order"))
            self.assertEqual(self.sent()[-1][1]["scope"], scope)
            self.browser.click("#another")
        self.page.choose("lock", "case", name="C-0")
        self.browser.wait_for_text("A case is written C- and a number", "#fault")

    def test_an_order_about_nothing_says_so(self):
        self.server.known_ids[f"user:{custody_id(self.salt, 'user', 'nobody')}"] = 0
        self.use(self.cards[0])
        self.page.order("lock", "user", name="nobody")
        self.browser.wait_for_text("Check how the name is written", "#result-step")


class RefusalTest(PageTest):
    def test_texts_that_are_no_card(self):
        card, other = self.cards[0], self.cards[1]
        line = card.line
        old = Card(1, self.vault, self.salt, self.servers, expires=now_ms() - 1)
        wrong = [("", "This is not a card"), ("casevault-custodian:1/x", "This is not a card"),
                 (line.replace(":1/", ":2/"), "newer kind"), (line[:-9], "not all there"), (line[:60], "not all there"),
                 (line.replace("/e", "/f", 1), "not all there"), (old.text, "This card expired on"),
                 (Card(1, self.vault, self.salt, self.servers, more=1).line, "not all there"),
                 (Card(1, self.vault, self.salt, self.servers, seed="AB" * 32).line, "not all there")]
        self.open()
        for text, says in wrong:
            self.page.paste(text)
            self.browser.wait_for_text(says, "#fault")
            self.assertFalse(self.browser.is_shown("#order-step"), text[:40])
        self.assertEqual([target for _, target, _ in self.server.arrived if target != "/order"], [])
        self.page.paste(f"sent by mail:\r\n{other.line}\r\n-- \r\n")
        self.browser.wait_for_text("Card 2 of", "#held")

    def test_cards_for_other_addresses_ask_which_custodian_this_is(self):
        card = self.cards[0]
        card.changes["custodians"] = [{"address": f"{name}.example:443", "key": server.name, "name": name,
                                       "pin": "00" * 32, "place": "Oslo"}
                                      for name, server in zip(("one", "two"), self.servers)]
        self.open()
        self.page.paste(card.text)
        self.browser.wait_for_text("Which custodian of the card is this one?", "#held")
        self.assertFalse(self.browser.is_shown("#order-step"))
        self.browser.click(f"#here option[value='{self.server.name}']")
        self.browser.wait(lambda: self.browser.is_shown("#order-step"), "the choice of orders")
        self.page.order("lock")
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")

    def test_an_unknown_card_is_refused(self):
        self.server.cards.discard(self.cards[0].name)
        self.use(self.cards[0])
        self.browser.wait_for_text("does not show its orders to this card", "#standing")
        self.page.order("lock")
        self.browser.wait_for_text("The custodian refused", "#result-step")
        self.assertIn("the card is not known to this custodian", self.browser.text("#result-step"))

    def test_an_expired_order_is_refused(self):
        self.use(self.cards[0])
        self.server.clock_ahead = 4 * 24 * 3600  # after the page has taken the time
        self.page.order("lock")
        self.browser.wait_for_text("it expired", "#result-step")

    def test_a_receipt_of_somebody_else_is_not_believed(self):
        self.use(self.cards[0])
        self.server.receipt_key = SigningKey.generate()
        self.page.order("lock")
        self.browser.wait_for_text("The answer cannot be believed", "#result-step")
        self.assertNotIn("has obeyed", self.browser.text("#result-step"))

    def test_the_list_of_orders_must_hold(self):
        machine = SigningKey.generate()
        self.use(self.cards[0])
        self.page.order("lock")
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.server.machine_says(machine, "reopening-failed")
        good = json.loads(canonical({"next": 0, "orders": self.server.standings(), "silence": 0, "state": "locked"}))
        forged = json.loads(canonical(good))
        forged["orders"][0]["receipts"][0]["by"] = "00" * 32
        other = json.loads(canonical(good))
        other["orders"][0]["order"]["statement"] = other["orders"][0]["order"]["statement"].replace('"lock"', '"open"')
        for value in (canonical(forged), canonical(other), canonical(good)[:-1], canonical({**good, "x": 1}), "[]"):
            self.server.shown_instead = value
            self.browser.click("#refresh")
            self.browser.wait_for_text("What came is not as it should be", "#fault")
            self.assertNotIn("confirmed: it tried", self.browser.text("#standing"))

    def test_a_wrong_clock_is_put_right_by_the_custodian(self):
        self.server.clock_ahead = 40 * 24 * 3600
        self.use(self.cards[0])
        self.browser.wait_for_text("the vault is active", "#standing")
        self.page.order("lock")
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.assertLess(abs(self.sent()[0][1]["issued"] - self.server.clock_ms()), 60_000)

    def test_a_browser_without_ed25519_says_so_and_does_nothing(self):
        self.before_the_page("""
            if (crypto.subtle) crypto.subtle.importKey = () => Promise.reject(new DOMException('no', 'NotSupportedError'));""")
        self.open()
        self.browser.wait_for_text("This browser cannot sign with Ed25519", "#unable")
        self.assertFalse(self.browser.is_shown("#card-step"))
        self.browser.click("#language")
        self.browser.wait_for_text("не умеет подписывать", "#unable")


class NetworkTest(PageTest):
    def offline(self, is_offline):
        self.browser.cdp("Network.emulateNetworkConditions", offline=is_offline, latency=0, downloadThroughput=-1,
                         uploadThroughput=-1)

    def test_without_a_network_the_signed_order_is_kept_and_sent_later(self):
        self.use(self.cards[0])
        self.addCleanup(self.offline, False)
        self.offline(True)
        self.browser.wait_for_text("There is no network", "#offline")
        self.page.order("lock", reason="no network")
        self.browser.wait_for_text("Not sent yet", "#result-step")
        self.assertEqual(self.sent(), [])
        self.offline(False)
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.assertEqual(len(self.server.orders), 1)

    def test_a_custodian_that_is_busy_is_asked_again_with_the_same_order(self):
        self.use(self.cards[0])
        self.server.answer_instead = self.server.refuse(503, "busy")
        self.page.order("lock")
        self.browser.wait_for_text("Not sent yet", "#result-step")
        self.server.answer_instead = None
        self.browser.click("#retry")
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.assertEqual(self.sent()[0], self.sent()[-1])

    def test_the_order_is_carried_to_the_other_custodian_without_the_card(self):
        self.use(self.cards[0])
        self.page.order("lock", reason="обыск")
        self.browser.wait_for_text("Now the other custodians", "#result-step")
        link = self.browser.run("return document.querySelector('#others-list a').href")
        other = self.servers[1]
        self.assertTrue(link.startswith(f"https://{other.address}/order#{other.name}."), link)
        self.open(other, link[link.index("#"):])
        self.browser.wait_for_text("An order was brought here", "#carried")
        self.assertIn("обыск", self.browser.text("#carried"))
        self.assertEqual(self.browser.run("return location.href"), f"https://{other.address}/order")
        self.page.picture("carried")
        self.browser.click("#carried-send")
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.assertEqual(self.sent(other), self.sent())
        self.assertEqual({target for _, target, _ in other.arrived}, {"/order", "/v1/orders"})

    def test_a_carried_order_that_is_not_whole_is_not_offered(self):
        order = base64.urlsafe_b64encode(canonical({"signatures": [], "statement": "{}"}).encode()).decode().rstrip("=")
        for fragment in (f"#{self.server.name}.{order}", f"#{self.server.name}.AAAA"):
            self.open(fragment=fragment)
            self.browser.wait_for_text("an order that is not whole", "#fault")
            self.assertFalse(self.browser.is_shown("#carried"))
        self.open(fragment="#anything")
        self.assertFalse(self.browser.is_shown("#fault"))


class PolicyTest(PageTest):
    def test_the_policy_holds(self):
        """A positive control: what the policy forbids is refused, and the checks after every test would see it."""
        self.open()
        self.browser.run("""
            const script = document.createElement('img');
            script.src = 'https://elsewhere.invalid/x.png';
            document.body.append(script);""")
        seen = self.browser.wait(lambda: [text for text in self.browser.violations() if "Content Security Policy" in text],
                                 "the refusal of an image")
        self.assertIn("elsewhere.invalid", seen[0])
        refused = self.browser.run("""
            return fetch('https://elsewhere.invalid/').then(() => 'went', (error) => error.name);""")
        self.assertEqual(refused, "TypeError")
        self.browser.wait(lambda: self.browser.violations(), "the refusal of a request")
        self.assertFalse(self.browser.run("""
            try { document.body.innerHTML = '<b>x</b>'; return true; } catch { return false; }"""))
        self.assertIn("https://elsewhere.invalid/x.png", self.browser.requests())
        self.browser.violations()

    def test_putting_the_card_away_forgets_it(self):
        self.use(self.cards[0])
        self.browser.click("#put-away")
        self.browser.wait(lambda: self.browser.is_shown("#card-step"), "the card step")
        self.assertTrue(self.browser.run("return state.card === null && state.standing === null"))
        self.assertEqual(self.browser.run("return [localStorage.length, sessionStorage.length, document.cookie]"), [0, 0, ""])

    def test_the_key_of_a_card_cannot_be_read_out(self):
        self.use(self.cards[0])
        self.assertEqual(self.browser.run("""
            return crypto.subtle.exportKey('pkcs8', state.card.key).then(() => 'read', (error) => error.name);"""),
            "InvalidAccessError")
        self.assertFalse(self.browser.run("return 'seed' in state.card"))


class WordsTest(PageTest):
    def test_every_word_is_there_in_both_languages_and_used(self):
        self.open()
        words = self.browser.run("return words")
        page = read("order.html") + read("order.js") + read("protocol.js")
        for key, texts in words.items():
            self.assertEqual([bool(text) for text in texts], [True, True], key)
            self.assertEqual(texts[0].count("{}"), texts[1].count("{}"), key)
        used = self.browser.run("return Array.from(document.querySelectorAll('[data-say]'), (node) => node.dataset.say)")
        self.assertEqual([key for key in used if key not in words], [])
        built = ("type-", "confirm-", "name-", "result-", "standing-", "stage-", "a-", "refused-", "scope-")
        unused = [key for key in words if f'"{key}"' not in page and f"'{key}'" not in page and not key.startswith(built)]
        self.assertEqual(unused, [])

    def test_the_language_can_be_changed_at_any_step(self):
        self.use(self.cards[0])
        self.browser.click("#language")
        self.browser.wait_for_text("Приказы хранителю", "h1")
        self.page.choose("destroy")
        self.browser.wait_for_text("Уничтожить навсегда?", "#confirm-step")
        self.browser.type("#confirm-word", "Уничтожить")
        self.browser.click("#confirm")
        self.browser.wait_for_text("Ждёт: подписей 1 из 2", "#result-step")
        self.browser.click("#language")
        self.browser.wait_for_text("Waiting: 1 of 2 signatures", "#result-step")


class RussianTest(PageTest):
    LANGUAGE = "ru"

    def test_a_russian_browser_gets_russian(self):
        self.use(self.cards[0])
        self.assertEqual(self.browser.run("return document.documentElement.lang"), "ru")
        self.page.order("lock", reason="обыск")
        self.browser.wait_for_text("Хранитель исполнил приказ", "#result-step")
        self.assertNotRegex(self.browser.text("main").replace("Co", "").replace("UTC", "").replace("Oslo", ""),
                            r"\b(?!https|order)[a-z]{4,}\b")


class PhoneTest(PageTest):
    FLAGS = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")

    def check_width(self):
        self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), PHONE["width"])

    def test_fits_a_phone_at_every_step(self):
        self.browser.cdp("Emulation.setDeviceMetricsOverride", **PHONE)
        self.addCleanup(self.browser.cdp, "Emulation.clearDeviceMetricsOverride")
        self.open()
        self.check_width()
        self.page.picture("phone-card")
        self.use(self.cards[0])
        self.check_width()
        self.page.picture("phone-order")
        self.page.order("lock", reason="x" * 200)
        self.browser.wait_for_text("done by the custodian", "#standing")
        self.check_width()
        self.page.picture("phone-result")

    def test_a_card_is_scanned_where_the_browser_can(self):
        """The camera is Chromium's own imitation; reading codes out of it is not in Chromium on Linux, so that is ours."""
        self.before_the_page("""
            window.BarcodeDetector = class {
              static getSupportedFormats() { return Promise.resolve(['qr_code']); }
              detect(video) { return Promise.resolve(video.videoWidth > 0 ? window.codes ?? [] : []); }
            };""")
        self.open()
        self.browser.wait(lambda: self.browser.is_shown("#card-scan"), "the button")
        self.browser.click("#card-scan")
        self.browser.wait(lambda: self.browser.is_shown("#camera"), "the camera")
        self.browser.run("window.codes = [{rawValue: 'https://elsewhere.example/'}, {rawValue: arguments[0]}]",
                         self.cards[1].line)
        self.browser.wait_for_text("Card 2 of", "#held")
        self.assertTrue(self.browser.run("return document.getElementById('camera').srcObject === null"))

    def test_without_a_reader_of_codes_there_is_no_button(self):
        self.open()
        self.assertFalse(self.browser.is_shown("#card-scan"))


class FunctionsTest(PageTest):
    def test_blake2b(self):
        self.open()
        messages = [secrets.token_bytes(size) for size in [*range(0, 260, 3), 127, 128, 129, 255, 256, 257, 5000]]
        found = self.browser.run("""
            return arguments[0].map((hex) => [16, 32, 64].map((size) => toHex(blake2b(fromHex(hex), size))));""",
            [message.hex() for message in messages])
        self.assertEqual(found, [[hashlib.blake2b(message, digest_size=size).hexdigest() for size in (16, 32, 64)]
                                 for message in messages])
        # RFC 7693, appendix A.
        self.assertEqual(self.browser.run("return toHex(blake2b(utf8.encode('abc'), 64))"),
                         "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
                         "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923")

    def test_canonical_json(self):
        self.open()
        values = [{"b": [1, {"д": "\u007f\u2028\"\\/\b\f\n\r\t\u0001"}], "a": None, "z": True}, {}, [], "😀", 2**53 - 1]
        self.assertEqual(self.browser.run("return arguments[0].map(canonical)", values), [canonical(v) for v in values])


if __name__ == "__main__":
    require_chromium()
    unittest.main()
