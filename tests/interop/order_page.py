"""What a person does on the page /order."""
import base64
import os


class OrderPage:
    def __init__(self, browser):
        self.browser = browser

    def open(self, address, fragment=""):
        self.browser.open("about:blank")  # so that an address with another fragment is a new page
        self.browser.open(f"https://{address}/order{fragment}")
        self.browser.wait(lambda: self.browser.run("return document.querySelector('h1').textContent !== ''"), "the page")

    def paste(self, text):
        self.browser.run("document.getElementById('card-text').value = arguments[0]", text)
        self.browser.click("#card-use")

    def use(self, address, card):
        """Opens the page and takes a card, from its text."""
        self.open(address)
        self.paste(card)
        self.browser.wait(lambda: self.browser.is_shown("#order-step"), "the choice of orders")

    def choose(self, kind, scope="vault", name="", reason=""):
        self.browser.click(f"input[name=type][value={kind}]")
        if kind != "burn":
            self.browser.click(f"input[name=scope][value={scope}]")
        if name:
            self.browser.type("#name", name)
        if reason:
            self.browser.type("#reason", reason)
        self.browser.click("#next")

    def order(self, kind, *arguments, **others):
        self.choose(kind, *arguments, **others)
        self.browser.wait(lambda: self.browser.is_shown("#confirm-step"), "the second step")
        if kind == "destroy":
            self.browser.type("#confirm-word", "destroy")
        self.browser.click("#confirm")

    def picture(self, name):
        """Where somebody wants to see it."""
        if folder := os.environ.get("CASEVAULT_SCREENSHOTS"):
            with open(os.path.join(folder, f"{name}.png"), "wb") as file:
                file.write(base64.b64decode(self.browser.screenshot()))
