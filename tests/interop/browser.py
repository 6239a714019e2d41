"""Chromium without a window, driven by the W3C WebDriver protocol: nothing but Python's own library and chromedriver."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver's name for a reference to an element
PATIENCE = 60  # seconds until something that must happen is given up

FLAGS = ["--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions",
         "--disable-dev-shm-usage", "--no-proxy-server"]


class BrowserError(Exception):
    """What chromedriver answered instead of a value."""


def require_chromium():
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            print(f"skipped: {program} is not installed")
            sys.exit(77)


class Driver:
    """One chromedriver, on a port that it chooses."""

    def __init__(self):
        self.log = tempfile.NamedTemporaryFile(prefix="chromedriver-", suffix=".log")
        self.process = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.url = None
        for line in self.process.stdout:
            if "started successfully on port" in line:
                port = "".join(c for c in line.rsplit("port", 1)[1] if c.isdigit())
                self.url = f"http://127.0.0.1:{port}"
                break
        if not self.url:
            raise BrowserError("chromedriver did not start")

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserError(error.read().decode(errors="replace")[:500]) from None

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


class Browser:
    """One window with a profile of its own. `flags`: more arguments for Chromium."""

    def __init__(self, driver, language="en", flags=()):
        self.driver = driver
        self.profile = tempfile.TemporaryDirectory(prefix="casevault-chromium-", ignore_cleanup_errors=True)
        arguments = [*FLAGS, f"--user-data-dir={self.profile.name}", f"--lang={language}",
                     f"--accept-lang={language}", *flags]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        capabilities = {"browserName": "chrome", "acceptInsecureCerts": True,
                        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
                        "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": arguments}}
        self.path = "/session/" + driver.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})["sessionId"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.driver.call("DELETE", self.path)
        self.profile.cleanup()

    def post(self, path, **body):
        return self.driver.call("POST", self.path + path, body)

    def open(self, url):
        self.post("/url", url=url)

    def run(self, script, *arguments):
        """What a function body returns in the page; a promise is waited for."""
        return self.post("/execute/sync", script=script, args=list(arguments))

    def cdp(self, command, **parameters):
        return self.post("/goog/cdp/execute", cmd=command, params=parameters)

    def log(self, kind):
        """Entries since the last call."""
        return self.post("/se/log", type=kind)

    def find(self, css):
        return self.post("/element", using="css selector", value=css)[ELEMENT]

    def click(self, css):
        self.post(f"/element/{self.find(css)}/click")

    def type(self, css, text):
        element = self.find(css)
        self.post(f"/element/{element}/clear")
        self.post(f"/element/{element}/value", text=text)

    def text(self, css="body"):
        """As a reader sees it: what is hidden is not in it."""
        return self.driver.call("GET", f"{self.path}/element/{self.find(css)}/text")

    def is_shown(self, css):
        return self.driver.call("GET", f"{self.path}/element/{self.find(css)}/displayed")

    def wait(self, condition, what):
        """Until the condition holds."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"waited in vain for {what}; the page says:\n{self.text()}")

    def wait_for_text(self, text, css="body"):
        self.wait(lambda: text in self.text(css), f"{text!r} in {css}")

    def requests(self):
        """Addresses of everything that pages asked for since the last call."""
        urls = []
        for entry in self.log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                urls.append(message["params"].get("request", message["params"])["url"])
        return urls

    def violations(self):
        """What the content security policy refused since the last call, and other complaints of the console."""
        return [entry["message"] for entry in self.log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def screenshot(self):
        """PNG in base64."""
        return self.driver.call("GET", self.path + "/screenshot")
