#!/usr/bin/python3
"""Makes a vault with the program, reads it with the independent reader, and compares what comes out with what went in.

Then damages one file after the other, and puts old files back, and expects the reader to refuse.
"""
import os
import shutil
import sys

from casevault_functions import read
from casevault_program import Checks, Program, temporary_folder
from casevault_reader import Header, find_slot, passphrase_of

WITHDRAWN = "таємнесвідчення withdrawnwordofawitness\n".encode()
TESTIMONY = "Слова свідка — word by word.\n".encode()
FILES = {"empty": 0, "small": 11, "inline.bin": 65536, "body.bin": 65537, "large.bin": 200 * 1024,
         "Показания.bin": 3000}


class Story:
    """What was done in the vault, and what is to be found in it: the bytes of each version, by user."""

    def __init__(self, program, checks):
        self.program, self.checks, self.content = program, checks, {}

    def add(self, user, case, *files):
        """files: (path, content, record)."""
        self.program.run(user, "add", case, *[path for path, _, _ in files])
        for _, content, record in files:
            self.content[f"{case}/{record}@1"] = content

    def update(self, user, record, version, content):
        self.program.run(user, "update", record, self.program.write(f"update-{version}", content))
        self.content[f"{record}@{version}"] = content

    def testify(self, user, case, record, words):
        self.program.run(user, "testimony", "add", case, "-", "--witness", "Ластівка", "--consent", "for the court",
                         "--language", "uk", "--taken-at", "2024-05-01", "--place", "Харків", content=words)
        self.content[f"{case}/{record}@1"] = words

    def withdraw(self, user, record):
        self.program.run(user, "withdraw", record, "--reason", "consent withdrawn")
        for name in [name for name in self.content if name.startswith(record + "@")]:
            del self.content[name]

    def check(self, user, cases):
        """That the reader finds all of these cases and nothing else."""
        reader = self.program.reader(user)
        found = {f"{case.what}/{v.record}@{v.version}": case.content(v) for case, v in reader.versions()}
        expected = {name: content for name, content in self.content.items() if name.split("/")[0] in cases}
        self.checks.equal(sorted(found), sorted(expected), f"what {user} can read")
        for name, content in expected.items():
            self.checks.that(found.get(name) == content, f"{user} reads other bytes in {name}")
            self.checks.that(reader.cat(name) == content, f"cat {name} as {user}")
        counts = {what: count for count, what in reader.check()}
        self.checks.equal(counts["leftover bodies of these cases"], 0, f"leftovers that {user} sees")
        return reader


def first_half(story):
    """Users, a case, and files of all sizes."""
    program = story.program
    program.run("anna", "init", "--organisation", "Дім \"правди\"", "--no-recovery")
    story.check("anna", [])
    program.run("борис", "user", "join", "борис")
    story.checks.equal([u["name"] for u in program.reader("anna").requests()], ["борис"], "requests to join")
    story.checks.refused(lambda: program.reader("борис"), "slots: none opens", "somebody not let in yet")
    program.run("anna", "user", "approve", "борис", "--role", "member")
    story.check("борис", [])  # the slot has no key yet: it comes from the handover
    for user, role in (("vera", "auditor"), ("dana", "auditor"), ("gleb", "owner")):
        program.enrol("anna", user, role)
    program.run("anna", "case", "new", "Справа №1 \\ \"quoted\"")
    contents = {name: os.urandom(size) for name, size in FILES.items()}
    story.add("anna", "C-1", *[(program.write(name, content), content, f"E-{number}")
                               for number, (name, content) in enumerate(contents.items(), 1)])
    story.check("борис", [])
    program.run("anna", "case", "grant", "C-1", "борис", "--right", "add")
    story.testify("борис", "C-1", "T-1", TESTIMONY)
    story.testify("борис", "C-1", "T-2", WITHDRAWN)
    story.update("борис", "C-1/E-2", 2, os.urandom(204_801))
    story.update("anna", "C-1/E-5", 2, b"")
    story.check("anna", ["C-1"])
    story.check("борис", ["C-1"])


def second_half(story):
    """Everything that takes rights, contents and keys away."""
    program, checks = story.program, story.checks
    program.run("anna", "case", "revoke", "C-1", "борис")
    story.check("борис", [])
    program.run("anna", "case", "grant", "C-1", "борис", "--right", "read")
    story.check("борис", ["C-1"])
    story.withdraw("anna", "C-1/T-2")
    story.withdraw("anna", "C-1/E-5")
    photos = [os.urandom(60_000) for _ in range(30)]  # so many small ones share a body
    story.add("anna", "C-1", *[(program.write(f"photo-{i:02}.bin", photo), photo, f"E-{7 + i}")
                               for i, photo in enumerate(photos)])
    story.withdraw("anna", "C-1/E-9")
    checks.refused(lambda: program.reader("anna").cat("C-1/T-2"), "C-1/T-2: is not there", "a withdrawn testimony")
    program.run("борис", "case", "new", "Справа №2")
    story.add("борис", "C-2", (os.path.join(program.folder, "body.bin"), story.content["C-1/E-4@1"], "E-1"))
    program.run("борис", "case", "grant", "C-2", "anna", "--right", "add")
    program.run("gleb", "user", "remove", "борис", "--abandon-cases")  # he alone manages C-2
    checks.refused(lambda: program.reader("борис"), "slots: none opens", "a removed user")
    story.check("anna", ["C-1", "C-2"])  # her slot has the catalogue key of the epoch before
    story.add("anna", "C-2", (program.write("new", b"new"), b"new", "E-2"))
    program.run("anna", "user", "remove", "dana")  # which renews the audit key
    old = passphrase_of(program.passphrase_file("anna"))
    new = program.passphrase_file("new", "нова обитель серпень дзвін ялівець")
    program.run("anna", "user", "passphrase", "--new-passphrase-file", new)
    os.replace(new, program.passphrase_file("anna"))
    header, slots = Header(read(program.vault, "vault.json")), read(program.vault, "slots")
    checks.refused(lambda: find_slot(header, "anna", old, slots), "slots: none opens", "the old passphrase")
    program.enrol("anna", "борис", "member")  # a new user with an old name
    story.check("борис", [])
    program.run("gleb", "case", "new", "Третя")
    story.add("gleb", "C-3", (program.write("third", b"third"), b"third", "E-1"))
    program.run("gleb", "case", "close", "C-3")
    story.withdraw("gleb", "C-3/E-1")
    story.check("gleb", ["C-3"])
    story.check("vera", [])
    return story.check("anna", ["C-1", "C-2"])


def check_withdrawn(checks, reader):
    """That nothing of what was withdrawn is left in the case's database, its index of words, or the bodies."""
    case = reader.opened()[0]
    name = f"cases/{case.case.id}.{case.case.epoch}.db"
    pages = case.database.serialize()
    checks.that(TESTIMONY in pages, "the database is not where contents are looked for")
    for word in WITHDRAWN.decode().split():
        checks.that(word.encode() not in pages, f"{word} is still in {name}")
    names = {body for _, _, files in os.walk(os.path.join(reader.vault, "bodies")) for body in files}
    checks.equal(names, {v.body for _, v in reader.versions() if v.body}, "files in bodies/")
    databases = {file for file in os.listdir(os.path.join(reader.vault, "cases")) if file.endswith(".db")}
    checks.equal(databases, {f"{c.id}.{c.epoch}.db" for c in reader.catalogue.cases.values()}, "files in cases/")


def check_audit(checks, program, reader):
    entries = reader.entries()
    checks.equal(entries, program.reader("vera").entries(), "the entries that two readers of the log see")
    names = {user.id: user.name for user in reader.catalogue.users.values()}
    done = [(names.get(e["by"]), e["action"], e["objects"]) for e in entries if e["outcome"] == "done"]
    for expected in [("anna", "init", ""), ("anna", "withdraw", "C-1/T-2"), ("gleb", "user-remove", "борис")]:
        checks.that(expected in done, f"the log does not tell of {expected}")
    checks.refused(lambda: program.reader("борис").entries(), "audit/log: members", "a member reads the log")
    program.write("wrong", b"wrong passphrase\n")
    try:
        program.run("anna", "list", "C-1", passphrase_file=os.path.join(program.folder, "wrong"))
        checks.that(False, "a wrong passphrase opens the vault")
    except AssertionError:
        last = program.reader("anna").entries()[-1]
        checks.equal((last["action"], last["by"], last["outcome"]), ("unlock", "", "failed"), "a failed unlock")


# Damage

def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset, os.SEEK_SET if offset >= 0 else os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def cut(path, size):
    os.truncate(path, os.path.getsize(path) - size)


def damages(reader):
    """(file, what is done to its path, how the reader's reason begins)."""
    anna, opened = reader.catalogue.users[reader.user.id], reader.opened()[0]
    case = f"cases/{opened.case.id}.{opened.case.epoch}.db"
    body = max((v for _, v in reader.versions() if v.body), key=lambda v: v.details["size"])
    body, where = f"bodies/{body.body[:2]}/{body.body}", opened.name(body)
    gleb = next(user for user in reader.catalogue.active() if user.name == "gleb")
    handover, log = f"handover/{reader.epoch}", "audit/log"
    pages = os.path.getsize(os.path.join(reader.vault, case)) // 4096
    return [
        ("vault.json", lambda p: flip(p, 3), "vault.json: "),
        ("vault.json", lambda p: flip(p, -20), "vault.json: "),
        ("slots", lambda p: flip(p, 1024 * anna.slot + 30), "slots: none opens"),
        ("slots", lambda p: flip(p, 1024 * anna.slot + 60), f"slots: slot {anna.slot}: does not decrypt"),
        ("slots", lambda p: flip(p, 1024 * gleb.slot + 1000), f"slots: slot {gleb.slot}, of gleb, is changed"),
        ("slots", lambda p: cut(p, 1), "slots: has 65535 bytes"),
        (handover, lambda p: flip(p, 777), f"{handover}: is changed"),
        (handover, os.remove, f"{handover}: is missing"),
        ("catalog.db", lambda p: flip(p, 5), "catalog.db: "),
        ("catalog.db", lambda p: flip(p, 100), "catalog.db: page 1 "),
        ("catalog.db", lambda p: flip(p, 4095), "catalog.db: page 1 "),
        ("catalog.db", lambda p: flip(p, 3 * 4096 - 70), "catalog.db: page 3 "),
        ("catalog.db", lambda p: cut(p, 4096), "catalog.db: "),
        (case, lambda p: flip(p, 4096 * pages - 2000), f"{case}: page {pages} "),
        (case, lambda p: cut(p, 1), f"{case}: "),
        (case, os.remove, f"{case}: is missing"),
        (case, lambda p: write(p + "-journal", b"12345678"), f"{case}-journal: an interrupted change"),
        (body, lambda p: flip(p, 0), f"{where}: chunk 0 "),
        (body, lambda p: flip(p, 16 + 65552 + 1), f"{where}: chunk 1 "),
        (body, lambda p: flip(p, -1), f"{where}: chunk 3 "),
        (body, lambda p: cut(p, os.path.getsize(p) - 16 - 65552), f"{where}: chunk 0 "),
        (body, os.remove, body),
        (log, lambda p: flip(p, 512), "audit/log: no record of version 1"),
        (log, lambda p: flip(p, 512 * 7 + 300), "audit/log: is not the log of log_head"),
        (log, lambda p: cut(p, 512 * 5), "audit/log: is not the log of log_head"),
    ]


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def check_damages(checks, program, reader):
    for file, damage, reason in damages(reader):
        copy = os.path.join(program.folder, "damaged")
        shutil.copytree(program.vault, copy)
        damage(os.path.join(copy, file))
        checks.refused(lambda: list(program.reader("anna", copy).check()), reason, f"damage to {file}")
        shutil.rmtree(copy)


def check_old_files(checks, program, reader):
    """Whole files of an earlier time, put back by somebody who can write to the folder."""
    case = reader.opened()[1].case
    name = f"cases/{case.id}.{case.epoch}.db"
    saved = os.path.join(program.folder, "saved")
    shutil.copytree(program.vault, saved)
    program.run("anna", "add", "C-2", program.write("later", b"later"))
    program.run("gleb", "user", "remove", "борис", "--abandon-cases")  # he alone manages C-2
    for files, user, reason in [
            ([name], "anna", "C-2: is not what the catalogue says"),
            (["catalog.db"], "gleb", "catalog.db: neither slot nor handover has its key"),
            (["slots"], "борис", "catalog.db: neither slot nor handover has its key"),
            (["audit/log"], "anna", "audit/log: is not the log of log_head")]:
        copy = os.path.join(program.folder, "old")
        shutil.copytree(program.vault, copy)
        for file in files:
            shutil.copy(os.path.join(saved, file), os.path.join(copy, file))
        checks.refused(lambda: program.reader(user, copy), reason, f"an old {files}")
        shutil.rmtree(copy)


def check_old_catalogue(checks, program):
    """The catalogue alone, of the same epoch: the audit log remembers a newer head of its chain."""
    copy = os.path.join(program.folder, "old")
    shutil.copytree(program.vault, copy)
    program.run("anna", "case", "new", "Четверта")
    program.run("anna", "list", "C-4")
    shutil.copy(os.path.join(program.vault, "audit", "log"), os.path.join(copy, "audit", "log"))
    checks.refused(lambda: program.reader("anna", copy), "catalogue: older than the audit log says", "an old catalogue")


def check_real_cost(checks, folder):
    """The program as people have it, with its real cost of Argon2id."""
    program = Program(folder, "CASEVAULT")
    program.vault = os.path.join(folder, "real")
    program.run("dora", "init", "--organisation", "Архів", "--no-recovery")
    reader = program.reader("dora")
    checks.that(reader.header.memory >= 64 << 20, "the real program's Argon2id is cheap")
    checks.equal([e["action"] for e in reader.entries()][0], "init", "the first entry of a new vault")


def main():
    checks = Checks()
    with temporary_folder() as folder:
        story = Story(Program(folder), checks)
        first_half(story)
        reader = second_half(story)
        check_withdrawn(checks, reader)
        check_audit(checks, story.program, reader)
        check_damages(checks, story.program, reader)
        check_old_files(checks, story.program, reader)
        check_old_catalogue(checks, story.program)
        check_real_cost(checks, folder)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
