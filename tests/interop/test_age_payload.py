#!/usr/bin/python3
"""The bodies of a vault are payloads of age: with a header put before one, Debian's stock age decrypts it.

The header (C2SP age.md) is made by hand for a key of age-keygen; what follows it are the bytes of the body's file.
"""
import base64
import hashlib
import hmac
import os
import re
import shutil
import subprocess
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl import bindings as sodium

from casevault_functions import padme
from casevault_program import Checks, Program, temporary_folder

SIZES = (65537, 2 * 65536, 200 * 1024, 5_000_001)  # of the content
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def hkdf(key, salt, info):
    return HKDF(hashes.SHA256(), 32, salt=salt, info=info).derive(key)


def unpadded(data):
    return base64.b64encode(data).rstrip(b"=")


def recipient_key(recipient):
    """The X25519 public key in `age1...` (bech32: 52 characters of 5 bits each, and 6 of a checksum)."""
    bits = "".join(f"{BECH32.index(c):05b}" for c in recipient.removeprefix("age1")[:52])
    return int(bits[:256], 2).to_bytes(32, "big")


def age_header(file_key, recipient):
    secret, public = os.urandom(32), recipient_key(recipient)
    share = sodium.crypto_scalarmult_base(secret)
    wrap_key = hkdf(sodium.crypto_scalarmult(secret, public), share + public, b"age-encryption.org/v1/X25519")
    body = ChaCha20Poly1305(wrap_key).encrypt(bytes(12), file_key, None)
    header = b"age-encryption.org/v1\n-> X25519 " + unpadded(share) + b"\n" + unpadded(body) + b"\n---"
    mac = hmac.digest(hkdf(file_key, b"", b"header"), header, hashlib.sha256)
    return header + b" " + unpadded(mac) + b"\n"


def check_body(checks, identity, recipient, case, version, content):
    file = age_header(version.file_key, recipient) + case.body(version)
    done = subprocess.run(["age", "-d", "-i", identity], input=file, capture_output=True, check=False)
    what = f"{len(content)} bytes"
    checks.equal(done.returncode, 0, f"{what}: status of age: {done.stderr}")
    checks.that(done.stdout == content + bytes(padme(len(content)) - len(content)), f"{what}: other than the content")
    damaged = file[:-1] + bytes([file[-1] ^ 1])
    done = subprocess.run(["age", "-d", "-i", identity], input=damaged, capture_output=True, check=False)
    checks.that(done.returncode != 0, f"{what}: age takes a changed body")


def main():
    if not shutil.which("age"):
        print("skipped: age is not installed")
        return 77
    checks = Checks()
    with temporary_folder() as folder:
        program = Program(folder)
        identity = os.path.join(folder, "identity")
        subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
        with open(identity, encoding="ascii") as file:
            recipient = re.search("age1[0-9a-z]+", file.read())[0]
        program.run("anna", "init", "--organisation", "Архів", "--no-recovery")
        program.run("anna", "case", "new", "Плівки")
        contents = [os.urandom(size) for size in SIZES]
        for content in contents:
            program.run("anna", "add", "C-1", program.write(f"{len(content)}.bin", content))
        reader = program.reader("anna")
        for index, content in enumerate(contents, 1):
            case, version = reader.find(f"C-1/E-{index}")
            check_body(checks, identity, recipient, case, version, content)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
