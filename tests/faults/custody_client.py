"""A custodian as a process, and an office that speaks with it: docs/custody-protocol.md written once more, so that the
tests share no code with what they test.
"""
import base64
import functools
import hashlib
import http.client
import json
import os
import socket
import ssl
import struct
import threading
import time

from nacl.bindings import crypto_core_ed25519_scalar_reduce
from nacl.public import PublicKey, SealedBox
from nacl.signing import SigningKey

from harness import PATIENCE, Running, program

BASE_POINT = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"  # RFC 9496, appendix A.1


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def b64(data):
    return base64.b64encode(data).decode()


def now_ms():
    return time.time_ns() // 1_000_000


def nonce():
    return os.urandom(16).hex()


def public(key):
    return bytes(key.verify_key).hex()


def sign(key, domain, text):
    return key.sign(domain.encode() + b"\0" + text.encode()).signature


def statement(key, domain, fields):
    text = canonical(fields)
    return {"by": public(key), "signature": b64(sign(key, domain, text)), "statement": text}


def sign_request(method, target, body, key, created=None, with_nonce=None):
    """The headers of RFC 9421, in the protocol's one form."""
    path, question, query = target.partition("?")
    covered = [("@method", method), ("@path", path)]
    headers = {}
    if question:
        covered.append(("@query", "?" + query))
    if body:
        headers["Content-Digest"] = f"sha-256=:{b64(hashlib.sha256(body).digest())}:"
        covered.append(("content-digest", headers["Content-Digest"]))
    names = " ".join(f'"{name}"' for name, _ in covered)
    created = int(time.time()) if created is None else created
    values = f'({names});created={created};nonce="{with_nonce or nonce()}";keyid="{public(key)}";alg="ed25519"'
    base = "".join(f'"{name}": {value}\n' for name, value in covered) + f'"@signature-params": {values}'
    headers["Signature-Input"] = "sig=" + values
    headers["Signature"] = f"sig=:{b64(key.sign(base.encode()).signature)}:"
    return headers


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


TLS = tls_context()


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode()

    @functools.cached_property
    def json(self):
        return json.loads(self.text)

    @property
    def word(self):
        """What an error is called."""
        return self.json["error"]

    @property
    def said(self):
        """The statement inside a signed answer."""
        return json.loads(self.json["statement"])

    def __str__(self):
        return f"{self.status} {self.text[:500]}"


def wait_until(what, holds):
    """For what another process will do, in its own time."""
    pause, deadline = threading.Event(), time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"this never came: {what}"
        pause.wait(0.01)


class Service:
    """`custodian serve` in a folder, on a port of its own."""

    def __init__(self, root, *options, under=(), env=None, behind_tor=True):
        self.data = os.path.join(root, "custodian")
        words = [*under, program(), "--json", "custodian", "serve", "--data", self.data, "--listen", "127.0.0.1:0",
                 *(["--behind-tor"] if behind_tor else []), *options]
        self.env = {"PATH": "/usr/bin:/bin", "HOME": root, "LANG": "C.UTF-8", "TZ": "UTC", **(env or {})}
        self.root = root
        self.running = Running(words, self.env, root)

    def listens(self):
        """Waits for it; False when it ended before."""
        wait_until("the custodian listens", lambda: b"\n" in self.running.out or not self.running.is_running())
        if b"\n" not in self.running.out:
            return False
        self.about = json.loads(self.running.out.split(b"\n")[0])
        host, port = self.about["address"].rsplit(":", 1)
        self.address = (host, int(port))
        self.key = self.about["key"]
        return True

    def started(self):
        assert self.listens(), f"it did not start: {self.running.finish()}"
        return self

    def run(self, *words):
        """Another command of casevault."""
        return Running([program(), *words], self.env, self.root).finish()

    def invite(self):
        result = self.run("custodian", "invite", "--data", self.data)
        assert result.status == 0, str(result)
        fields = result.text.strip().split("/")
        assert fields[0] == "casevault-custodian:1", result.text
        binary = [base64.urlsafe_b64decode(field + "=" * (-len(field) % 4)) for field in fields[4:]]
        return {"address": fields[3], "pin": binary[0], "key": binary[1], "box": binary[2], "token": binary[3].hex()}

    def connect(self):
        """A raw TLS connection."""
        plain = socket.create_connection(self.address, PATIENCE)
        try:
            return TLS.wrap_socket(plain)
        except OSError:
            plain.close()
            raise

    def connection(self):
        connection = http.client.HTTPSConnection(*self.address, timeout=PATIENCE, context=TLS)
        connection.connect()
        return connection

    def memory(self):
        """KiB resident."""
        with open(f"/proc/{self.running.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))

    def descriptors(self):
        """How many are open; None where we must not know."""
        try:
            return len(os.listdir(f"/proc/{self.running.process.pid}/fd"))
        except PermissionError:
            return None


def ask(connection, method, target, body=b"", headers=None):
    """`connection`: a kept one, or a Service for one of this request's own."""
    kept = connection if isinstance(connection, http.client.HTTPConnection) else connection.connection()
    try:
        kept.request(method, target, body=body or None, headers=headers or {})
        return Answer(kept.getresponse())
    finally:
        if kept is not connection:
            kept.close()


class Enrolled:
    """A vault of which a custodian knows: an owner, one device, cards, users with their secrets."""

    def __init__(self, service, cards=2, quorum=2):
        self.service, self.invitation = service, service.invite()
        self.vault, self.to = nonce(), self.invitation["key"].hex()
        self.owner, self.device = SigningKey.generate(), SigningKey.generate()
        self.device_id = nonce()
        self.cards = [SigningKey.generate() for _ in range(cards)]
        policy = {"cards": [public(card) for card in self.cards], "index": 3, "kind": "policy", "lease_hours": 0,
                  "log": "", "nonce": nonce(), "owners": [public(self.owner)], "quorum": quorum, "threshold": 2,
                  "time": now_ms(), "to": self.to, "vault": self.vault}
        self.enrolment = {"device": {"id": self.device_id, "key": public(self.device)},
                          "policy": statement(self.owner, "casevault/v1/custody-policy", policy),
                          "to": self.to, "token": self.invitation["token"]}
        self.users = {}
        self.must("/v1/vaults", self.enrolment)

    def post(self, path, fields, connection=None, key=None, **signing):
        body = canonical(fields).encode()
        headers = sign_request("POST", path, body, key or self.device, **signing)
        return ask(connection or self.service, "POST", path, body, headers)

    def get(self, path, connection=None, key=None, **query):
        target = path + "?" + "&".join(f"{k}={v}" for k, v in sorted({**query, "to": self.to,
                                                                      "vault": self.vault}.items()))
        headers = sign_request("GET", target, b"", key or self.device)
        return ask(connection or self.service, "GET", target, headers=headers)

    def must(self, path, fields, **options):
        answer = self.post(path, fields, **options)
        assert answer.status == 200, f"{path}: {answer}"
        return answer

    def about(self, **fields):
        return {**fields, "to": self.to, "vault": self.vault}

    def secret(self, identity, kind, what, version=1):
        scalar = crypto_core_ed25519_scalar_reduce(os.urandom(64))
        plain = b"CVD1" + bytes.fromhex(self.vault + identity) + struct.pack(">I", version) + scalar
        sealed = SealedBox(PublicKey(self.invitation["box"])).encrypt(plain)
        keys = ("", "") if what == "share" else (public(self.users[identity]), public(SigningKey.generate()))
        return {"duress": keys[1], "id": identity, "kind": kind, "sealed": b64(sealed), "type": what, "user": keys[0],
                "version": version}

    def deposit(self, put, connection=None):
        fields = self.about(delete=[], duress=[], kind="secrets", nonce=nonce(), put=put, time=now_ms())
        signed = statement(self.owner, "casevault/v1/custody-secrets", fields)
        return self.must("/v1/secrets", self.about(deposit=signed), connection=connection)

    def add_user(self, connection=None):
        identity = nonce()
        self.users[identity] = SigningKey.generate()
        self.deposit([self.secret(identity, "user", "oprf"), self.secret(identity, "user", "share")], connection)
        return identity

    def evaluation(self, identity):
        return self.about(element=BASE_POINT, id=identity, version=1)

    def evaluate(self, identity, connection=None):
        return self.post("/v1/evaluate", self.evaluation(identity), connection=connection)

    def confirm(self, identity, connection=None):
        fields = self.about(id=identity, kind="confirm", nonce=nonce(), time=now_ms())
        signed = statement(self.users[identity], "casevault/v1/custody-confirm", fields)
        return self.must("/v1/confirm", self.about(confirm=signed), connection=connection)

    def order(self, kind, scope, cards=None):
        text = canonical({"expires": now_ms() + 3_600_000, "issued": now_ms(), "kind": "order", "nonce": nonce(),
                          "reason": "", "scope": scope, "type": kind, "vault": self.vault})
        signatures = [{"card": public(card), "signature": b64(sign(card, "casevault/v1/order", text))}
                      for card in cards or self.cards]
        return canonical({"signatures": signatures, "statement": text}).encode()

    def send_order(self, order, connection=None):
        return ask(connection or self.service, "POST", "/v1/orders", order)

    def log(self):
        """All entries of this vault."""
        entries, first = [], 0
        while True:
            page = self.get("/v1/statement", **{"first": first, "from": 0, "until": now_ms() + 60_000}, key=self.owner)
            assert page.status == 200, str(page)
            entries += [json.loads(entry["entry"]) for entry in page.said["entries"]]
            first = page.said["next"]
            if not first:
                return entries
