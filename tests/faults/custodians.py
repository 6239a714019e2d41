"""Custodians as real processes on loopback, and an office whose vault is under their custody."""
import json
import os
import signal
import subprocess

from harness import Office, program, write

READY = 30  # seconds


class Custodian:
    """`casevault custodian serve` in a folder of its own. It keeps its port over restarts."""

    def __init__(self, root, name, place, *options):
        self.root, self.name, self.place, self.options = os.path.join(root, name), name, place, options
        os.makedirs(self.root, exist_ok=True)
        self.data = os.path.join(self.root, "data")
        self.port = 0
        self.process = None
        self.start()

    def env(self):
        return {"PATH": "/usr/bin:/bin", "HOME": self.root, "LANG": "C.UTF-8", "TZ": "UTC"}

    def words(self):
        return [program(), "--json", "custodian", "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}",
                "--name", self.name, "--place", self.place, *self.options]

    def start(self, *under):
        self.log = open(os.path.join(self.root, "log"), "ab")
        self.process = subprocess.Popen([*under, *self.words()], stdout=subprocess.PIPE, stderr=self.log,
                                        env=self.env())
        line = self.process.stdout.readline()
        assert line, f"{self.name} did not start: {self.said()}"
        self.identity = json.loads(line)
        self.port = int(self.identity["address"].rsplit(":", 1)[1])
        return self

    def fails_to_start(self):
        """Its status and what it says, where it is expected to end by itself."""
        done = subprocess.run(self.words(), capture_output=True, env=self.env(), timeout=READY, check=False)
        return done.returncode, done.stderr.decode()

    def said(self):
        with open(os.path.join(self.root, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def kill(self, number=signal.SIGKILL):
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(READY)
        self.process.stdout.close()
        self.log.close()
        self.process = None

    def stop(self):
        self.kill(signal.SIGTERM)

    def invitation(self, *options):
        words = [program(), "custodian", "invite", "--data", self.data, *options]
        done = subprocess.run(words, capture_output=True, env=self.env(), check=False)
        assert done.returncode == 0, f"{words}: {done.stderr.decode()}"
        return done.stdout.decode().strip()


class KeptOffice(Office):
    """anna's vault with a case, under `threshold` of the custodians, with `cards` cards."""

    def __init__(self, root, custodians, threshold=2, cards=3, quorum=2):
        super().__init__(root)
        self.custodians, self.threshold = custodians, threshold
        self.ok("init", "--organisation", "Legal Aid", "--no-recovery")
        self.ok("case", "new", "Дело Ивановой")
        self.ok("add", "C-1", write(os.path.join(root, "sources", "note.txt"), "Они пришли ночью.\n"))
        self.cards = os.path.join(root, "cards")
        self.enrolled = self.ok("custody", "enroll", *[c.invitation() for c in custodians], "--threshold",
                                str(threshold), "--cards", str(cards), "--quorum", str(quorum), "--out", self.cards)
        self.ok("status")  # converts anna's slot

    def card(self, number):
        return os.path.join(self.cards, f"card-{number}.txt")

    def order(self, kind, *cards, options=(), root=None):
        """Runs `order issue` in a place that knows no vault."""
        words = [word for card in cards for word in ("--card", self.card(card))]
        return self.run("order", "issue", kind, *words, *options, "--yes", passphrase=False,
                        env={"CASEVAULT_DIR": "", "HOME": self.fresh("abroad")})
