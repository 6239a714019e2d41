#!/usr/bin/python3
"""Orders in a whole office: real custodians, cards as `custody enroll` prints them, given on the page in Chromium and by
`order issue`, mixed. CASEVAULT_SCREENSHOTS=DIR: leaves pictures there."""
import base64
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "faults"))
try:
    import nacl  # noqa: F401, custodians' tests need it
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
from browser import Browser, Driver, require_chromium  # noqa: E402
from custodians import Custodian, KeptOffice  # noqa: E402
from harness import DONE, FaultTest, main, scratch  # noqa: E402
from order_page import OrderPage  # noqa: E402

REFUSED, DESTROYED = 17, 19


class OrdersEverywhereTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.driver = Driver()
        cls.addClassCleanup(cls.driver.stop)

    def setUp(self):
        self.root = scratch("orders")
        self.custodians = [Custodian(self.root, f"keeper{n}", place) for n, place in
                           enumerate(("Georgia", "Iceland", "Portugal"), 1)]
        for custodian in self.custodians:
            self.addCleanup(custodian.kill)
        self.office = KeptOffice(os.path.join(self.root, "office"), self.custodians)
        self.browser = Browser(self.driver)
        self.addCleanup(self.browser.close)
        self.page = OrderPage(self.browser)

    def use(self, number, custodian=0):
        with open(self.office.card(number), encoding="utf-8") as file:
            self.page.use(self.custodians[custodian].identity["address"], file.read())

    def carry(self, number, custodian):
        """Follows a link of the page with the order to another custodian, and sends it there."""
        link = self.browser.run("return document.querySelectorAll('#others-list a')[arguments[0]].href", number)
        self.page.open(self.custodians[custodian].identity["address"], link[link.index("#"):])
        self.browser.wait_for_text("An order was brought here", "#carried")
        self.browser.click("#carried-send")

    def status(self):
        """Of the office, for whoever sits in it."""
        return self.office.run("cat", "C-1/E-1").status

    def test_lock_on_the_page_and_unlock_by_page_and_program(self):
        self.use(1)
        self.page.order("lock", reason="обыск")
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.browser.wait_for_text("At this custodian the vault is locked.", "#standing")
        self.page.picture("real-lock")
        self.carry(0, 1)
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.assertEqual(self.status(), REFUSED)
        self.use(2)
        self.browser.wait_for_text("Lock: The whole vault – done by the custodian", "#standing")
        self.page.order("unlock", reason="all is well")
        self.browser.wait_for_text("Waiting: 1 of 2 signatures", "#result-step")
        done = self.office.order("unlock", 3, options=("--json",))
        self.assertEqual([line["state"] for line in done.objects()], ["done"] * 3, str(done))
        self.assertEqual(self.status(), DONE)

    def test_destroy_by_program_and_page(self):
        self.assertEqual(self.office.order("destroy", 1).status, DONE)
        for custodian in range(3):
            self.use(2, custodian)
            self.browser.wait_for_text("waiting: 1 of 2 signatures", "#standing")
            self.page.order("destroy")
            self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.page.picture("real-destroy")
        self.assertEqual(self.status(), DESTROYED)
        self.browser.click("#refresh")
        self.browser.wait_for_text("At this custodian the vault is destroyed.", "#standing")
        self.browser.click("#another")
        self.page.order("lock")
        self.browser.wait_for_text("The custodian refused", "#result-step")

    def test_one_case_and_one_user(self):
        self.use(1)
        self.page.order("lock", "case", name="1")
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.assertNotIn("Check how the name is written", self.browser.text("#result-step"))
        self.carry(0, 1)
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.assertEqual(self.status(), REFUSED)
        self.assertEqual(self.office.run("case", "list").status, DONE)
        self.use(1)
        self.page.order("lock", "user", name="anna")
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.carry(1, 2)
        self.browser.wait_for_text("The custodian has obeyed", "#result-step")
        self.assertEqual(self.office.run("case", "list").status, REFUSED)

    def test_a_name_that_is_not_there_is_refused_or_said(self):
        self.use(1)
        self.page.order("lock", "user", name="nobody at all")
        self.browser.wait(lambda: "Check how the name is written" in self.browser.text("#result-step")
                          or "the name is unknown" in self.browser.text("#result-step"), "that there is none")

    def test_a_card_prints_on_one_page(self):
        self.browser.open(f"file://{self.office.card(1)[:-4]}.html")
        self.page.picture("card")
        pdf = base64.b64decode(self.browser.cdp("Page.printToPDF", preferCSSPageSize=True)["data"])
        if folder := os.environ.get("CASEVAULT_SCREENSHOTS"):
            with open(os.path.join(folder, "card.pdf"), "wb") as file:
                file.write(pdf)
        self.assertEqual(pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page "), 1)
        self.assertEqual([url for url in self.browser.requests() if not url.startswith(("file:", "data:", "chrome"))], [])
        self.assertEqual(self.browser.violations(), [])


if __name__ == "__main__":
    require_chromium()
    main()
