"""`panic --destroy`: whatever is broken, full or in the way, and killed at any step, the keys are destroyed and the rest
is removed as far as it can be reached; what was not reached is named.

CASEVAULT_KILLS: kills in all (all places if not given).
"""
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest

from harness import (DAMAGED, DESTROYED, DONE, NO_VAULT, PARTIAL, UNDER_STRACE, USAGE, Disk, FaultTest, FilledOffice,
                     calls_in, copy_tree, files_of, has_strace, in_own_mounts, main, noise, number_from, program, read,
                     scratch, spread, strace, write)

DESTROY = ("--json", "panic", "--destroy", "--yes")
STAGES = ["received", "keys-destroyed", "rest-removed"]
COMMANDS = (("status",), ("verify",), ("list", "C-1"), ("add", "C-1", "x"), ("user", "join", "x"), ("unlock",),
            ("audit", "show"), ("user", "passphrase"))


def fingerprints(folder):
    return {name: read(os.path.join(folder, name)) for name in files_of(folder)}


class WipeTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        root = scratch("wipe")
        cls.disk = None
        if OWN_MOUNTS:  # trimming free space is not for the disk of whoever runs this
            cls.disk = Disk(os.path.join(root, "disk"), "64M")
            root = os.path.join(root, "disk", "office")
            os.mkdir(root)
        cls.office = FilledOffice(root)
        # What is lost with the keys stands in all of these; the test looks for none of them to be the same afterwards.
        cls.slots = read(os.path.join(cls.office.vault, "slots"))

    def setUp(self):
        self.office.restore()
        self.vault = self.office.vault

    def destroy(self, *options, status=DONE, **more):
        """Returns what was not reached."""
        result = self.office.run(*DESTROY, *options, passphrase=False, **more)
        self.assertEqual(result.status, status, str(result))
        stages = result.objects()
        self.assertEqual([stage["stage"] for stage in stages], STAGES, str(result))
        self.assertEqual(sorted(stage["microseconds"] for stage in stages), [stage["microseconds"] for stage in stages])
        self.assertTrue(stages[-1]["cannot_promise"])
        return stages[-1]["not_reached"]

    def check_destroyed(self, left=("vault.json",), folder=None):
        folder = folder or self.vault
        self.assertEqual(files_of(folder), sorted(left))
        for command in COMMANDS:
            self.assertEqual(self.office.run(*command).status, DESTROYED, command)
        self.assertEqual(files_of(folder), sorted(left))

    # Whatever is there

    def test_everything_goes(self):
        self.assertEqual(self.destroy(), [])
        self.check_destroyed()
        self.assertEqual(os.listdir(self.vault), ["vault.json"])
        self.assertEqual(self.destroy(), [], "once more")

    def test_slots_are_overwritten_in_place(self):
        """Whoever has the same file open sees what becomes of its blocks; so with the header and the handovers."""
        names = ["slots", "vault.json"] + [name for name in files_of(self.vault) if name.startswith("handover/")]
        opened = {name: open(os.path.join(self.vault, name), "rb") for name in names}
        before = {name: file.read() for name, file in opened.items()}
        self.assertEqual(self.destroy(), [])
        for name, content in before.items():
            with opened[name] as file:
                file.seek(0)
                now = file.read()
            self.assertEqual(len(now), len(content), name)
            same = [i for i in range(0, len(content), 32) if now[i:i + 32] == content[i:i + 32]]
            self.assertEqual(same, [], f"{name} has pieces of what it had")

    def test_what_is_not_the_vaults_stays(self):
        outside = write(os.path.join(self.office.root, "outside.txt"), "mine")
        write(os.path.join(self.vault, "my notes.txt"), "mine")
        write(os.path.join(self.vault, "photos", "a.jpg"), "mine")
        os.symlink(outside, os.path.join(self.vault, "bodies", "link"))
        os.symlink(os.path.dirname(outside), os.path.join(self.vault, "cases", "folder"))
        os.remove(os.path.join(self.vault, "catalog.db-journal"))
        os.symlink(outside, os.path.join(self.vault, "catalog.db-journal"))
        write(os.path.join(self.vault, ".0123456789abcdef.partial"), "x")
        not_reached = self.destroy(status=PARTIAL)
        self.assertEqual(sorted(text.split(":")[0] for text in not_reached),
                         ["bodies/link", "cases/folder", "catalog.db-journal", "my notes.txt", "photos"])
        self.assertEqual(read(outside), b"mine")
        self.check_destroyed(["my notes.txt", "photos/a.jpg", "vault.json"])

    # Links

    def precious(self):
        """A folder of somebody's own, elsewhere, shaped so that a walk over a vault's folders would find what is in it."""
        folder = self.office.fresh("precious")
        write(os.path.join(folder, "ab", "deep"), noise(1000))
        write(os.path.join(folder, "log"), noise(100_000))
        return folder

    def plant(self, name, target):
        path = os.path.join(self.vault, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.remove(path)
        os.symlink(target, path)

    def test_links_are_not_followed(self):
        for name in ("bodies", "handover", "audit", "spare", "cases", "bodies/zz", "cases/x.1.db", "handover/9",
                     "catalog.db", "vault.json"):
            with self.subTest(name=name):
                self.office.restore()
                folder = self.precious()
                before = fingerprints(folder)
                is_folder = "/" not in name and "." not in name or name == "bodies/zz"
                self.plant(name, folder if is_folder else os.path.join(folder, "log"))
                not_reached = self.destroy(status=PARTIAL)
                self.assertIn(name, [text.split(":")[0] for text in not_reached])
                self.assertEqual(fingerprints(folder), before)
                self.check_destroyed()

    def test_slots_behind_a_link_are_not_said_to_be_destroyed(self):
        folder = self.precious()
        before = fingerprints(folder)
        self.plant("slots", os.path.join(folder, "log"))
        result = self.office.run(*DESTROY, passphrase=False)
        self.assertEqual(result.status, PARTIAL)
        self.assertIn("the keys were NOT destroyed", result.said)
        self.assertEqual(fingerprints(folder), before)
        self.assertEqual(self.office.run("status").status, DESTROYED)
        self.assertEqual(fingerprints(folder), before)

    def test_files_with_another_name_are_not_overwritten(self):
        """Somebody's own file under a name of the vault's, or a copy made of hard links."""
        handover = next(name for name in files_of(self.vault) if name.startswith("handover/"))
        for name in ("slots", "vault.json", handover):
            with self.subTest(name=name):
                self.office.restore()
                other, content = self.office.fresh("other"), read(os.path.join(self.vault, name))
                os.link(os.path.join(self.vault, name), other)
                result = self.office.run(*DESTROY, passphrase=False)
                self.assertEqual(result.status, PARTIAL)
                self.assertIn("find / -xdev -inum", result.said)
                self.assertEqual(read(other), content)
                self.assertEqual("NOT destroyed" in result.said, name == "slots")
                self.assertEqual(self.office.run("status").status, DESTROYED)
                self.assertEqual(read(other), content)
                os.remove(other)
                self.destroy()
                self.check_destroyed()

    def test_the_vault_is_a_link(self):
        """That its owner made, to where the vault is: what it leads to is meant."""
        link = self.office.fresh("link")
        os.symlink(self.vault, link)
        self.assertEqual(self.destroy("--vault", link + "/"), [])
        self.check_destroyed()

    def test_drill_follows_no_link(self):
        folder = self.precious()
        self.plant("bodies", folder)
        result = self.office.ok("--json", "panic", "--drill", passphrase=False).objects()[0]
        self.assertEqual(result["files"], len([n for n in files_of(self.vault) if not n.startswith("bodies")]))
        self.assertTrue(result["complete"])

    def test_another_disk_is_not_entered(self):
        self.need_mounts()
        bodies = os.path.join(self.vault, "bodies")
        other = Disk(bodies, "1M")
        write(os.path.join(bodies, "ab", "photo.jpg"), "mine")
        try:
            not_reached = self.destroy(status=PARTIAL)
            self.assertIn("another disk is mounted there", str(not_reached))
            self.assertEqual(files_of(other.folder), ["ab/photo.jpg"])
        finally:
            subprocess.run(["umount", bodies], check=True)

    # A mark alone removes nothing

    def forged(self, folder, **fields):
        slots = os.path.join(folder, "slots")
        slots = os.stat(slots) if os.path.exists(slots) else None
        mark = {"casevault": "destroyed", "device": slots.st_dev if slots else 0, "finished": False,
                "inode": slots.st_ino if slots else 0, "order": "", "time": 1, "vault": "", **fields}
        return write(os.path.join(folder, "vault.json"), json.dumps(mark, sort_keys=True, separators=(",", ":")) + "\n")

    def check_untouched(self, folder):
        before = fingerprints(folder)
        for command in COMMANDS:
            result = self.office.run(*command, "--vault", folder)
            self.assertEqual(result.status, DESTROYED, command)
            self.assertIn("casevault panic --destroy", result.said)
            self.assertEqual(fingerprints(folder), before, command)

    def test_a_prepared_folder_removes_nothing(self):
        """One line, and a link to where it hurts; in all shapes that a mark has had."""
        target = self.precious()
        before = fingerprints(target)
        folder = self.office.fresh("usb")
        os.mkdir(folder)
        os.symlink(target, os.path.join(folder, "bodies"))
        for line in (b'{"casevault":"destroyed","finished":false,"order":"","place":0,"time":0}\n',
                     b'{"casevault":"destroyed",', None):
            if line is None:
                self.forged(folder)
            else:
                write(os.path.join(folder, "vault.json"), line)
            for command in COMMANDS:
                self.assertEqual(self.office.run(*command, "--vault", folder).status, DESTROYED, command)
                self.assertEqual(fingerprints(target), before)
                self.assertTrue(os.path.islink(os.path.join(folder, "bodies")))

    def test_a_forged_mark_removes_nothing_outside(self):
        """Even one that names the place rightly, which takes who can write there: what links lead to stays."""
        target = self.precious()
        before = fingerprints(target)
        self.plant("bodies", target)
        self.forged(self.vault)
        self.assertEqual(self.office.run("status").status, DESTROYED)
        self.assertEqual(fingerprints(target), before)
        self.check_destroyed()

    def test_marks_that_are_not_of_this_place(self):
        inode = os.stat(os.path.join(self.vault, "slots")).st_ino
        for fields in ({"inode": inode + 1}, {"device": 1}, {"inode": 0}, {"device": 0, "inode": 0},
                       {"place": inode}, {"finished": 0}):
            with self.subTest(fields=fields):
                self.office.restore()
                self.forged(self.vault, **fields)
                self.check_untouched(self.vault)

    def test_a_mark_where_slots_have_another_name(self):
        os.link(os.path.join(self.vault, "slots"), self.office.fresh("other"))
        self.forged(self.vault)
        self.check_untouched(self.vault)

    def test_no_vault(self):
        folder = self.office.fresh("empty")
        write(os.path.join(folder, "letter.txt"), "mine")
        result = self.office.run(*DESTROY, "--vault", folder, passphrase=False)
        self.assertEqual(result.status, NO_VAULT)
        self.assertEqual(files_of(folder), ["letter.txt"])

    def test_nothing_without_a_yes(self):
        before = fingerprints(self.vault)
        result = self.office.run("panic", "--destroy", passphrase=False)
        self.assertEqual(result.status, USAGE)
        self.assertEqual(fingerprints(self.vault), before)

    def test_drill_touches_nothing(self):
        def state():
            return {path: os.stat(path)[:7] + os.stat(path)[8:] + (os.stat(path).st_mtime_ns, os.stat(path).st_ctime_ns)
                    for path in [os.path.join(self.vault, name) for name in files_of(self.vault)]}
        before, content, beside = state(), fingerprints(self.vault), sorted(os.listdir(self.office.root))
        for command in ("panic", "guard"):
            result = self.office.ok("--json", command, "--drill", passphrase=False).objects()[0]
            self.assertTrue(result["complete"])
            self.assertEqual([stage["stage"] for stage in result["stages"]], STAGES)
            self.assertEqual(result["files"], len(content))
        self.assertEqual(state(), before)
        self.assertEqual(fingerprints(self.vault), content)
        self.assertEqual(sorted(os.listdir(self.office.root)), beside)
        self.office.check_clean()

    # Copies

    def test_pieces_of_an_older_copy_bring_nothing_back(self):
        self.destroy()
        for name in ("slots", "catalog.db", "audit", "cases", "bodies", "handover"):
            source, target = os.path.join(self.office.pristine, name), os.path.join(self.vault, name)
            (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, target)
        self.assertEqual(self.office.run("list", "C-1").status, DESTROYED)
        os.remove(os.path.join(self.vault, "vault.json"))
        self.assertEqual(self.office.run("list", "C-1").status, DAMAGED, "without a header there is no salt")

    def test_a_whole_older_copy_opens(self):
        """Not claimed otherwise: without custody there is nothing that such a copy lacks."""
        self.destroy()
        self.office.restore()
        self.office.check_clean()

    def test_interrupted_destroying_does_not_spread_to_copies(self):
        """A replica that got the tombstone of a vault is not one that somebody wanted destroyed."""
        copy = self.office.fresh("replica")
        copy_tree(self.vault, copy)
        self.destroy_and_kill_at(lambda call: call.name == "pwrite64", 1)  # the intent is there, and nothing else
        shutil.copy(os.path.join(self.vault, "vault.json"), copy)
        before = fingerprints(copy)
        result = self.office.run("list", "C-1", "--vault", copy)
        self.assertEqual(result.status, DESTROYED)
        self.assertEqual(fingerprints(copy), before)
        self.assertEqual(self.office.run("list", "C-1").status, DESTROYED)
        self.check_destroyed()

    def test_torn_tombstones(self):
        """Nothing goes on by itself, whatever is left of the header behind; asked to, it does."""
        header = os.path.join(self.vault, "vault.json")
        before = read(header)
        self.destroy_and_kill_at(lambda call: call.name == "pwrite64", 1)
        whole = read(header)
        self.assertEqual(len(whole), len(before))
        end = whole.index(b"}") + 1
        for torn in (whole[:25] + before[25:], whole[:end] + before[end:], whole[:25],
                     whole[:25] + noise(200), whole[:60], whole[:-1], whole[:-1] + b" "):
            with self.subTest(torn=torn[:200]):
                self.office.restore()
                write(header, torn)
                self.check_untouched(self.vault)
                self.assertEqual(self.destroy(), [])
                self.check_destroyed()

    # Whatever is broken or in the way

    def test_broken_vaults(self):
        def cut(name):
            os.truncate(os.path.join(self.vault, name), 100)
        def garbage(name):
            write(os.path.join(self.vault, name), noise(70_000))
        def folder(name):
            os.remove(os.path.join(self.vault, name))
            os.mkdir(os.path.join(self.vault, name))
        def gone(name):
            path = os.path.join(self.vault, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        harms = [(cut, name) for name in ("slots", "vault.json", "catalog.db", "audit/log")]
        harms += [(garbage, name) for name in ("slots", "vault.json", "catalog.db", "audit/log")]
        harms += [(gone, name) for name in ("slots", "vault.json", "catalog.db", "audit/log", "audit", "bodies")]
        harms += [(folder, name) for name in ("catalog.db-journal", "audit/log")]
        for harm, name in harms:
            with self.subTest(harm=harm.__name__, name=name):
                self.office.restore()
                write(os.path.join(self.vault, "catalog.db-journal"), "")
                harm(name)
                result = self.office.run(*DESTROY, passphrase=False)
                self.assertIn(result.status, (DONE, PARTIAL), str(result))
                self.assertIn("keys-destroyed", result.text)
                self.assertEqual(self.office.run("status").status, DESTROYED)
                self.assertEqual(files_of(self.vault), ["vault.json"])

    def test_locks_are_not_waited_for(self):
        """Of the log, and of the slots: a session's, which is ended, and an exclusive one."""
        with open(os.path.join(self.vault, "audit", "log"), "rb") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            holder = subprocess.Popen([sys.executable, "-c", "import fcntl, sys, time\nf = open(sys.argv[1])\n"
                                       "fcntl.flock(f, fcntl.LOCK_EX)\nprint(flush=True)\ntime.sleep(3600)",
                                       os.path.join(self.vault, "slots")], stdout=subprocess.PIPE)
            holder.stdout.readline()
            self.assertEqual(self.destroy(), [])
            self.assertEqual(holder.wait(), -signal.SIGKILL)
            holder.stdout.close()
        self.check_destroyed()

    def test_session_in_another_process(self):
        """It has everything open and decrypted: it is ended first."""
        reading, writing = os.pipe()
        running = self.office.start("testimony", "add", "C-1", "-", "--witness", "W", "--language", "en", "--consent",
                                    "court", stdin=reading)
        os.close(reading)
        inode = f":{os.stat(os.path.join(self.vault, 'slots')).st_ino} ".encode()
        while inode not in read("/proc/locks"):
            self.assertTrue(running.is_running())
        self.assertEqual(self.destroy(), [])
        self.assertEqual(running.finish().status, -signal.SIGKILL)
        os.close(writing)
        self.check_destroyed()

    # Disks

    def need_mounts(self):
        if not OWN_MOUNTS:
            self.skipTest("needs to mount")

    def test_full_disk(self):
        self.need_mounts()
        self.disk.leave(0)
        try:
            self.assertEqual(self.destroy(), [])
        finally:
            self.disk.clear()
        self.check_destroyed()

    def mount_read_only(self, name):
        path = os.path.join(self.vault, name)
        subprocess.run(["mount", "--bind", path, path], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
        return lambda: subprocess.run(["umount", path], check=True)

    def test_read_only_bodies(self):
        """All else goes, what stays is named, and the next command after it can be written goes on."""
        self.need_mounts()
        bodies = [name for name in files_of(self.vault) if name.startswith("bodies/")]
        unmount = self.mount_read_only("bodies")
        try:
            not_reached = self.destroy(status=PARTIAL)
            self.assertEqual(sorted(text.split(":")[0] for text in not_reached), bodies)
            left = sorted([*bodies, "slots", "vault.json"])  # the slots say where it was meant
            self.assertEqual(files_of(self.vault), left)
            self.assertNotEqual(read(os.path.join(self.vault, "slots")), self.slots)
            self.assertEqual(self.office.run("status").status, DESTROYED)
            self.assertEqual(files_of(self.vault), left)
        finally:
            unmount()
        self.assertEqual(self.office.run("status").status, DESTROYED)
        self.check_destroyed()

    def test_slots_that_cannot_be_written(self):
        """It says that the keys are not destroyed. The salt is: the slots alone open nothing."""
        self.need_mounts()
        unmount = self.mount_read_only("slots")
        try:
            result = self.office.run(*DESTROY, passphrase=False)
            self.assertEqual(result.status, PARTIAL)
            self.assertIn("the keys were NOT destroyed", result.said)
            self.assertEqual([stage["stage"] for stage in result.objects()], ["received", "rest-removed"])
            self.assertEqual(self.office.run("status").status, DESTROYED)
            self.assertEqual(files_of(self.vault), ["slots", "vault.json"])
        finally:
            unmount()
        self.assertEqual(self.office.run("status").status, DESTROYED)
        self.check_destroyed()

    def test_header_that_cannot_be_written(self):
        """The slots are overwritten all the same."""
        self.need_mounts()
        unmount = self.mount_read_only("vault.json")
        try:
            result = self.office.run(*DESTROY, passphrase=False)
            self.assertEqual(result.status, PARTIAL)
            self.assertEqual([stage["stage"] for stage in result.objects()], ["keys-destroyed", "rest-removed"])
            self.assertEqual(files_of(self.vault), ["vault.json"])
        finally:
            unmount()

    def test_failing_calls(self):
        """Each kind of call fails, once or always: no crash, and keys are not said to be destroyed when they are not."""
        if not has_strace():
            self.skipTest("needs strace")
        for call, error, when in [(c, e, w) for c, e in (("pwrite64", "EIO"), ("pwrite64", "ENOSPC"), ("fdatasync", "EIO"),
                                                         ("unlinkat", "EIO"), ("syncfs", "EIO"), ("pread64", "EIO"),
                                                         ("fsync", "EIO"), ("ioctl", "EPERM"))
                                  for w in ("1", "2", "1+")]:
            with self.subTest(call=call, error=error, when=when):
                self.office.restore()
                log = self.office.fresh("strace")
                inject = ["-e", f"inject={call}:error={error}:when={when}"]
                if call == "pread64":  # which the loader of programs needs
                    inject += ["-P", os.path.join(self.vault, "slots")]
                result = self.office.run(*DESTROY, passphrase=False, env=UNDER_STRACE,
                                         under=strace(log, *inject, calls=call))
                self.assertIn(result.status, (DONE, PARTIAL), str(result))
                slots = os.path.join(self.vault, "slots")
                if "keys-destroyed" in result.text:
                    self.assertTrue(not os.path.exists(slots) or read(slots) != self.slots)
                else:
                    self.assertIn("NOT destroyed", result.said)
                after = self.office.run("status").status
                if "received" in result.text:
                    self.assertEqual(after, DESTROYED)
                    self.check_destroyed()

    # Kills

    def destroy_and_kill_at(self, which, number):
        """Kills before the call behind the `number`th that `which` says. Returns how it ended."""
        log = self.office.fresh("strace")
        self.office.run(*DESTROY, passphrase=False, under=strace(log), env=UNDER_STRACE)
        calls = calls_in(log)
        chosen = [i for i, call in enumerate(calls) if which(call)][number - 1]
        self.office.restore()
        return self.kill_before(calls[chosen + 1])

    def kill_before(self, call):
        inject = f"inject={call.name}:signal=KILL:when={call.number}"
        return self.office.run(*DESTROY, passphrase=False, may_be_killed=True, env=UNDER_STRACE,
                               under=strace(self.office.fresh("strace"), "-e", inject))

    def test_kill_at_every_step(self):
        """Before the intent is there the vault is whole. From then on the next command finishes, whatever it is."""
        if not has_strace():
            self.skipTest("needs strace")
        log = self.office.fresh("strace")
        self.office.run(*DESTROY, passphrase=False, under=strace(log), env=UNDER_STRACE)
        calls = calls_in(log)
        kills = number_from("CASEVAULT_KILLS", len(calls))
        killed = finished = 0
        for place in spread(min(kills, len(calls)), len(calls)):
            call = calls[place]
            self.office.restore()
            with self.subTest(killed_before=str(call)):
                result = self.kill_before(call)
                killed += result.status == -signal.SIGKILL
                command = COMMANDS[place % len(COMMANDS)]
                if not read(os.path.join(self.vault, "vault.json")).startswith(b'{"casevault":"destroyed"'):
                    self.assertNotIn("received", result.text)
                    self.office.check_clean()
                    continue
                finished += 1
                after = self.office.run(*command)
                self.assertEqual(after.status, DESTROYED, str(after))
                self.check_destroyed()
        print(f"{killed} of {min(kills, len(calls))} runs ended by kill -9, {finished} were finished by the next command",
              flush=True)
        self.assertGreater(finished, killed / 2, "too few runs were killed: the test shows nothing")

    def test_kill_while_going_on(self):
        """Destroying that was interrupted is interrupted again."""
        if not has_strace():
            self.skipTest("needs strace")
        for number in range(1, 6):
            self.office.restore()
            self.destroy_and_kill_at(lambda call: call.name == "pwrite64", 1)
            inject = f"inject=unlinkat:signal=KILL:when={number}"
            self.office.run("status", may_be_killed=True, env=UNDER_STRACE,
                            under=strace(self.office.fresh("strace"), "-e", inject))
            self.assertEqual(self.office.run("status").status, DESTROYED)
            self.check_destroyed()

    # The same time whatever the size

    def test_same_calls_whatever_the_size(self):
        """Up to "keys destroyed" a large vault takes as many calls as a small one: no walk over what is in it."""
        if not has_strace():
            self.skipTest("needs strace")

        def calls_until_keys_are_gone():
            log = self.office.fresh("strace")
            self.office.run(*DESTROY, passphrase=False, env=UNDER_STRACE,
                            under=strace(log, calls="all"))
            lines = read(log).decode("utf-8", "replace").split("\n")
            return next(i for i, line in enumerate(lines) if "keys-destroyed" in line)

        small = calls_until_keys_are_gone()
        self.office.restore()
        for i in range(3000):
            write(os.path.join(self.vault, "bodies", f"{i % 256:02x}", f"{i:032x}"), "x")
        self.assertLess(calls_until_keys_are_gone(), small * 1.2)


OWN_MOUNTS = in_own_mounts()

if __name__ == "__main__":
    main()
