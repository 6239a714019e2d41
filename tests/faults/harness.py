"""What the fault tests share: running casevault, a filled vault to harm, and the questions asked of it afterwards.

Environment: CASEVAULT_TEST the program (with a cheap Argon2id), CASEVAULT_TEST_DIR the folder for vaults (else TMPDIR),
CASEVAULT_SEED the seed of everything random, printed by each test. A test program takes names of its tests as
arguments.
"""
import errno
import hashlib
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import tty
import unittest

DONE, INTERNAL, USAGE, PARTIAL, NO_VAULT, BUSY = 0, 1, 2, 3, 10, 11
WRONG_PASSPHRASE, NOT_ALLOWED, NOT_FOUND, DAMAGED, NO_AUDIT, DESTROYED, NO_SPACE, INTERRUPTED = 12, 13, 14, 15, 16, 19, 20, 130
SKIPPED = 77
SANITIZER_STATUS = 99
SANITIZER = re.compile(rb"(Address|Leak|Thread|Memory)Sanitizer|: runtime error: ")
PATIENCE = 300  # seconds after which a program that should have ended counts as hung

PASSPHRASES = {
    "anna": "lantern crooked Danube pillow 1848 sparrow",
    "boris": "копыто янтарь восемь шёпот лодка карниз",
    "vera": "vatul-mibir-kodus-pozaf-nihob-zurig",
    "galina": "gravel opaque Tisza 1703 mitten heron",
}
# Calls that change what is on the disk, for strace; those of which the file system has none are not among them.
WRITE_CALLS = ("pwrite64,write,writev,fdatasync,fsync,syncfs,sync_file_range,ftruncate,fallocate,openat,creat,"
               "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir")

SEED = int(os.environ.get("CASEVAULT_SEED") or random.SystemRandom().randrange(1 << 32))
RANDOM = random.Random(SEED)
_roots = []


def program():
    path = os.environ.get("CASEVAULT_TEST")
    if not path:
        sys.exit("CASEVAULT_TEST is not set: the path of the test program, build/…/tests/casevault-test")
    return os.path.abspath(path)


def scratch(name):
    """A new folder, removed when the test program ends."""
    root = tempfile.mkdtemp(prefix=f"casevault-{name}-", dir=os.environ.get("CASEVAULT_TEST_DIR"))
    _roots.append(root)
    return root


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


def noise(size):
    return RANDOM.randbytes(size)


def files_of(folder):
    """The paths of all files below a folder, relative to it, sorted."""
    found = []
    for place, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(place, name), folder) for name in names]
    return sorted(found)


def copy_tree(source, target):
    """Puts `target`, whatever it is, back to a copy of `source`."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)


class Result:
    """How one run ended. `status` is negative where a signal ended it."""

    def __init__(self, args, status, out, err):
        self.args, self.status, self.out, self.err = args, status, out, err

    @property
    def text(self):
        return self.out.decode("utf-8", "replace")

    @property
    def said(self):
        """Both streams, as text."""
        return self.text + self.err.decode("utf-8", "replace")

    def lines(self):
        """The lines of standard output that were written to their end."""
        return self.text.split("\n")[:-1]

    def objects(self):
        return [json.loads(line) for line in self.lines()]

    def __str__(self):
        words = " ".join(str(word) for word in self.args)
        return f"[{words}] ended with status {self.status}\nstdout: {self.out[:3000]!r}\nstderr: {self.err[:3000]!r}"


class Running:
    """A program that was started. Its standard output goes to a pipe, or to a terminal so that lines come when due."""

    def __init__(self, args, env, cwd, stdin=subprocess.DEVNULL, terminal=False):
        self.args, self._out, self._err = args, b"", b""
        if terminal:
            self._master, slave = pty.openpty()
            tty.setraw(slave)
        else:
            self._master, slave = os.pipe()
        data = stdin if isinstance(stdin, bytes) else None
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE if data is not None else stdin, stdout=slave,
                                        stderr=subprocess.PIPE, env=env, cwd=cwd, start_new_session=True)
        os.close(slave)
        self._readers = [threading.Thread(target=self._read_out), threading.Thread(target=self._read_err)]
        for reader in self._readers:
            reader.start()
        if data is not None:
            try:
                self.process.stdin.write(data)
                self.process.stdin.close()
            except BrokenPipeError:
                pass

    def _read_out(self):
        try:
            while data := os.read(self._master, 1 << 20):
                self._out += data
        except OSError as error:
            if error.errno != errno.EIO:  # a terminal that nobody holds any more
                raise
        os.close(self._master)

    def _read_err(self):
        self._err = self.process.stderr.read()

    @property
    def out(self):
        """What it has written so far."""
        return self._out

    def is_running(self):
        return self.process.poll() is None

    def kill(self, number=signal.SIGKILL):
        if self.is_running():
            self.process.send_signal(number)

    def finish(self):
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"{self.args} hangs") from None
        for reader in self._readers:
            reader.join()
        self.process.stderr.close()
        return Result(self.args, status, self._out, self._err)


class Office:
    """A folder with a vault in it, the passphrase files of its users, and a home and temporary folder to stay empty."""

    def __init__(self, root, vault="office.vault"):
        self.root = root
        self.vault = os.path.join(root, vault)
        self.home, self.tmp = os.path.join(root, "home"), os.path.join(root, "tmp")
        for folder in (self.home, self.tmp):
            os.makedirs(folder, exist_ok=True)
        for user, passphrase in PASSPHRASES.items():
            self.set_passphrase(user, passphrase)
        self.count = 0

    def passphrase_file(self, user):
        return os.path.join(self.root, "passphrases", user)

    def set_passphrase(self, user, passphrase):
        os.chmod(write(self.passphrase_file(user), passphrase + "\n"), 0o600)

    def env(self, user):
        return {"PATH": "/usr/bin:/bin", "HOME": self.home, "TMPDIR": self.tmp, "LANG": "C.UTF-8", "TZ": "UTC",
                "CASEVAULT_DIR": self.vault, "CASEVAULT_USER": user}

    def start(self, *args, user="anna", under=(), stdin=subprocess.DEVNULL, terminal=False, passphrase=True, env=None):
        """Starts `casevault ARGS`; `under` is a program with arguments that starts it."""
        words = [*under, program(), *args] + (["--passphrase-file", self.passphrase_file(user)] if passphrase else [])
        return Running(words, {**self.env(user), **(env or {})}, self.root, stdin, terminal)

    def run(self, *args, may_be_killed=False, **options):
        """Runs it to its end. A crash, an internal error or a finding of a sanitizer fails the test at once."""
        return check_sane(self.start(*args, **options).finish(), may_be_killed)

    def ok(self, *args, **options):
        result = self.run(*args, **options)
        assert result.status == DONE, f"this should have worked: {result}"
        return result

    def fresh(self, name="out"):
        """A path in the office at which nothing is yet."""
        self.count += 1
        return os.path.join(self.root, f"{name}-{self.count}")

    # Questions

    def verify(self, **options):
        return self.run("verify", **options)

    def check_clean(self, **options):
        """`verify` finds nothing bad. Returns what it said."""
        result = self.verify(**options)
        assert result.status == DONE and "nothing bad was found" in result.text, f"verify is not clean: {result}"
        return result.text

    def list(self, case, **options):
        """The records of a case by their names."""
        return {entry["object"]: entry for entry in self.ok("--json", "list", case, **options).objects()}

    def contents(self, *objects, **options):
        """What `export` writes for cases and records: content by record. It leaves nothing else in its folder."""
        folder = self.fresh("export")
        exported = self.ok("--json", "export", *objects, "--to", folder, **options).objects()
        contents = {entry["object"]: read(os.path.join(folder, entry["path"])) for entry in exported}
        if exported:
            expected = sorted([entry["path"] for entry in exported] + ["manifest-sha256.txt"])
            assert files_of(folder) == expected, f"{files_of(folder)} was exported instead of {expected}"
            check_manifest(folder)
        shutil.rmtree(folder, ignore_errors=True)
        return contents

    def check_records(self, expected):
        """The newest versions are these, where `expected` maps records to contents; others may be there as well."""
        cases = sorted({record.split("/")[0] for record in expected})
        found = self.contents(*cases)
        for record, content in expected.items():
            now = found.get(record)
            assert now == content, f"{record} is {describe(now)} instead of {describe(content)}"
        return found


def describe(content):
    return "missing" if content is None else f"{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}"


def check_manifest(folder):
    for line in read(os.path.join(folder, "manifest-sha256.txt")).decode().splitlines():
        digest, path = line.split("  ", 1)
        now = hashlib.sha256(read(os.path.join(folder, path))).hexdigest()
        assert now == digest, f"the manifest is wrong about {path}"


def check_sane(result, may_be_killed=False):
    killed = result.status == -signal.SIGKILL and may_be_killed
    assert killed or result.status >= 0, f"it crashed: {result}"
    assert result.status not in (INTERNAL, SANITIZER_STATUS), f"an internal error: {result}"
    assert not SANITIZER.search(result.err), f"a sanitizer report: {result}"
    return result


class FilledOffice(Office):
    """anna owns it, boris is a member, vera an auditor, galina asks to be let in. C-1 is anna's: boris may add to it,
    vera reads it. C-2 is boris's and anna manages it too. Both hold inline contents and bodies; E-1 and T-1 of C-1 have
    two versions."""

    def __init__(self, root):
        super().__init__(root)
        self.sources = os.path.join(root, "sources")
        self.expected = {}  # newest content by record
        self.older = {}     # (record, version) → content
        self.ok("init", "--organisation", "Бюро помощи", "--no-recovery")
        for user, role in (("boris", "member"), ("vera", "auditor")):
            self.ok("user", "join", user, user=user)
            self.ok("user", "approve", user, "--role", role, "--yes")
        self.ok("case", "new", "Дело Ивановой")
        self.ok("case", "grant", "C-1", "boris", "--right", "add")
        self.ok("case", "grant", "C-1", "vera", "--right", "read")
        self.ok("case", "new", "Second matter", user="boris")
        self.ok("case", "grant", "C-2", "anna", "--right", "manage", user="boris")
        self.add("C-1", {"note.txt": "Они пришли ночью.\n".encode(), "снимок.jpg": noise(100_000),
                         "small.bin": noise(3000), "long.pdf": noise(30_000)})
        self.add("C-1", {"record.wav": noise(70_000)}, user="boris")
        self.add("C-2", {"plan.txt": b"a plan of the house", "scan.tif": noise(66_000), "other.tif": noise(66_000)},
                 user="boris")
        self.testify("C-1", "T-1", b"I saw the car.\n", "--witness", "Ласточка", "--language", "en", "--consent",
                     "court")
        self.update("C-1/E-1", "Они пришли утром.\n".encode())
        self.update("C-1/T-1", b"I saw the grey car.\n")
        self.ok("user", "join", "galina", user="galina")
        self.ok("status")  # the last entry of the log is one that the catalogue knows of
        self.pristine = os.path.join(root, "pristine")
        copy_tree(self.vault, self.pristine)
        self.pristine_expected = dict(self.expected), dict(self.older)

    def restore(self):
        """The vault as it was when it was filled, and what is expected of it."""
        copy_tree(self.pristine, self.vault)
        self.expected, self.older = map(dict, self.pristine_expected)

    def source(self, name, content):
        return write(os.path.join(self.sources, name), content)

    def add(self, case, files, user="anna"):
        paths = [self.source(name, content) for name, content in files.items()]
        for added in self.ok("--json", "add", case, *paths, user=user).objects():
            self.expected[added["object"]] = files[added["name"]]

    def testify(self, case, record, text, *options):
        self.ok("testimony", "add", case, "-", *options, stdin=text)
        self.expected[f"{case}/{record}"] = text

    def update(self, record, content):
        self.ok("update", record, self.source("update", content))
        self.older[record, len([known for known, _ in self.older if known == record]) + 1] = self.expected[record]
        self.expected[record] = content

    def check_all(self):
        """Every version of every record is as it was added."""
        self.check_records(self.expected)
        for (record, version), content in self.older.items():
            result = self.ok("cat", record, "--version", str(version))
            now = result.out
            assert now == content, f"{record} version {version} is {describe(now)} instead of {describe(content)}"


# strace

def has_strace():
    try:
        words = ["strace", "-f", "-e", "trace=write", "-o", os.devnull, "true"]
        run = subprocess.run(words, capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return run.returncode == 0


# LeakSanitizer cannot run under a tracer.
UNDER_STRACE = {"ASAN_OPTIONS": "detect_leaks=0", "LSAN_OPTIONS": "detect_leaks=0"}


def strace(log, *options, calls=WRITE_CALLS):
    """The words to put before a command. (Not with --seccomp-bpf: strace 6.1 injects no signals then.)"""
    return ["strace", "-f", "-qq", "-o", log, "-e", f"trace={calls}", "-e", "signal=none", *options, "--"]


class Call:
    """One system call of an undisturbed run: the how manieth of its name in its thread, which is how strace counts."""

    def __init__(self, name, number, line):
        self.name, self.number, self.line = name, number, line

    def __str__(self):
        return f"{self.name} number {self.number}: {self.line}"


def calls_in(log):
    """The calls of a strace log that change something."""
    seen, calls = {}, []
    for line in read(log).decode("utf-8", "replace").splitlines():
        match = re.match(r"(\d+) +(\w+)\(", line)
        if not match:
            continue
        seen[match.groups()] = seen.get(match.groups(), 0) + 1
        if match.group(2) == "openat" and not re.search(r"O_CREAT|O_TRUNC", line):
            continue
        calls.append(Call(match.group(2), seen[match.groups()], line[:160]))
    return calls


def spread(count, size):
    """`count` random places below `size`, one in each of `count` equal parts."""
    return [min(size - 1, int((part + RANDOM.random()) * size / count)) for part in range(count)]


# Small disks

def in_own_mounts():
    """Starts this program again where it may mount, and what it mounts goes when it ends. False where it must not."""
    if os.environ.get("CASEVAULT_OWN_MOUNTS"):
        return True
    as_root = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["unshare", *as_root, "--mount", "--propagation", "private"]
    mount = [*unshare, "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            return False
    except FileNotFoundError:
        return False
    os.execvpe(unshare[0], [*unshare, sys.executable, *sys.argv], {**os.environ, "CASEVAULT_OWN_MOUNTS": "1"})


class Disk:
    """A file system of its own, in memory."""

    def __init__(self, folder, size):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
        self.filler = os.path.join(folder, "filler")

    def free(self):
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def leave(self, size):
        """Fills it up so that `size` bytes are free, rounded up to a page."""
        self.clear()
        with open(self.filler, "wb") as file:
            taken = self.free() - size
            if taken > 0:
                os.posix_fallocate(file.fileno(), 0, taken)

    def clear(self):
        if os.path.exists(self.filler):
            os.remove(self.filler)

    def make_read_only(self, read_only):
        subprocess.run(["mount", "-o", f"remount,bind,{'ro' if read_only else 'rw'}", self.folder], check=True)


# Running tests

class FaultTest(unittest.TestCase):
    longMessage = True


def number_from(variable, default):
    return int(os.environ.get(variable) or default)


def main():
    """Runs the tests of the program's module; 77 where all are skipped."""
    print(f"seed: CASEVAULT_SEED={SEED}", flush=True)
    try:
        result = unittest.main(verbosity=2, exit=False, catchbreak=False).result
    finally:
        for root in _roots:
            subprocess.run(["chmod", "-R", "u+rwX", root], capture_output=True, check=False)
            shutil.rmtree(root, ignore_errors=True)
    if not result.wasSuccessful():
        print(f"again: CASEVAULT_SEED={SEED} {sys.argv[0]}")
        sys.exit(1)
    sys.exit(SKIPPED if result.testsRun > 0 and len(result.skipped) == result.testsRun else 0)
