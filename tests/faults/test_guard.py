"""The guard: what it runs, what locks it, and that it serves nobody else.

Real processes and signals; what is waited for is an event, never a time.
"""
import array
import glob
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

from harness import (BUSY, DESTROYED, DONE, INTERRUPTED, NOT_ALLOWED, PASSPHRASES, PATIENCE, USAGE, WRONG_PASSPHRASE,
                     FaultTest, Office, main, read, scratch, write)



TITLE = "Kowalczyk and others"


def wait_until(condition, what):
    """Returns what `condition` gives once it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.002)
    return value


def parent_of(pid):
    try:
        fields = read(f"/proc/{pid}/stat").decode("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[1])


def children_of(pid):
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(name) == pid]


def keepers_of(supervisor):
    """Its children but the one that listens to custodians: a keeper begins a session."""
    def begins_session(pid):
        try:
            return os.getsid(pid) == pid
        except ProcessLookupError:
            return False
    return [pid for pid in children_of(supervisor) if begins_session(pid)]


def is_alive(pid):
    return parent_of(pid) is not None


def open_descriptors(pid):
    """How many there are; 0 where only root may look."""
    return len(os.listdir(f"/proc/{pid}/fd")) if os.geteuid() == 0 else 0


def memory_of(pid):
    """Everything that a process can read of itself."""
    pieces = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in read(f"/proc/{pid}/maps").decode().splitlines():
            place, rights = line.split()[:2]
            begin, end = (int(part, 16) for part in place.split("-"))
            if "r" not in rights or "[v" in line:
                continue
            try:
                memory.seek(begin)
                pieces.append(memory.read(end - begin))
            except OSError:
                pass  # a guard page
    return b"\0".join(pieces)


def slot_key(vault, user, passphrase):
    """docs/format.md section 4."""
    from nacl import bindings as sodium
    header = json.loads(read(os.path.join(vault, "vault.json")))
    salt = hashlib.blake2b(bytes.fromhex(header["salt"]) + user.encode(), digest_size=16).digest()
    cost = header["argon2id"]
    stretched = sodium.crypto_pwhash_alg(32, passphrase.encode(), salt, cost["passes"], cost["memory_bytes"],
                                         sodium.crypto_pwhash_ALG_ARGON2ID13)
    label = b"casevault/v1/slot\0" + bytes.fromhex(header["vault"])
    return hashlib.blake2b(label, key=stretched, digest_size=32).digest()


def encode(*texts):
    texts = [text if isinstance(text, bytes) else text.encode() for text in texts]
    return b"".join(struct.pack(">I", len(text)) + text for text in texts)


class GuardedOffice(Office):
    def __init__(self, root):
        super().__init__(root)
        self.guards = []
        self.runtime = os.path.join(root, "run")
        os.mkdir(self.runtime, 0o700)

    def env(self, user):
        return {**super().env(user), "XDG_RUNTIME_DIR": self.runtime}

    def bare(self, *args, **options):
        """A command without a passphrase."""
        return self.run(*args, passphrase=False, **options)

    def unlock(self, *args, **options):
        return self.ok("unlock", *args, **options)

    def is_unlocked(self):
        status = self.bare("case", "list").status
        assert status in (DONE, USAGE), status
        return status == DONE

    @property
    def sockets(self):
        return os.path.join(self.runtime, "casevault")

    def socket_path(self):
        return next(iter(glob.glob(os.path.join(self.sockets, "*.sock"))), None)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(self.socket_path())
        connection.settimeout(PATIENCE)
        return connection

    def supervisor(self):
        with self.connect() as connection:
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return struct.unpack("3i", peer)[0]

    def keeper(self):
        """The keeper of a guard that is unlocked and runs nothing."""
        [keeper] = keepers_of(self.supervisor())
        return keeper

    def start_guard(self, *args, **options):
        """A guard in the foreground, once it serves."""
        running = self.start("guard", *args, passphrase=False, **options)
        self.guards.append(running)
        wait_until(lambda: self.socket_path() or not running.is_running(), "a guard that serves")
        assert running.is_running(), running.finish()
        return running

    def start_long_command(self):
        """`testimony add` that waits for its text. Returns it, what it reads from, and its process in the keeper."""
        keeper = self.keeper()
        reading, writing = os.pipe()
        running = self.start("testimony", "add", "C-1", "-", "--witness", "W", "--language", "en", "--consent", "court",
                             passphrase=False, stdin=reading)
        os.close(reading)
        [process] = wait_until(lambda: children_of(keeper), "a command in the keeper")
        return running, writing, process

    def end_guards(self):
        self.run("panic", passphrase=False)
        for guard in self.guards:
            guard.kill(signal.SIGTERM)
            guard.finish()
        self.guards.clear()


class GuardTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        cls.office = GuardedOffice(scratch("guard"))
        cls.office.ok("init", "--organisation", "X", "--no-recovery")
        cls.office.ok("case", "new", TITLE)

    def tearDown(self):
        self.office.end_guards()

    # What it runs

    def test_commands_run_as_if_they_ran_here(self):
        office = self.office
        office.unlock()
        path = write(os.path.join(office.root, "письмо.txt"), "Они пришли ночью.\n")
        added = office.ok("--json", "add", "C-1", os.path.basename(path), passphrase=False).objects()[0]
        self.assertEqual(office.ok("cat", added["object"], passphrase=False).out, read(path))
        self.assertEqual(office.bare("cat", "C-1/E-99").status, 14)
        strange = write(os.path.join(office.root.encode(), b"not\xffutf8"), "x")
        office.ok("add", "C-1", strange, passphrase=False)
        many = [write(os.path.join(office.root, "many", f"{i:0200}"), str(i)) for i in range(800)]  # over 64 KiB of words
        office.ok("add", "C-1", *many, passphrase=False)
        reading, writing = os.pipe()  # whoever reads has had enough
        os.close(reading)
        closed = subprocess.run([os.environ["CASEVAULT_TEST"], "list", "C-1"], env=office.env("anna"), stdout=writing,
                                stderr=subprocess.PIPE, check=False)
        os.close(writing)
        self.assertEqual(closed.returncode, 1)
        self.assertEqual(children_of(office.keeper()), [])

    def test_a_signal_to_the_client_interrupts_the_command(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.office.unlock()
            running, writing, process = self.office.start_long_command()
            running.kill(number)
            self.assertEqual(running.finish().status, INTERRUPTED)
            os.close(writing)
            wait_until(lambda process=process: not is_alive(process), "the command ended")
            self.assertTrue(self.office.is_unlocked())

    def test_the_command_ends_with_its_client(self):
        self.office.unlock()
        running, writing, process = self.office.start_long_command()
        running.kill()
        running.finish()
        wait_until(lambda: not is_alive(process), "the command ended")
        os.close(writing)
        self.assertTrue(self.office.is_unlocked())

    def test_commands_without_need_of_it_are_refused(self):
        """Whoever speaks to the socket directly is the same user, but gets nothing else run."""
        office = self.office
        office.unlock()
        details = os.memfd_create("details")
        os.write(details, encode("3", "user", "join", "x", "CASEVAULT_DIR", office.vault))
        with self.office.connect() as connection, open(os.devnull, "r+b") as null, open(office.root + "/said", "wb") as said:
            folder = os.open(office.root, os.O_PATH)
            fds = array.array("i", [details, folder, null.fileno(), said.fileno(), said.fileno()])
            connection.sendmsg([encode("run", "anna", "", "0", "1", "2")],
                               [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            answer = connection.recv(1 << 16)
            os.close(folder)
        os.close(details)
        self.assertEqual(answer, encode("status", "1"))
        self.assertIn(b"not for it", read(office.root + "/said"))

    # What locks

    def check_locks(self, act, **options):
        """`act` ends the keeper and a command that is running, whose client says so."""
        self.office.unlock(**options)
        keeper = self.office.keeper()
        running, writing, process = self.office.start_long_command()
        act()
        result = running.finish()
        os.close(writing)
        self.assertEqual(result.status, INTERRUPTED, str(result))
        self.assertIn("the vault was locked", result.said)
        wait_until(lambda: not is_alive(keeper) and not is_alive(process), "keeper and command ended")
        self.assertFalse(self.office.is_unlocked())

    def test_lock_ends_what_runs(self):
        self.check_locks(lambda: self.office.ok("lock", passphrase=False))
        self.assertEqual(self.office.verify().status, DONE)

    def test_lock_kills_what_does_not_end(self):
        office = self.office
        office.unlock()
        running, writing, process = office.start_long_command()
        os.kill(process, signal.SIGSTOP)
        office.ok("lock", passphrase=False)
        self.assertFalse(is_alive(process))
        self.assertEqual(running.finish().status, INTERRUPTED)
        os.close(writing)

    def test_panic_ends_a_guard_that_hangs(self):
        def act():
            os.kill(supervisor[0], signal.SIGSTOP)
            self.office.ok("panic", passphrase=False)
        self.office.unlock()
        supervisor = [self.office.supervisor()]
        self.check_locks(act)
        self.assertFalse(is_alive(supervisor[0]))

    def test_panic_ends_sessions_without_a_guard(self):
        reading, writing = os.pipe()
        running = self.office.start("testimony", "add", "C-1", "-", "--witness", "W", "--language", "en", "--consent",
                                    "court", stdin=reading)
        os.close(reading)
        inode = os.stat(os.path.join(self.office.vault, "slots")).st_ino
        wait_until(lambda: f":{inode} " in read("/proc/locks").decode(), "the session's lock")
        panic = self.office.ok("--json", "panic", passphrase=False)
        self.assertEqual(panic.objects()[0]["ended"], 1)
        self.assertEqual(running.finish().status, INTERRUPTED)
        os.close(writing)

    def test_panic_locks_where_the_header_is_damaged(self):
        self.office.unlock()
        keeper = self.office.keeper()
        header = os.path.join(self.office.vault, "vault.json")
        before = read(header)
        write(header, "{}")
        try:
            self.office.ok("panic", passphrase=False)
            self.assertFalse(is_alive(keeper))
        finally:
            write(header, before)

    def test_signals(self):
        guard = self.office.start_guard()
        self.check_locks(lambda: guard.kill(signal.SIGUSR1))
        self.assertTrue(guard.is_running(), "SIGUSR1 only locks")
        self.check_locks(lambda: guard.kill(signal.SIGTERM))
        result = guard.finish()
        self.assertEqual(result.status, DONE, str(result))
        self.assertIn("locked: a signal asked for it", result.said)
        self.assertIsNone(self.office.socket_path())

    def test_nothing_outlives_a_killed_guard(self):
        def act():
            os.kill(supervisor[0], signal.SIGKILL)
        self.office.unlock()
        supervisor = [self.office.supervisor()]
        self.check_locks(act)
        self.assertIsNotNone(self.office.socket_path(), "a stale socket")
        self.office.unlock()
        self.assertTrue(self.office.is_unlocked())

    def test_a_killed_keeper_is_a_locked_vault(self):
        guard = self.office.start_guard()
        self.check_locks(lambda: os.kill(keepers_of(guard.process.pid)[0], signal.SIGKILL))
        self.assertTrue(guard.is_running())
        self.office.unlock()
        self.assertTrue(self.office.is_unlocked())

    def test_usb_key_taken_out(self):
        key = write(os.path.join(self.office.root, "by-id", "usb-key"), "")
        self.assertEqual(self.office.run("guard", "--usb-key", key + "-other", passphrase=False).status, USAGE)
        self.office.start_guard("--usb-key", key)
        self.check_locks(lambda: os.remove(key))
        refused = self.office.run("unlock")
        self.assertEqual(refused.status, NOT_ALLOWED, str(refused))
        write(key, "")
        self.office.unlock()

    def test_idle(self):
        """The shortest time that there is: a minute, during which nothing is done."""
        self.office.unlock("--idle", "1")
        supervisor, keeper = self.office.supervisor(), self.office.keeper()
        began = time.monotonic()
        wait_until(lambda: not is_alive(keeper), "idle for a minute")
        self.assertGreater(time.monotonic() - began, 30)
        wait_until(lambda: not is_alive(supervisor), "a guard that unlock started ends when it locks")
        self.assertIsNone(self.office.socket_path())

    def test_logind(self):
        try:
            import dbus  # noqa: F401
            from gi.repository import GLib  # noqa: F401
        except ImportError:
            self.skipTest("needs python3-dbus and python3-gi")
        if not shutil.which("dbus-daemon"):
            self.skipTest("needs dbus-daemon")
        bus = Bus(self.office.root)
        self.addCleanup(bus.end)
        bus.expect("ready")
        guard = self.office.start_guard(env=bus.env)
        bus.expect("inhibited")
        self.check_locks(lambda: bus.tell("sleep"))
        bus.expect("let go")
        bus.tell("wake")
        bus.expect("inhibited")
        self.check_locks(lambda: bus.tell("lock"))
        guard.kill(signal.SIGTERM)
        said = guard.finish().said
        self.assertIn("locked: the machine goes to sleep", said)
        self.assertIn("locked: the screen was locked", said)
        self.assertNotIn("do not lock the vault", said)

    def test_without_logind_it_is_said_once(self):
        """There is no bus, or nobody by that name on it."""
        environments = {"there is no system bus": {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}}
        if shutil.which("dbus-daemon"):
            bus = Bus(self.office.root, logind=False)
            self.addCleanup(bus.end)
            environments["there is no logind"] = bus.env
        for why, env in environments.items():
            guard = self.office.start_guard(env=env)
            self.check_locks(lambda: self.office.ok("lock", passphrase=False))
            guard.kill(signal.SIGTERM)
            said = guard.finish().said
            self.assertEqual(said.count("do not lock the vault"), 1, said)
            self.assertIn(why, said)

    # Who is served

    def test_two_guards(self):
        guard = self.office.start_guard()
        self.assertEqual(self.office.bare("guard").status, BUSY)
        self.assertEqual(self.office.bare("guard", "--background").status, BUSY)
        self.office.unlock()
        self.assertEqual(len(keepers_of(guard.process.pid)), 1)
        self.office.ok("lock", passphrase=False)
        self.assertTrue(guard.is_running(), "it stays, locked")

    def test_unlocks_at_once_start_one_guard(self):
        runs = [self.office.start("unlock") for _ in range(8)]
        for running in runs:
            result = running.finish()
            self.assertIn(result.status, (DONE, BUSY), str(result))
        self.assertTrue(self.office.is_unlocked())
        wait_until(lambda: len(keepers_of(self.office.supervisor())) == 1, "former keepers ended")

    def test_unlocking_again_ends_no_command(self):
        office = self.office
        office.unlock()
        running, writing, _ = office.start_long_command()
        office.unlock()
        self.assertTrue(office.is_unlocked())
        os.write(writing, b"I saw it.\n")
        os.close(writing)
        self.assertEqual(running.finish().status, DONE)
        wait_until(lambda: len(keepers_of(office.supervisor())) == 1, "the former keeper ended")

    def test_wrong_passphrase_leaves_nothing(self):
        self.office.set_passphrase("vera", "wrong")
        result = self.office.run("unlock", "--passphrase-file", self.office.passphrase_file("vera"), passphrase=False)
        self.office.set_passphrase("vera", PASSPHRASES["vera"])
        self.assertEqual(result.status, WRONG_PASSPHRASE)
        wait_until(lambda: self.office.socket_path() is None, "the guard ended")

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to be somebody else")
    def test_others_are_not_served(self):
        office = self.office
        office.unlock()
        for folder in (office.root, office.runtime, office.sockets):
            os.chmod(folder, 0o755)
        os.chmod(office.socket_path(), 0o777)
        attempt = ("import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
                   "s.settimeout(60)\ns.connect(sys.argv[1])\n"
                   "try:\n  s.send(bytes.fromhex(sys.argv[2]))\n  print(s.recv(100))\n"
                   "except (BrokenPipeError, ConnectionResetError):\n  print(b'')")
        words = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c", attempt]
        answer = subprocess.run([*words, office.socket_path(), encode("lock").hex()], capture_output=True, check=True)
        self.assertEqual(answer.stdout.strip(), b"b''")
        self.assertTrue(office.is_unlocked())
        os.chmod(office.root, 0o700)

    def test_folders_that_others_may_change_are_refused(self):
        office = self.office
        shutil.rmtree(office.sockets, ignore_errors=True)
        elsewhere = os.path.join(office.root, "elsewhere")
        os.makedirs(elsewhere, exist_ok=True)

        def refused():
            result = office.run("unlock")
            self.assertEqual(result.status, NOT_ALLOWED, str(result))
            self.assertIn("not yours alone", result.said)
            self.assertEqual(office.run("case", "list").status, DONE)
            self.assertEqual(office.bare("case", "list").status, USAGE)

        os.symlink(elsewhere, office.sockets)
        refused()
        os.remove(office.sockets)
        os.mkdir(office.sockets)
        os.chmod(office.sockets, 0o770)
        refused()
        if os.geteuid() == 0:
            os.chmod(office.sockets, 0o700)
            os.chown(office.sockets, 65534, 65534)
            refused()
        os.rmdir(office.sockets)

    def test_strange_messages(self):
        """Too long, cut, noise, unknown, too many descriptors: nothing is kept of them, and it goes on serving."""
        office = self.office
        office.unlock()
        supervisor = office.supervisor()
        keeper = office.keeper()
        noise = random.Random(1)
        descriptors = open_descriptors(supervisor)
        null = os.open(os.devnull, os.O_RDONLY)
        strange = [bytes(100_000), bytes(65_537), b"\0", b"\0\0\0\1", struct.pack(">I", 0xFFFFFFFF) + b"x",
                   encode("unknown"), encode("run"), encode("run", "anna"), encode("run", "anna", "terminal"),
                   encode("run", "anna", "", "-1"), encode("run", "anna", "", "0", "0"), encode("unlock"),
                   encode("unlock", "anna", "99999999"), encode("unlock", "anna", "1"), encode("retire"),
                   encode("open"), encode("failed"), encode(*["x"] * 300)]
        strange += [noise.randbytes(noise.randrange(1, 2000)) for _ in range(300)]
        for message in strange:
            with office.connect() as connection:
                connection.send(message)
                try:
                    connection.recv(1 << 16)
                except ConnectionResetError:
                    pass
        for count in (1, 60, 200):
            with office.connect() as connection:
                connection.sendmsg([encode("run", "anna", "", *map(str, range(count)))],
                                   [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [null] * count))])
                try:
                    connection.recv(1 << 16)
                except ConnectionResetError:
                    pass
        os.close(null)
        self.assertTrue(office.is_unlocked())
        self.assertEqual(office.keeper(), keeper)
        wait_until(lambda: open_descriptors(supervisor) <= descriptors, "descriptors are given back")

    def test_silent_peers_hold_nobody_up(self):
        office = self.office
        office.unlock()
        silent = [office.connect() for _ in range(200)]
        self.assertTrue(office.is_unlocked())
        office.ok("lock", passphrase=False)
        for connection in silent:
            connection.close()

    # What is in whose memory

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to read the memory of processes")
    def test_secrets_are_where_they_should_be(self):
        office = self.office
        try:
            key = slot_key(office.vault, "anna", PASSPHRASES["anna"])
        except ImportError:
            self.skipTest("needs python3-nacl")
        office.unlock()
        office.ok("case", "list", passphrase=False)
        keeper, supervisor = memory_of(office.keeper()), memory_of(office.supervisor())
        passphrase = PASSPHRASES["anna"].encode()
        self.assertTrue(key in keeper, "the test finds nothing: it shows nothing")
        self.assertFalse(key in supervisor)
        for who, memory in (("keeper", keeper), ("supervisor", supervisor)):
            self.assertFalse(passphrase in memory, f"the passphrase, in the {who}")
            self.assertFalse(TITLE.encode() in memory, f"the title of a case, in the {who}")
        pid = office.supervisor()
        words = read(f"/proc/{pid}/cmdline") + read(f"/proc/{office.keeper()}/cmdline")
        self.assertEqual(set(words.split(b"\0")), {b"casevault", b"guard", b"--background", b""})
        locked = re.search(r"VmLck:\s+(\d+) kB", read(f"/proc/{office.keeper()}/status").decode())
        self.assertGreater(int(locked.group(1)), 0, "the key is not in locked memory")


FAKE_LOGIND = r"""
import os, sys, dbus, dbus.service, dbus.mainloop.glib
from gi.repository import GLib
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.bus.BusConnection(sys.argv[1])
name = dbus.service.BusName("org.freedesktop.login1", bus)

class Manager(dbus.service.Object):
    @dbus.service.method("org.freedesktop.login1.Manager", in_signature="ssss", out_signature="h")
    def Inhibit(self, what, who, why, mode):
        reading, writing = os.pipe()
        GLib.unix_fd_add_full(0, reading, GLib.IO_HUP, lambda fd, _: (os.close(fd), print("let go", flush=True)) and False)
        lent = dbus.types.UnixFd(writing)
        os.close(writing)
        print("inhibited" if (what, mode) == ("sleep", "delay") else "wrong", flush=True)
        return lent
    @dbus.service.signal("org.freedesktop.login1.Manager", signature="b")
    def PrepareForSleep(self, begins): pass

class Session(dbus.service.Object):
    @dbus.service.signal("org.freedesktop.login1.Session", signature="")
    def Lock(self): pass

manager = Manager(bus, "/org/freedesktop/login1")
session = Session(bus, "/org/freedesktop/login1/session/_31")

def hear(*_):
    word = sys.stdin.readline().strip()
    if word == "sleep": manager.PrepareForSleep(True)
    if word == "wake": manager.PrepareForSleep(False)
    if word == "lock": session.Lock()
    return bool(word)
GLib.unix_fd_add_full(0, 0, GLib.IO_IN, hear)
print("ready", flush=True)
GLib.MainLoop().run()
"""

BUS_CONFIGURATION = """<busconfig><listen>unix:path={path}</listen><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"""


class Bus:
    """A system bus of its own, with a logind that does what it is told."""

    def __init__(self, root, logind=True):
        path = os.path.join(root, "bus")
        configuration = write(os.path.join(root, "bus.conf"), BUS_CONFIGURATION.format(path=path))
        self.daemon = subprocess.Popen(["dbus-daemon", "--config-file", configuration, "--nofork", "--nopidfile",
                                        "--print-address=1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        address = self.daemon.stdout.readline().decode().strip()
        self.env = {"DBUS_SYSTEM_BUS_ADDRESS": address}
        self.logind = logind and subprocess.Popen([sys.executable, "-c", FAKE_LOGIND, address], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)

    def tell(self, word):
        self.logind.stdin.write(word + "\n")
        self.logind.stdin.flush()

    def expect(self, line):
        said = self.logind.stdout.readline().strip()
        assert said == line, f"logind says '{said}' instead of '{line}'"

    def end(self):
        for process in filter(None, (self.logind, self.daemon)):
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()


if __name__ == "__main__":
    main()
