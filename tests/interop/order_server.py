"""A custodian's side of orders, written anew from docs/custody-protocol.md: serves the page, checks what it sends to the
last byte, and answers as the protocol says. It keeps everything that reached it."""
import base64
import contextlib
import datetime
import hashlib
import http.server
import json
import os
import re
import secrets
import ssl
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "vault", "custody", "page")
WEEK = 7 * 24 * 3600 * 1000
FIELDS = ["expires", "issued", "kind", "nonce", "reason", "scope", "type", "vault"]
SIGNATURE_INPUT = re.compile(r'sig=\("@method" "@path" "@query"\);created=([0-9]+);nonce="([0-9a-f]{32})";'
                             r'keyid="([0-9a-f]{64})";alg="ed25519"')


def canonical(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def now_ms():
    return time.time_ns() // 1_000_000


def custody_id(salt, kind, name):
    text = b"casevault/v1/custody-id" + salt + kind.encode() + b"\0" + name.encode()
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def sign_statement(key, domain, statement):
    text = canonical(statement)
    signature = key.sign(domain.encode() + b"\0" + text.encode()).signature
    return {"by": key.verify_key.encode().hex(), "signature": base64.b64encode(signature).decode(), "statement": text}


def holds(key, message, signature):
    try:
        VerifyKey(bytes.fromhex(key)).verify(message, base64.b64decode(signature, validate=True))
        return True
    except (BadSignatureError, ValueError):
        return False


def read(name):
    with open(os.path.join(PAGE, name), encoding="utf-8") as file:
        return file.read()


def page_and_policy():
    """As vault/custody/order_page.cpp puts it together."""
    style, script = read("order.css"), read("protocol.js") + read("words.js") + read("order.js")
    source = {text: f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
              for text in (style, script)}
    policy = (f"default-src 'none'; script-src {source[script]}; style-src {source[style]}; connect-src 'self'; "
              "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
              "trusted-types 'none'")
    return read("order.html").replace("{style}", style).replace("{script}", script), policy


def make_certificate(folder):
    """A self-signed one on P-256, as custodians have: the path of a PEM file with its key, and its pin."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "casevault custodian")])
    day, now = datetime.timedelta(days=1), datetime.datetime.utcnow()
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
                   .sign(key, hashes.SHA256()))
    path = os.path.join(folder, f"tls-{secrets.token_hex(4)}.pem")
    with open(path, "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return path, hashlib.sha256(public).hexdigest()


class OrderServer:
    """One custodian of one vault. Its attributes may be changed by a test while it runs."""

    def __init__(self, folder, vault, cards, quorum):
        self.vault, self.cards, self.quorum = vault, cards, quorum
        self.key = SigningKey.generate()
        self.receipt_key = self.key   # another one: somebody else answers
        self.clock_ahead = 0          # seconds
        self.answer_instead = None    # (status, body) for whatever is posted
        self.shown_instead = None     # body for who has obeyed
        self.page_size = 100          # orders in one answer
        self.secrets = 412            # affected by an order for the whole vault
        self.known_ids = {}           # id: number of secrets
        self.state = "active"
        self.orders = {}              # statement: {"signatures", "done", "receipts"}
        self.arrived = []             # (method, target, body) of everything
        self.faults = []              # what was not as the protocol wants it, although the page sent it
        self.nonces = set()
        self.lock = threading.RLock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        path, self.pin = make_certificate(folder)
        context.load_cert_chain(path)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    @property
    def name(self):
        return self.key.verify_key.encode().hex()

    def handler(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body, headers=None):
                data = body.encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)),
                                    "Cache-Control": "no-store", **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(data)

            def do_GET(self):
                owner.arrived.append(("GET", self.path, b""))
                if self.path == "/order":
                    page, policy = page_and_policy()
                    self.answer(200, page, {"Content-Type": "text/html; charset=utf-8",
                                            "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff",
                                            "Referrer-Policy": "no-referrer"})
                elif self.path.startswith("/v1/orders?"):
                    with owner.lock:
                        self.answer(*owner.show(self.path, self.headers))
                else:
                    self.answer(404, canonical({"error": "unknown", "message": "There is nothing here."}))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                owner.arrived.append(("POST", self.path, body))
                with owner.lock:
                    if owner.answer_instead:
                        self.answer(*owner.answer_instead)
                    else:
                        self.answer(*owner.take(self.path, body, self.headers))

        return Handler

    def refuse(self, status, word):
        return status, canonical({"error": word, "message": f"Refused: {word}."})

    def clock_ms(self):
        return now_ms() + self.clock_ahead * 1000

    def insist(self, condition, what):
        if not condition:
            self.faults.append(what)
        return condition

    # ---- POST /v1/orders

    def take(self, path, body, headers):
        text = body.decode()
        value = json.loads(text)
        self.insist(path == "/v1/orders" and headers["Content-Type"] == "application/json", "path or type of an order")
        self.insist(canonical(value) == text and sorted(value) == ["signatures", "statement"], "body is not canonical")
        statement = value["statement"]
        order = json.loads(statement)
        self.insist(canonical(order) == statement and sorted(order) == FIELDS, "statement is not canonical")
        self.insist(order["kind"] == "order" and re.fullmatch("[0-9a-f]{32}", order["nonce"]), "kind or nonce")
        self.insist(0 < order["expires"] - order["issued"] <= WEEK, "life of the order")
        self.insist(len({one["card"] for one in value["signatures"]}) == len(value["signatures"]), "a card signed twice")
        for one in value["signatures"]:
            message = b"casevault/v1/order\0" + statement.encode()
            if not self.insist(holds(one["card"], message, one["signature"]), "signature of an order"):
                return self.refuse(403, "order")
        cards_known = all(one["card"] in self.cards for one in value["signatures"])
        affected = self.secrets if order["scope"] == "vault" else self.known_ids.get(order["scope"])
        if order["vault"] != self.vault or not cards_known or affected is None or order["expires"] <= self.clock_ms():
            return self.refuse(403, "order")
        return 200, canonical(self.obey(statement, order, value["signatures"], affected))

    def obey(self, statement, order, signatures, affected):
        entry = self.orders.setdefault(statement, {"signatures": {}, "done": 0, "receipts": []})
        entry["signatures"].update({one["card"]: one["signature"] for one in signatures})
        need = 1 if order["type"] == "lock" else self.quorum
        entry["need"] = need
        if len(entry["signatures"]) >= need and not entry["done"]:
            entry["done"] = self.clock_ms()
            self.state = {"lock": "locked", "unlock": "active", "destroy": "destroyed"}.get(order["type"], self.state)
        receipt = {"affected": affected if entry["done"] else 0, "have": len(entry["signatures"]), "kind": "receipt",
                   "need": need, "nonce": secrets.token_hex(16), "order": hashlib.sha256(statement.encode()).hexdigest(),
                   "state": "done" if entry["done"] else "waiting", "time": self.clock_ms(), "type": order["type"],
                   "vault": self.vault}
        return sign_statement(self.receipt_key, "casevault/v1/custody-receipt", receipt)

    # ---- GET /v1/orders

    def show(self, target, headers):
        path, query = target.split("?", 1)
        match = SIGNATURE_INPUT.fullmatch(headers.get("Signature-Input", ""))
        signature = re.fullmatch(r"sig=:([A-Za-z0-9+/=]+):", headers.get("Signature", ""))
        if not self.insist(match and signature, "headers of a signed request"):
            return self.refuse(401, "unsigned")
        base = (f'"@method": GET\n"@path": {path}\n"@query": ?{query}\n'
                f'"@signature-params": {headers["Signature-Input"][4:]}')
        if not self.insist(holds(match[3], base.encode(), signature[1]), "signature of a request"):
            return self.refuse(401, "signature")
        if abs(int(match[1]) - self.clock_ms() // 1000) > 300:
            return *self.refuse(401, "time"), {"Casevault-Time": str(self.clock_ms() // 1000)}
        if not self.insist(match[2] not in self.nonces, "a nonce was used twice"):
            return self.refuse(401, "replay")
        self.nonces.add(match[2])
        asked = dict(urllib.parse.parse_qsl(query))
        first = int(asked.pop("from", 0))
        if match[3] not in self.cards or asked != {"to": self.name, "vault": self.vault}:
            return self.refuse(404, "unknown")
        orders = self.standings()
        following = first + self.page_size if first + self.page_size < len(orders) else 0
        return 200, self.shown_instead or canonical({"next": following, "silence": 0, "state": self.state,
                                                     "orders": orders[first:first + self.page_size]})

    def standings(self):
        out = []
        for number, (statement, entry) in enumerate(self.orders.items(), 1):
            signatures = [{"card": card, "signature": value} for card, value in entry["signatures"].items()]
            out.append({"done": entry["done"], "have": len(signatures), "need": entry["need"],
                        "number": number if entry["done"] else 0,
                        "order": {"signatures": signatures, "statement": statement}, "receipts": entry["receipts"]})
        return out

    def machine_says(self, device, stage, not_reached=()):
        """A machine's receipt for the newest order."""
        statement = list(self.orders)[-1]
        receipt = {"device": device.verify_key.encode().hex(), "kind": "guard-receipt", "nonce": secrets.token_hex(16),
                   "not_reached": list(not_reached), "order": hashlib.sha256(statement.encode()).hexdigest(),
                   "stage": stage, "time": now_ms(), "vault": self.vault}
        with self.lock:
            self.orders[statement]["receipts"].append(sign_statement(device, "casevault/v1/guard-receipt", receipt))


class Card:
    """A card on paper, as docs/custody-protocol.md section 1 has it."""

    def __init__(self, number, vault, salt, servers, **changes):
        self.key = SigningKey.generate()
        self.seed = self.key.encode()
        self.name = self.key.verify_key.encode().hex()
        self.number, self.vault, self.salt, self.servers, self.changes = number, vault, salt, servers, changes

    @property
    def line(self):
        custodians = [{"address": server.address, "key": server.name, "name": f"Хранитель {i}", "pin": server.pin,
                       "place": "Oslo"} for i, server in enumerate(self.servers, 1)]
        card = {"card": self.number, "custodians": custodians, "expires": 0, "organisation": "Бюро & Co",
                "salt": self.salt.hex(), "seed": self.seed.hex(), "vault": self.vault, **self.changes}
        return "casevault-card:1/" + base64.urlsafe_b64encode(canonical(card).encode()).decode().rstrip("=")

    @property
    def text(self):
        return f"# casevault: card {self.number}\n# Ничего не открывает.\n#\n{self.line}\n"

    def traces(self):
        """Spellings of the secret that must be in nothing that leaves the browser."""
        seed = self.seed
        return [seed, seed.hex().encode(), base64.b64encode(seed).rstrip(b"="),
                base64.urlsafe_b64encode(seed).rstrip(b"="), self.line.split("/")[1].encode()[-80:]]
