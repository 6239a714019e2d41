"""What `add` and `update` are given: files that change under their hands, cannot be read, or are no files; names of
every kind.

Whatever is not a plain file that stayed the same while it was read is skipped, named, with status 3; everything else is
added, and what is in the vault afterwards is what stood in a file at one moment, whole.

CASEVAULT_TRIES: how often what depends on the moment is tried (5 if not given).
"""
import ctypes
import errno
import os
import select
import shutil
import signal
import socket
import subprocess

from harness import (DONE, INTERRUPTED, PARTIAL, RANDOM, UNDER_STRACE, USAGE, FaultTest, FilledOffice, check_sane,
                     files_of, has_strace, main, noise, number_from,
                     read, scratch, strace, write)

TRIES = number_from("CASEVAULT_TRIES", 5)
LARGE = 48 << 20  # bytes: reading it takes a while
NOBODY = 65534
ACCESSED, MODIFIED_WHILE_READ = 0x1, b"it changed while it was read"


class Watch:
    """Tells when a file is being read, by inotify: that needs no right over the process that reads."""

    def __init__(self, path):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self.libc.inotify_init1(0)
        if self.descriptor < 0 or self.libc.inotify_add_watch(self.descriptor, os.fsencode(path), ACCESSED) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def wait(self, is_running):
        """Until it is read. False when the reader has ended first."""
        while not select.select([self.descriptor], [], [], 0.1)[0]:
            if not is_running():
                return False
        return True

    def close(self):
        os.close(self.descriptor)


class SourceTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        cls.office = FilledOffice(scratch("sources"))

    def setUp(self):
        self.office.restore()
        self.folder = self.office.fresh("source")
        os.mkdir(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def add(self, *paths, **options):
        return self.office.run("--json", "add", "C-1", *(paths or (self.folder,)), **options)

    def check_added(self, result, expected, skipped=()):
        """Exactly these, by name below the folder; `skipped` are words of which each warning has one, in any order."""
        status = PARTIAL if skipped else DONE
        self.assertEqual(result.status, status, str(result))
        contents = self.office.contents("C-1")
        prefix = os.path.basename(self.folder) + "/"
        found = {entry["name"].removeprefix(prefix): contents[entry["object"]] for entry in result.objects()}
        self.assertEqual(found, expected)
        warnings = [line for line in result.err.decode().splitlines() if ": warning: skipped " in line]
        self.assertEqual(len(warnings), len(skipped), str(result))
        for word in skipped:
            self.assertTrue(any(word in warning for warning in warnings), f"no warning says '{word}': {result}")
        self.office.check_clean()
        self.office.check_records(self.office.expected)

    # Files that change while they are read

    def change_while_read(self, change, *command):
        """Runs `command` and calls `change` once the file is being read; again until it came in between."""
        for _ in range(20):
            path = self.path("large")
            write(path, b"head" + bytes(1000))
            os.truncate(path, LARGE)
            watch = Watch(path)
            running = self.office.start(*command)
            came = watch.wait(running.is_running)
            change(path)
            result = check_sane(running.finish())
            watch.close()
            self.assertTrue(came, "it was not read")
            if result.status != DONE:
                return result
            # It had been read to its end: then what it was is there.
            self.office.restore()
        self.fail("the change never came while it was read")

    def check_changed(self, change):
        other = write(self.path("other"), b"other")
        result = self.change_while_read(change, "--json", "add", "C-1", self.folder)
        self.assertEqual(result.status, PARTIAL, str(result))
        self.assertIn(MODIFIED_WHILE_READ, result.err)
        self.assertRegex(result.err.decode(), r"warning: skipped .*/large: ")
        self.assertEqual([entry["name"] for entry in result.objects()], [os.path.basename(self.folder) + "/other"])
        self.office.check_clean()
        names = [entry["name"] for entry in self.office.list("C-1").values()]
        self.assertFalse([name for name in names if name.endswith("/large")])
        result = self.office.ok("--json", "add", "C-1", self.path("other"), other)
        self.assertNotIn("left in", self.office.check_clean(), "the half-read body is left behind")

    def test_shrinks(self):
        self.check_changed(lambda path: os.truncate(path, LARGE // 2))

    def test_becomes_empty(self):
        self.check_changed(lambda path: os.truncate(path, 0))

    def test_grows(self):
        def grow(path):
            with open(path, "ab") as file:
                file.write(b"more")
        self.check_changed(grow)

    def test_grows_without_end(self):
        """A file that grows faster than it is read: `add` does not follow it for ever."""
        def grow(path):
            os.truncate(path, 1 << 40)
        self.check_changed(grow)

    def test_is_overwritten(self):
        def overwrite(path):
            with open(path, "r+b") as file:
                file.seek(LARGE - 4)
                file.write(b"tail")
        self.check_changed(overwrite)

    def test_is_replaced(self):
        """Renamed over or deleted: what was opened stays what it was, so either the old content whole, or nothing."""
        for change in (os.remove, lambda path: os.replace(write(self.path("new"), b"new"), path)):
            self.setUp()
            path = self.path("large")
            write(path, b"old")
            os.truncate(path, LARGE)
            watch = Watch(path)
            running = self.office.start("--json", "add", "C-1", self.folder)
            watch.wait(running.is_running)
            change(path)
            result = check_sane(running.finish())
            watch.close()
            self.assertIn(result.status, (DONE, PARTIAL), str(result))
            for entry in result.objects():
                self.assertEqual(entry["size"], LARGE)
            self.office.check_clean()

    def test_update_from_a_changing_file(self):
        result = self.change_while_read(lambda path: os.truncate(path, 100), "update", "C-1/E-1", self.path("large"))
        self.assertEqual(result.status, USAGE, str(result))
        self.assertIn(MODIFIED_WHILE_READ, result.err)
        self.assertEqual(result.out, b"")
        self.office.check_all()
        self.office.check_clean()

    def test_a_reading_error(self):
        """The disk of the source fails in the middle: EIO from the third read on."""
        if not has_strace() or os.getuid() != 0:
            self.skipTest("strace cannot run here, or cannot see paths")
        path = write(self.path("bad"), noise(9 << 20))
        write(self.path("good"), b"good")
        log = self.office.fresh("strace")
        result = self.add(under=strace(log, "-P", path, "-e", "inject=read:error=EIO:when=3+", calls="read"),
                          env=UNDER_STRACE)
        self.assertIn("EIO", read(log).decode())
        self.check_added(result, {"good": b"good"}, ["bad: it cannot be read"])

    # What is no file

    def test_strange_things(self):
        """In a folder: each is skipped and named, and the files beside it are added."""
        expected = {"file": write(self.path("file"), b"file") and b"file", "inner/deep": b"deep"}
        write(self.path("inner/deep"), b"deep")
        os.symlink("file", self.path("link"))
        os.symlink(".", self.path("loop"))
        os.symlink("..", self.path("inner/up"))
        os.symlink("nowhere", self.path("dangling"))
        os.symlink("/etc/passwd", self.path("outside"))
        os.symlink("self", self.path("self"))
        os.mkfifo(self.path("pipe"))
        with socket.socket(socket.AF_UNIX) as listener:
            here = os.open(self.folder, os.O_PATH)
            listener.bind(f"/proc/self/fd/{here}/socket")
            os.close(here)
        links = ("link", "loop", "inner/up", "dangling", "outside", "self")
        skipped = [f"{name}: it is a symbolic link" for name in links]
        skipped += ["pipe: it is a pipe", "socket: it is a socket"]
        if os.getuid() == 0:
            try:
                os.mknod(self.path("zero"), 0o20666, os.makedev(1, 5))
                skipped.append("zero: it is a device")
            except PermissionError:
                pass
        self.check_added(self.add(), expected, skipped)

    def test_strange_things_by_name(self):
        """Named on the command line: the same; a link that was named is followed."""
        os.mkfifo(self.path("pipe"))
        write(self.path("file"), b"file")
        os.symlink("file", self.path("link"))
        os.symlink("self", self.path("self"))
        for name, why in (("pipe", "it is a pipe"), ("/dev/zero", "it is a device"), ("/dev/tty", "it is a device")):
            result = self.add(self.path(name))
            self.assertEqual((result.status, result.out), (PARTIAL, b""), str(result))
            self.assertIn(why, result.said)
        for name in ("missing", "self", "file/beneath", ""):
            result = self.add(self.path(name) if name else "")
            self.assertEqual((result.status, result.out), (USAGE, b""), str(result))
        result = self.add(self.path("link"))
        self.assertEqual([self.office.contents(entry["object"]) for entry in result.objects()], [{"C-1/E-6": b"file"}])
        for name in ("pipe", "missing", "/dev/zero", self.folder):
            result = self.office.run("update", "C-1/E-1", self.path(name))
            self.assertEqual((result.status, result.out), (USAGE, b""), str(result))
        self.office.check_clean()

    def test_a_file_becomes_something_else(self):
        """Between being listed and being opened: a link, a pipe, a folder. Nothing hangs, nothing is followed."""
        for attempt in range(TRIES):
            self.setUp()
            names = [f"{i:03}" for i in range(60)]
            for name in names:
                write(self.path(name), b"%d" % attempt + name.encode())
            secret = write(os.path.join(self.office.root, "secret"), b"secret")
            watch = Watch(self.path("000"))
            running = self.office.start("--json", "add", "C-1", self.folder)
            watch.wait(running.is_running)
            for name in RANDOM.sample(names[1:], 30):
                os.remove(self.path(name))
                RANDOM.choice((os.mkdir, os.mkfifo, lambda path: os.symlink(secret, path)))(self.path(name))
            result = check_sane(running.finish())
            watch.close()
            self.assertIn(result.status, (DONE, PARTIAL), str(result))
            for entry in result.objects():
                self.assertTrue(entry["name"].endswith(f"/{names[int(entry['name'][-3:])]}"))
                self.assertEqual(entry["size"], 4)
            self.assertNotIn(b"secret", self.office.contents("C-1").values())
            self.office.check_clean()

    def test_unreadable(self):
        """By somebody who is not root."""
        write(self.path("open"), b"open")
        for name in ("closed", "closed folder/inside"):
            write(self.path(name), b"closed")
        os.chmod(self.path("closed"), 0)
        os.chmod(self.path("closed folder"), 0)
        self.check_added(self.add(**self.as_nobody()), {"open": b"open"},
                         ["closed: permission denied", "closed folder: permission denied"])
        result = self.add(self.path("closed"), **self.as_nobody())
        self.assertEqual((result.status, result.out), (PARTIAL, b""), str(result))

    def as_nobody(self):
        """Options for a run by a user without privileges, to whom the office is given."""
        if os.getuid() != 0:
            return {}
        for path in (self.office.vault, self.office.home, self.office.tmp,
                     os.path.join(self.office.root, "passphrases")):
            subprocess.run(["chown", "-R", str(NOBODY), path], check=True)
        os.chmod(self.office.root, 0o755)
        under = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
        if subprocess.run([*under, "test", "-x", self.office.vault], check=False).returncode != 0:
            self.skipTest(f"nobody else may enter {self.office.root}")
        return {"under": under}

    def test_the_vault_itself(self):
        """A folder that holds the vault: everything else in it is added."""
        office = FilledOffice(os.path.join(self.folder, "home"))
        self.office, outer = office, self.office
        try:
            shutil.rmtree(office.pristine)
            self.folder = office.root
            size = sum(os.path.getsize(os.path.join(office.vault, path)) for path in files_of(office.vault))
            result = self.add()
            self.assertEqual(result.status, PARTIAL, str(result))
            self.assertRegex(result.said, "warning: skipped home/office.vault: it is the vault itself")
            names = [entry["name"] for entry in result.objects()]
            self.assertFalse([name for name in names if "office.vault" in name])
            self.assertIn("home/passphrases/anna", names)
            for path in (office.vault, os.path.join(office.vault, "catalog.db"), os.path.join(office.vault, "cases"),
                         os.path.join(office.root, "home", "..", "office.vault", "slots")):
                result = self.add(path)
                self.assertEqual((result.status, result.out), (PARTIAL, b""), str(result))
                self.assertIn("it is the vault itself", result.said)
            os.symlink(office.vault, os.path.join(office.root, "another name"))
            self.assertEqual(self.add(os.path.join(office.root, "another name")).out, b"")
            office.check_clean()
            self.assertLess(sum(os.path.getsize(os.path.join(office.vault, path)) for path in files_of(office.vault)),
                            3 * size)
        finally:
            self.office = outer

    # Names

    def test_names(self):
        """Each comes back: the same bytes under `name`, or what stands for them, and an export that harms nobody."""
        names = [b"new\nline", b"tab\there", b"escape\x1b[31mred", b"\xff\xfe invalid", b"half \xd0", b"\x7f", b"\x01",
                 b"x" * 255, "ё".encode() * 127, b" leading and trailing ", b"-dash", b"--yes", b"..x", b"...",
                 b"CON", b"a:b", b"trailing.", b"back\\slash", b"qu\"ote'", b"dollar$(x)`y`", b"percent%00",
                 "пока\u202etxt.exe".encode(), "zero\u200bwidth".encode(), "e\u0301".encode(), "\u00e9".encode(),
                 b"manifest-sha256.txt"]
        for index, name in enumerate(names):
            with open(os.path.join(os.fsencode(self.folder), name), "wb") as file:
                file.write(b"content %d" % index)
        result = self.add()
        self.assertEqual(result.status, DONE, str(result))
        self.assertEqual(len(result.objects()), len(names))
        contents = self.office.contents("C-1")
        added = {entry["object"]: contents[entry["object"]] for entry in result.objects()}
        self.assertEqual(sorted(added.values()), sorted(b"content %d" % index for index in range(len(names))))
        for command in (("list", "C-1"), ("search", "content"), ("show", result.objects()[3]["object"])):
            shown = self.office.ok(*command)
            self.assertNotRegex(shown.out, rb"[\x00-\x09\x0b-\x1f\x7f]", "control characters reach the terminal")
            self.assertNotIn("\u202e".encode(), shown.out)
        plain = self.office.run("add", "C-1", self.folder)
        self.assertEqual(plain.out.count(b"\n"), len(names))
        self.assertNotRegex(plain.out, rb"[\x00-\x09\x0b-\x1f\x7f]")
        folder = self.office.fresh("export")
        self.office.ok("export", "C-1", "--to", folder)
        for path in files_of(folder):
            self.assertNotRegex(os.path.basename(path), r"[\x00-\x1f\x7f\\:]")
            self.assertTrue(os.path.realpath(os.path.join(folder, path)).startswith(os.path.realpath(folder) + "/"))
        self.office.check_clean()

    def test_sizes(self):
        """Around every border: empty, one byte, inline and body, whole chunks, whole batches of chunks."""
        sizes = [0, 1, 2, 511, 512, 65_535, 65_536, 65_537, 65_536 * 2 - 1, 65_536 * 2, 65_536 * 2 + 1, (1 << 20) - 1,
                 1 << 20, (1 << 20) + 1]
        expected = {f"{size:08}": noise(size) for size in sizes}
        for name, content in expected.items():
            write(self.path(name), content)
        self.check_added(self.add(), expected)
        for name, content in expected.items():
            record = next(entry["object"] for entry in self.office.list("C-1").values() if entry["name"].endswith(name))
            self.assertEqual(self.office.ok("cat", record).out, content)

    def test_deep_folders(self):
        deep = self.folder
        for _ in range(205):
            deep = os.path.join(deep, "d")
        write(os.path.join(deep, "bottom"), b"bottom")
        write(self.path("top"), b"top")
        result = self.add()
        self.assertEqual(result.status, PARTIAL, str(result))
        self.assertEqual([entry["name"].rpartition("/")[2] for entry in result.objects()], ["top"])
        self.assertIn("nested too deep", result.said)

    def test_empty_folder(self):
        result = self.add()
        self.assertEqual((result.status, result.out), (DONE, b""), str(result))
        self.office.check_clean()

    def test_testimony(self):
        """Texts that are none."""
        for content, why in ((b"\xff\xfe\x00", "UTF-8"), (b"nul\0byte", None), (b"", None), (b"x" * (20 << 20), None)):
            result = self.office.run("testimony", "add", "C-1", "-", "--witness", "Swallow", "--consent", "court",
                                     stdin=content)
            self.assertIn(result.status, (USAGE, DONE), str(result)[:500])
            if why:
                self.assertEqual(result.status, USAGE, str(result)[:500])
                self.assertIn(why, result.said)
            if result.status == DONE:
                self.assertEqual(self.office.ok("cat", result.text.split()[0]).out, content)
        for name in ("/dev/zero", "missing", "."):
            result = self.office.run("testimony", "add", "C-1", self.path(name), "--witness", "Swallow", "--consent",
                                     "court")
            self.assertIn(result.status, (USAGE, PARTIAL), str(result))
            self.assertEqual(result.out, b"")
        self.office.check_clean()

    def test_testimony_from_a_pipe(self):
        """Refused, or read to its end, once there is somebody who writes; Ctrl-C ends the waiting."""
        os.mkfifo(self.path("pipe"))
        command = ("testimony", "add", "C-1", self.path("pipe"), "--witness", "Swallow", "--consent", "court")
        running = self.office.start(*command)
        if self.write_to_reader(running, b"through a pipe"):
            result = check_sane(running.finish())
            self.assertEqual(result.status, DONE, str(result))
            self.assertEqual(self.office.ok("cat", "C-1/T-2").out, b"through a pipe")
            running = self.office.start(*command)
            self.wait_until_asleep(running)
            running.kill(signal.SIGINT)
            self.assertEqual(running.finish().status, INTERRUPTED)
        else:
            self.assertEqual(running.finish().status, USAGE)
        self.office.check_clean()

    def write_to_reader(self, running, content):
        """Writes to the pipe once it is opened for reading. False when the reader has ended without opening it."""
        while running.is_running():
            try:
                pipe = os.open(self.path("pipe"), os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                self.assertEqual(error.errno, errno.ENXIO)
                continue
            os.write(pipe, content)
            os.close(pipe)
            return True
        return False

    def wait_until_asleep(self, running):
        """It waits for something if it sleeps however often one looks."""
        looks = 0
        while looks < 1000 and running.is_running():
            state = read(f"/proc/{running.process.pid}/stat").rpartition(b")")[2].split()[0]
            looks = looks + 1 if state == b"S" else 0


if __name__ == "__main__":
    main()
