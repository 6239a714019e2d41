#!/usr/bin/python3
"""What a member could write into a vault by hand, and both the program and the independent reader must refuse.

The forger has the keys of the databases, as members have; each forgery is one statement, correctly linked and signed by
its author, put behind the chain of the catalogue or of a case. The program must find each with `verify` (status 15).
"""
import hashlib
import hmac
import os
import shutil
import sqlite3
import subprocess
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from nacl import bindings as sodium

from casevault_functions import (
    PAGE, SHA256, D, Refused, be32, be64, canonical, database_salt, decrypt_pages, read, seal_open)
from casevault_program import Checks, Program, temporary_folder

BLOB = os.urandom(80)  # stands for any sealed key; nobody can open it
KEY = SHA256(BLOB).hex()


# Writing databases and chains

def encrypt_pages(plain, key):
    raw, salt = D(key, "casevault/v1/database-key"), database_salt(key)
    mac_key, pages = hashlib.pbkdf2_hmac("sha512", raw, bytes(b ^ 0x3a for b in salt), 2, 32), [salt]
    for page in range(1, len(plain) // PAGE + 1):
        start, end, iv = 16 if page == 1 else (page - 1) * PAGE, page * PAGE, os.urandom(16)
        encryptor = Cipher(algorithms.AES(raw), modes.CBC(iv)).encryptor()
        body = encryptor.update(plain[start:end - 80]) + encryptor.finalize() + iv
        pages.append(body + hmac.digest(mac_key, body + page.to_bytes(4, "little"), "sha512"))
    return b"".join(pages)


def rewrite(vault, name, key, edit):
    database = sqlite3.connect(":memory:")
    database.deserialize(decrypt_pages(read(vault, name), key, name))
    edit(database)
    database.commit()
    with open(os.path.join(vault, name), "wb") as file:
        file.write(encrypt_pages(database.serialize(), key))


def append(database, scope, statement, seed):
    """(number, hash) of the statement, signed."""
    before, link = database.execute("SELECT number, hash FROM changes ORDER BY number DESC LIMIT 1").fetchone()
    n, text = before + 1, canonical(statement)
    digest = SHA256(b"casevault/v1/change\0" + link + be64(n) + SHA256(text))
    signed = b"casevault/v1/change\0" + scope + be64(n) + digest
    signature = sodium.crypto_sign(signed, sodium.crypto_sign_seed_keypair(seed)[1])[:64]
    database.execute("INSERT INTO changes VALUES (?, ?, ?, ?)", (n, text.decode(), signature, digest))
    return n, digest


class Scene:
    """A vault: anna manages C-1, boris may add; egor was revoked, dina removed by gleb, who cannot re-key C-1."""

    def __init__(self, program):
        self.program = program
        program.run("anna", "init", "--organisation", "A", "--no-recovery")
        for user, role in [("boris", "member"), ("vera", "auditor"), ("gleb", "owner"), ("dina", "member"),
                           ("egor", "member")]:
            program.enrol("anna", user, role)
            program.run(user, "status")
        program.run("anna", "case", "new", "one")
        program.run("anna", "add", "C-1", program.write("1", b"1"))
        for user in ("boris", "dina", "egor"):
            program.run("anna", "case", "grant", "C-1", user, "--right", "add")
        program.run("egor", "add", "C-1", program.write("2", b"22"))
        readers = {user: program.reader(user) for user in ("anna", "boris", "vera", "gleb", "dina", "egor")}
        self.seeds = {user: reader.slot.seed for user, reader in readers.items()}
        self.ids = {user: reader.user.id for user, reader in readers.items()}
        program.run("anna", "case", "revoke", "C-1", "egor")
        program.run("gleb", "user", "remove", "dina")
        for user in ("anna", "boris", "vera", "gleb", "egor"):
            program.run(user, "status")
        self.look()

    def look(self):
        self.reader = reader = self.program.reader("anna")
        self.catalogue, self.roots, self.opened = reader.catalogue, reader.log.roots, reader.opened()[0]
        self.case = self.opened.case
        self.catalogue_key = reader.database_key(reader.catalogue_key, reader.epoch)
        case_key = seal_open(reader.slot.box, reader.blob(self.case.grant_of(reader.user).key), "key")
        scope = bytes.fromhex(self.case.id)
        self.case_key = D(case_key, "casevault/v1/case-db", scope + be32(self.case.epoch))
        self.case_name = f"cases/{self.case.id}.{self.case.epoch}.db"

    def statement(self, by, kind, log_size=None, **own):
        log_size = len(self.roots) - 1 if log_size is None else log_size
        return {"by": self.ids[by], "kind": kind, "time": 1795358466329, "log_size": log_size,
                "log_root": self.roots[log_size].hex(), **own}

    def forge_catalogue(self, vault, author, statement):
        def edit(database):
            database.execute("INSERT OR IGNORE INTO sealed VALUES (?, ?)", (bytes.fromhex(KEY), BLOB))
            append(database, self.reader.header.id, statement, self.seeds[author])
        rewrite(vault, "catalog.db", self.catalogue_key, edit)

    def forge_case(self, vault, author, statement, row):
        def edit(database):
            n, digest = append(database, bytes.fromhex(self.case.id), statement, self.seeds[author])
            if row:
                kind, record = statement["record"].split("-")
                database.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, NULL, NULL, NULL, NULL)",
                                 (n, kind, int(record), statement["version"], *row))
                database.execute("INSERT INTO contents VALUES (?, ?)", (n, b"forged"))
            self.head = n, digest
        rewrite(vault, self.case_name, self.case_key, edit)


def catalogue_forgeries(s):
    """(what it is, author, statement)."""
    user = {"box": "01" * 32, "id": "02" * 16, "name": "x", "sign": "03" * 32}
    free = next(i for i in range(64) if i not in [u.slot for u in s.catalogue.active()])
    slot = {"slot": free, "generation": 9, "slot_hash": SHA256(s.reader.slots[1024 * free:1024 * free + 1024]).hex()}
    case, head = {"case": s.case.id, "epoch": s.case.epoch}, s.case.heads[-1]
    files = {"header": s.catalogue.header, "handover": s.catalogue.handover}

    def grant(name, right):
        return {"user": s.ids[name], "right": right, "key": KEY}

    def add_user(by, **own):
        return by, s.statement(by, "user", **{"user": user, "role": "member", "role_keys": "", **slot,
                                              "handover": s.catalogue.handover, **own})

    def plain(by, kind, **own):
        return by, s.statement(by, kind, **own)

    def epoch(*grants, by="anna"):
        return plain(by, "case-epoch", case=s.case.id, epoch=s.case.epoch + 1, title=KEY, grants=list(grants))

    return [
        ("a member adds a user", *add_user("boris")),
        ("a name twice", *add_user("anna", user={**user, "name": "boris"})),
        ("the id of somebody removed", *add_user("anna", user={**user, "id": s.ids["dina"]})),
        ("an unknown role", *add_user("anna", role="king")),
        ("role keys for a member", *add_user("anna", role_keys=KEY)),
        ("a slot that is taken", *add_user("anna", slot=s.catalogue.users[s.ids["boris"]].slot)),
        ("a member removes a user", *plain("boris", "remove", user=s.ids["vera"])),
        ("an owner removes themselves", *plain("anna", "remove", user=s.ids["anna"])),
        ("a removed user changes their slot", *plain("dina", "slot", **slot)),
        ("a generation that falls", *plain("boris", "slot", **{**slot, "generation": 1})),
        ("a member makes an epoch", *plain("boris", "epoch", epoch=s.catalogue.epoch + 1, role_keys=[], **files)),
        ("an epoch that the file is not of", *plain("anna", "epoch", epoch=s.catalogue.epoch + 1, role_keys=[],
                                                    **files)),
        ("role keys for some", *plain("anna", "epoch", epoch=s.catalogue.epoch + 1, **files,
                                      role_keys=[{"user": s.ids["anna"], "key": KEY}])),
        ("an auditor makes a case", *plain("vera", "case", case="04" * 16, number=2)),
        ("a case's number skips", *plain("anna", "case", case="04" * 16, number=3)),
        ("a grant without the right to manage", *plain("boris", "grant", **case, **grant("egor", "read"))),
        ("a grant to somebody removed", *plain("anna", "grant", **case, **grant("dina", "read"))),
        ("a grant in an old epoch", *plain("anna", "grant", **{**case, "epoch": 1}, **grant("egor", "read"))),
        ("an epoch without the manager", *epoch(grant("boris", "add"), by="boris")),
        ("an epoch that raises a right", *epoch(grant("anna", "manage"), grant("boris", "manage"))),
        ("an epoch for a newcomer", *epoch(grant("anna", "manage"), grant("egor", "read"))),
        ("an epoch for nobody", *epoch()),
        ("two grants to one user", *epoch(grant("anna", "manage"), grant("anna", "manage"))),
        ("a head that shrinks", *plain("anna", "case-head", **case, count=1, hash=s.opened.chain.hashes[1].hex())),
        ("another hash in a head", *plain("anna", "case-head", **case, count=head["count"], hash="05" * 32)),
        ("a head by an outsider", *plain("vera", "case-head", **case, count=head["count"], hash=head["hash"])),
        ("close without the right to manage", *plain("boris", "close", case=s.case.id)),
        ("an unknown field", *plain("anna", "close", case=s.case.id, why="x")),
        ("an unknown kind", *plain("anna", "bless", case=s.case.id)),
        ("a log_size that falls", *plain("anna", "close", case=s.case.id, log_size=3)),
        ("another audit log", "anna", {**s.statement("anna", "close", case=s.case.id), "log_root": "06" * 32}),
        ("another's name", "boris", s.statement("anna", "close", case=s.case.id)),
        ("a time that is no 64-bit number", *plain("anna", "grant", **case, **grant("egor", "read"), time=1 << 63)),
    ]


def details(**own):
    return canonical({"media_type": "text/plain", "modified": 0, "name": "forged", "name_bytes": "", "origin": "", "salt": "00" * 16,
                      "sha256": SHA256(b"forged").hex(), "size": 6, "tags": [], "testimony": None, "title": "", **own})


def added_by(s, by, text=details(), signed=None, **own):
    """(author, statement, row) of a new record."""
    own = {"case": s.case.id, "epoch": s.case.epoch, "record": "E-3", "version": 1,
           "details": SHA256(signed or text).hex(), **own}
    return by, s.statement(by, "version", **own), (text.decode(), SHA256(b"forged"))


def case_forgeries(s):
    """(what it is, author, statement, row)."""
    last, head = s.opened.chain.statements[-1]["log_size"], s.case.heads[-1]["log_size"]

    def version(by, **own):
        return added_by(s, by, **own)

    def withdraw(by, record):
        return by, s.statement(by, "withdraw", case=s.case.id, epoch=s.case.epoch, record=record, reason="r"), None

    return [
        ("by somebody revoked, of the old epoch", *version("egor", epoch=1)),
        ("by somebody revoked, of the old epoch, dated back", *version("egor", epoch=1, log_size=last)),
        ("by somebody revoked, of the new epoch", *version("egor")),
        ("by somebody removed", *version("dina")),
        ("by somebody removed, dated back", *version("dina", log_size=head)),
        ("by an outsider", *version("vera")),
        ("an old epoch", *version("anna", epoch=1)),
        ("an epoch to come", *version("anna", epoch=s.case.epoch + 1)),
        ("dated back", *version("anna", log_size=last)),
        ("a gap in the versions", *version("anna", version=2)),
        ("a record of another kind", *version("anna", record="X-3")),
        ("a testimony without its terms", *version("anna", record="T-1")),
        ("other details than signed", *version("anna", signed=details(title="x"))),
        ("another size", *version("anna", text=details(size=5))),
        ("more details", *version("anna", text=details(more=1))),
        ("another case", *version("anna", case="07" * 16)),
        ("withdrawn without the right to manage", *withdraw("boris", "E-1")),
        ("withdrawn, but still there", *withdraw("anna", "E-1")),
        ("withdrawn, but never there", *withdraw("anna", "E-9")),
    ]


def check(checks, scene, what, forge, user="anna"):
    program = scene.program
    copy = os.path.join(program.folder, "forged")
    shutil.copytree(program.vault, copy)
    forge(copy)
    try:
        list(program.reader(user, copy).check())
        checks.that(False, f"{what}: the reader takes it")
    except Refused:
        checks.that(True, what)
    command = [program.binary, "--vault", copy, "--user", user, "--passphrase-file", program.passphrase_file(user)]
    subprocess.run([*command, "status"], capture_output=True, check=False)  # puts files back that it thinks are lost
    done = subprocess.run([*command, "verify"], capture_output=True, check=False)
    checks.equal(done.returncode, 15, f"{what}: status of casevault verify")
    shutil.rmtree(copy)


def main():
    checks = Checks()
    with temporary_folder() as folder:
        scene = Scene(Program(folder))
        for what, author, statement in catalogue_forgeries(scene):
            # as somebody outside the case, so that it is no missing database that is found
            check(checks, scene, what, lambda vault: scene.forge_catalogue(vault, author, statement), "vera")
        for what, author, statement, row in case_forgeries(scene):
            check(checks, scene, what, lambda vault: scene.forge_case(vault, author, statement, row))

        def add_with_old_key(vault):
            scene.forge_case(vault, *added_by(scene, "anna"))
            count, digest = scene.head
            scene.forge_catalogue(vault, "anna", scene.statement(
                "anna", "case-head", case=scene.case.id, epoch=scene.case.epoch, count=count, hash=digest.hex()))
        check(checks, scene, "added under a key that somebody removed has", add_with_old_key)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
