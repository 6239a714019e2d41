#!/usr/bin/python3
"""A custodian that behaves as badly as it is told to, for tests of whoever asks it.

https_server.py FOLDER [--tls12] [--socks]

Makes its key and certificate in FOLDER, listens on a port of its own, and prints `PORT PIN` (of the key, in hex); with
--socks another line, the port of a SOCKS5 proxy that connects to it whatever name it is asked for. It ends when its
standard input does. What it answers is said by the path: see `answer`. A path that is a file in FOLDER, with "/" as "_",
is answered by that file's bytes as they stand.
"""
import hashlib
import json
import os
import socket
import ssl
import sys
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
import datetime

DRIP_SECONDS = 0.05  # between two bytes


def make_certificate(folder):
    """Writes server.pem and returns the pin of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody checks this")])
    now = datetime.datetime(2020, 1, 1)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
                   .sign(key, hashes.SHA256()))
    with open(os.path.join(folder, "server.pem"), "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    return hashlib.sha256(key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def response(body, status="200 OK", fields=()):
    if isinstance(body, str):
        body = body.encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Server:
    def __init__(self, folder, tls12):
        self.folder, self.connections, self.ended = folder, 0, threading.Event()
        self.pin = make_certificate(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(os.path.join(folder, "server.pem"))
        if tls12:
            self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def serve(self):
        while True:
            plain, _ = self.listener.accept()
            self.connections += 1
            threading.Thread(target=self.serve_connection, args=(plain,), daemon=True).start()

    def serve_connection(self, plain):
        try:
            with self.context.wrap_socket(plain, server_side=True) as peer, peer.makefile("rb") as source:
                while self.answer(peer, *read_request(source)):
                    pass
        except (OSError, ValueError):
            pass  # the other side has gone, or does not like us

    def drip(self, peer, data):
        """Byte by byte, until somebody has had enough."""
        for byte in data:
            peer.sendall(bytes([byte]))
            self.ended.wait(DRIP_SECONDS)

    def answer(self, peer, method, target, fields, body):
        """True when the connection goes on."""
        path = target.partition("?")[0]
        canned = os.path.join(self.folder, path.strip("/").replace("/", "_"))
        if os.path.isfile(canned):
            with open(canned, "rb") as file:
                peer.sendall(file.read())
            return True
        if path.startswith("/echo"):
            echo = {"body": body.decode(), "fields": fields, "method": method, "target": target}
            peer.sendall(response(json.dumps(echo), fields=["Set-Cookie: a=b; Path=/"]))
        elif path.startswith("/status/"):
            peer.sendall(response("{}", status=path.rpartition("/")[2] + " Whatever"))
        elif path.startswith("/size/"):
            peer.sendall(response("a" * int(path.rpartition("/")[2])))
        elif path.startswith("/clock/"):
            peer.sendall(response("{}", "401 No", ["CASEVAULT-TIME:  " + path.rpartition("/")[2]]))
        elif path == "/connections":
            peer.sendall(response(str(self.connections)))
        elif path == "/redirect":
            peer.sendall(response("{}", "302 Found", ["Location: /echo"]))
        elif path == "/silent":
            self.ended.wait()
        elif path == "/drip-header":
            self.drip(peer, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 8000)
        elif path == "/drip-body":
            self.drip(peer, response("a" * 8000))
        elif path == "/endless":
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                peer.sendall(b"1000\r\n" + b"a" * 0x1000 + b"\r\n")
        elif path == "/headers":
            peer.sendall(response("{}", fields=[f"X-{i}: {i}" for i in range(100_000)]))
        elif path == "/long-header":
            peer.sendall(response("{}", fields=["X: " + "x" * 9000]))
        elif path == "/early-hints":
            while True:
                peer.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
        elif path == "/trailers":
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" +
                         b"X: x\r\n" * 10_000 + b"\r\n")
        elif path == "/half":
            peer.sendall(response("a" * 100)[:-50])
            return False
        elif path == "/nothing":
            return False
        elif path == "/no-http":
            peer.sendall(b"220 mail.example.org ESMTP\r\n" * 100)
            return False
        elif path == "/http09":
            peer.sendall(b"{}")
            return False
        elif path == "/once":
            peer.sendall(response("{}"))
            return False
        elif path == "/zipped":
            peer.sendall(response(b"\x1f\x8b\x08nothing", fields=["Content-Encoding: gzip"]))
        elif path == "/hsts":
            peer.sendall(response("{}", fields=["Strict-Transport-Security: max-age=9", 'Alt-Svc: h2="elsewhere:1"']))
        else:
            peer.sendall(response("{}"))
        return True


def read_request(source):
    method, target, _ = source.readline().decode().split()
    fields = {}
    for line in iter(lambda: source.readline().strip(), b""):
        name, _, value = line.decode().partition(":")
        fields[name.lower()] = value.strip()
    return method, target, fields, source.read(int(fields.get("content-length", 0)))


def serve_socks(listener, folder, port):
    """RFC 1928, as far as one client needs it. What it was asked for is written to FOLDER/asked."""
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=socks_connection, args=(peer, folder, port), daemon=True).start()


def socks_connection(peer, folder, port):
    with peer, peer.makefile("rb") as source:
        source.read(source.read(2)[1])
        peer.sendall(b"\x05\x00")
        kind = source.read(4)[3]
        address = source.read(source.read(1)[0] if kind == 3 else 4)
        asked = f"{'name' if kind == 3 else 'address'} {address.decode(errors='replace')} {int.from_bytes(source.read(2), 'big')}"
        with open(os.path.join(folder, "asked"), "a", encoding="utf-8") as file:
            file.write(asked + "\n")
        peer.sendall(b"\x05\x00\x00\x01" + bytes(6))
        with socket.create_connection(("127.0.0.1", port)) as onward:
            thread = threading.Thread(target=copy, args=(onward, peer), daemon=True)
            thread.start()
            copy(peer, onward)
            thread.join()


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def main():
    folder = sys.argv[1]
    server = Server(folder, "--tls12" in sys.argv)
    port = server.listener.getsockname()[1]
    threading.Thread(target=server.serve, daemon=True).start()
    print(port, server.pin, flush=True)
    if "--socks" in sys.argv:
        proxy = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=serve_socks, args=(proxy, folder, port), daemon=True).start()
        print(proxy.getsockname()[1], flush=True)
    sys.stdin.read()
    server.ended.set()


if __name__ == "__main__":
    main()
