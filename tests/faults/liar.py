"""A custodian that may lie: it takes part in an enrolment as an honest one would, and then says to a guard what the test
tells it to. In this process, on loopback."""
import base64
import ctypes
import datetime
import hashlib
import http.server
import json
import os
import socketserver
import ssl
import struct
import threading
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.signing import SigningKey

from custody_client import b64, canonical, now_ms

SODIUM = ctypes.CDLL("libsodium.so.23")
SODIUM.sodium_init()
POLL = 0.2  # seconds that a poll without news takes


def multiply(scalar, element):
    product = ctypes.create_string_buffer(32)
    assert SODIUM.crypto_scalarmult_ristretto255(product, scalar, element) == 0
    return product.raw


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def certificate(key):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "liar")])
    now = datetime.datetime.now(datetime.timezone.utc)
    return (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(now - datetime.timedelta(1))
            .not_valid_after(now + datetime.timedelta(999)).sign(key, hashes.SHA256()))


class Liar:
    """`orders`: what it says was done; `refusal`: a word instead. `polls`: how many polls it has answered so far."""

    def __init__(self, root, name, place):
        self.name, self.place, self.path = name, place, os.path.join(root, name + ".pem")
        self.signing, self.box, self.tls = SigningKey.generate(), PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
        self.scalars, self.index, self.vault = {}, 0, ""
        self.orders, self.refusal, self.polls, self.stages = [], None, 0, []
        self.stopped = threading.Event()
        self.serve()

    def serve(self):
        pem = serialization.Encoding.PEM
        secret = self.tls.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        with open(self.path, "wb") as file:
            file.write(secret + certificate(self.tls).public_bytes(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.path)
        self.server = Server(("127.0.0.1", 0), handler_of(self))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def kill(self):
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()

    def invitation(self):
        spki = self.tls.public_key().public_bytes(serialization.Encoding.DER,
                                                  serialization.PublicFormat.SubjectPublicKeyInfo)
        keys = (hashlib.sha256(spki).digest(), bytes(self.signing.verify_key), bytes(self.box.public_key), os.urandom(32))
        address = f"127.0.0.1:{self.server.server_address[1]}"
        return "/".join(["casevault-custodian:1", self.name, self.place, address, *map(base64url, keys)])

    # What is asked

    def post(self, path, body):
        ask = json.loads(body) if path != "/v1/add-checkpoint" else {}
        answer = {"/v1/vaults": self.take_policy, "/v1/policy": self.take_policy, "/v1/secrets": self.take_secrets,
                  "/v1/evaluate": self.evaluate, "/v1/release": self.release, "/v1/confirm": self.confirm,
                  "/v1/receipts": self.take_receipt}.get(path)
        return (200, answer(ask)) if answer else (404, {"error": "unknown", "message": ""})

    def taken(self):
        return {"time": now_ms(), "vault": self.vault}

    def take_policy(self, ask):
        if ask.get("policy"):
            policy = json.loads(ask["policy"]["statement"])
            self.index, self.vault = policy["index"], policy["vault"]
        return self.taken()

    def take_secrets(self, ask):
        for put in json.loads(ask["deposit"]["statement"])["put"]:
            plain = SealedBox(self.box).decrypt(base64.b64decode(put["sealed"]))
            self.scalars[put["id"], put["type"], put["version"]] = plain[-32:]
        return self.taken()

    def evaluate(self, ask):
        key = self.scalars[ask["id"], "oprf", ask["version"]]
        return {"element": multiply(key, bytes.fromhex(ask["element"])).hex(), "index": self.index, "tries": 1}

    def release(self, ask):
        return {"index": self.index, "released": [self.released(ask, secret) for secret in ask["secrets"]]}

    def released(self, ask, secret):
        plain = (b"CVL1" + bytes.fromhex(ask["vault"] + secret["id"]) + struct.pack(">II", secret["version"], self.index)
                 + self.scalars[secret["id"], "share", secret["version"]])
        return {**secret, "sealed": b64(SealedBox(PublicKey(bytes.fromhex(ask["box"]))).encrypt(plain))}

    def confirm(self, _):
        return {"checkpoint": "", "since": 0, "time": now_ms(), "unconfirmed": 0}

    def take_receipt(self, ask):
        self.stages.append(json.loads(ask["receipt"]["statement"])["stage"])
        return {"time": now_ms()}

    def get(self, target):
        path, _, query = target.partition("?")
        if path != "/v1/orders/wait":
            return 404, {"error": "unknown", "message": ""}
        after = int(urllib.parse.parse_qs(query)["after"][0])
        news = self.orders[after:]
        if not news and not self.refusal:
            self.stopped.wait(POLL)
        self.polls += 1
        if self.refusal:
            return 403, {"error": self.refusal, "message": ""}
        done = [{"done": now_ms(), "number": after + i, "order": order} for i, order in enumerate(news, 1)]
        return 200, {"number": after + len(done), "orders": done, "state": "active"}


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Connections that end early are no news."""


def handler_of(liar):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reply(self, status, fields):
            body = canonical(fields).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.reply(*liar.post(self.path, self.rfile.read(int(self.headers["Content-Length"]))))

        def do_GET(self):
            self.reply(*liar.get(self.path))

    return Handler
