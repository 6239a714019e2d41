"""Replicas: what is copied comes back, whatever happens on the way, and harm done to a copy is found and named.

CASEVAULT_TRIES: how often `replicate` and `restore` are each killed (12 if not given), just before system calls that
change something, chosen at random among those that an undisturbed run makes; and how many bytes are changed.
"""
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading

from harness import (BUSY, DAMAGED, DONE, INTERRUPTED, NO_SPACE, NO_VAULT, NOT_ALLOWED, NOT_FOUND, PARTIAL, RANDOM,
                     UNDER_STRACE,
                     USAGE, WRONG_PASSPHRASE, Disk, FaultTest, calls_in, copy_tree, files_of, has_strace, in_own_mounts,
                     main, noise, number_from, read, scratch, spread, strace, write)
from replicas import RCLONE, ReplicaOffice, Served, flip, needed_by_newest, put_snapshot, snapshots_in

TRIES = number_from("CASEVAULT_TRIES", 12)
CAN_MOUNT = in_own_mounts()
KEY_WORDS = ("lantern", "crooked", "Иванов", "снимок", "Second matter", "Бюро")


def partial_of(place):
    """Where what will lie there is put together."""
    return os.path.join(os.path.dirname(place), f".{os.path.basename(place)}.restore.partial")


class ReplicaTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        cls.office = ReplicaOffice(scratch("replica"))

    def tearDown(self):
        office = self.office
        office.restore()
        office.forget_replicas()
        shutil.rmtree(office.replica, ignore_errors=True)
        for name in os.listdir(office.root):
            if re.match(r"\.?(restored|export|strace|start|copy)-", name):
                path = os.path.join(office.root, name)
                shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.remove(path)

    # What it does

    def test_comes_back(self):
        office = self.office
        first = office.replicate()
        self.assertEqual((first["snapshot"], first["target"]), (1, "replica"))
        office.check_restores()
        office.add("C-1", {"later.bin": noise(200_000)})
        second = office.replicate()
        self.assertEqual(second["snapshot"], 2)
        bodies = len(files_of(os.path.join(office.replica, "bodies")))
        self.assertEqual(second["large_files"], bodies)
        place = office.check_restores()
        with office.at(place):
            for user in ("boris", "vera"):
                office.ok("status", user=user)
            office.check_all()
            office.ok("user", "approve", "galina", "--yes")
            office.ok("add", "C-1", office.source("after", b"after"))
            office.check_clean()

    def test_only_what_is_new_is_sent(self):
        office = self.office
        office.replicate()
        office.add("C-1", {"new.bin": noise(1_000_000)})
        before = set(files_of(office.replica))
        sent = office.replicate()
        new = set(files_of(office.replica)) - before
        size = sum(os.path.getsize(os.path.join(office.replica, name)) for name in new)
        self.assertLess(sent["sent_bytes"] - sent["sent_database_bytes"], 1_300_000)
        self.assertLess(abs(size - sent["sent_bytes"]), 20_000)
        self.assertEqual(len([name for name in new if name.startswith("bodies/")]), 1)

    def test_dry_run_writes_nothing(self):
        office = self.office
        said = office.replicate(None, "--dry-run")
        self.assertFalse(os.path.exists(office.replica))
        self.assertGreater(said["sent_bytes"], 300_000)
        real = office.replicate()
        self.assertLess(abs(real["sent_bytes"] - said["sent_bytes"]), 100_000)

    def test_holds_no_key_and_no_name(self):
        office = self.office
        office.replicate()
        for name in files_of(office.replica):
            content = read(os.path.join(office.replica, name))
            for word in KEY_WORDS + ("anna", "boris"):
                self.assertNotIn(word.encode(), content, name)
            self.assertRegex(name, r"^(bodies/[0-9a-f]{2}/[0-9a-f]{32}|objects/[0-9a-f]{2}/[0-9a-f]{64}|"
                                   r"snapshots/[0-9]{8}-[0-9a-f]{16}\.json)$")
        manifest = json.loads(read(os.path.join(office.replica, "snapshots", snapshots_in(office.replica)[0])))
        self.assertEqual(sorted(manifest), ["bodies", "casevault", "files", "format", "log_root", "log_size", "number",
                                            "previous", "seal", "spare_bodies", "time", "vault"])

    def test_cases_closed_to_the_user_are_copied_too(self):
        office = self.office
        office.replicate(user="vera")  # an auditor, who reads C-1 alone
        office.check_restores()

    def test_withdrawn_stays_in_older_snapshots_only(self):
        office = self.office
        office.replicate()
        office.ok("withdraw", "C-1/E-2", "--reason", "asked", "--yes")
        content = office.expected.pop("C-1/E-2")
        office.replicate()
        place = office.check_restores()
        with office.at(place):
            self.assertEqual(office.run("cat", "C-1/E-2").status, NOT_FOUND)
        older = office.check_restores(None, "--snapshot", "1", "--older", expected={"C-1/E-2": content})
        self.assertTrue(older)

    def test_keep(self):
        office = self.office
        for number in range(4):
            office.add("C-1", {f"file-{number}": noise(80_000 + number)})
            office.replicate()
        office.ok("withdraw", "C-1/E-2", "--reason", "asked", "--yes")
        office.expected.pop("C-1/E-2")
        bodies = len(files_of(os.path.join(office.replica, "bodies")))
        kept = office.replicate(None, "--keep", "2")
        self.assertEqual(kept["deleted_snapshots"], 3)
        self.assertEqual(len(snapshots_in(office.replica)), 2)
        office.check_restores()
        office.replicate(None, "--keep", "1")
        self.assertEqual(len(files_of(os.path.join(office.replica, "bodies"))), bodies - 1)
        office.check_restores()

    def test_nothing_is_deleted_beside_a_damaged_snapshot(self):
        office = self.office
        office.replicate()
        flip(os.path.join(office.replica, "snapshots", snapshots_in(office.replica)[0]), 0)
        result = office.ok("replicate", office.replica, "--keep", "1")
        self.assertIn("nothing was deleted", result.said)
        self.assertEqual(len(snapshots_in(office.replica)), 2)

    def test_status_and_audit_log(self):
        office = self.office
        self.assertEqual(office.ok("--json", "status").objects()[0]["last_replica"], "")
        self.assertRegex(office.ok("status").text, "Replicas: +none")
        office.replicate()
        status = office.ok("--json", "status").objects()[0]
        self.assertRegex(status["last_replica"], r"^20\d\d-")
        self.assertIn("snapshot 1 in replica", office.ok("status").text)
        log = office.ok("audit", "show").text
        self.assertRegex(log, r"replicate +snapshot 1 to replica")
        self.assertNotIn(office.root, log)

    def test_partial_restore(self):
        office = self.office
        office.replicate()
        result, place = office.try_restore(None, "--case", "C-1")
        self.assertEqual(result.status, DONE, str(result))
        self.assertIn("absent", result.said)
        inside = {k: v for k, v in office.expected.items() if k.startswith("C-1/")}
        with office.at(place):
            office.check_records(inside)
            for command in (("cat", "C-2/E-2"), ("export", "C-2", "--to", office.fresh("export"))):
                absent = office.run(*command)
                self.assertEqual(absent.status, DAMAGED, str(absent))
                self.assertIn("was not fetched", absent.said)
                self.assertIn("casevault restore SOURCE --vault", absent.said)
            checked = office.verify()
            self.assertEqual(checked.status, PARTIAL, str(checked))
            self.assertIn("large files not fetched when the vault was restored in part: 2", checked.said)
            for frightening in ("BAD", "is missing", "throw the vault away"):
                self.assertNotIn(frightening, checked.said)
            self.assertEqual(office.ok("cat", "C-2/E-1").out, office.expected["C-2/E-1"])
            refused = office.run("replicate", office.replica)
            self.assertEqual(refused.status, USAGE)
            self.assertIn("in part", refused.said)
        again = office.run("restore", office.replica, "--vault", place)
        self.assertEqual(again.status, DONE, str(again))
        with office.at(place):
            office.check_clean()
            office.check_records(office.expected)
        self.assertEqual(office.run("restore", office.replica, "--vault", place).status, USAGE)

    def test_from_the_folder_of_a_vault(self):
        office = self.office
        result, place = office.try_restore(office.vault)
        self.assertEqual(result.status, DONE, str(result))
        self.assertIn("newest", result.said)
        with office.at(place):
            office.check_clean()
            office.check_records(office.expected)

    def test_never_over_something(self):
        office = self.office
        office.replicate()
        for place in (office.vault, office.root):
            self.assertEqual(office.try_restore(place=place)[0].status, USAGE)
        office.check_clean()

    def test_wrong_passphrase_keeps_what_was_fetched(self):
        office = self.office
        office.replicate()
        office.set_passphrase("anna", "another one entirely, and wrong")
        try:
            result, place = office.try_restore()
            self.assertEqual(result.status, WRONG_PASSPHRASE)
        finally:
            office.set_passphrase("anna", "lantern crooked Danube pillow 1848 sparrow")
        self.assertFalse(os.path.exists(place))
        office.check_restores(place=place)

    def test_target_is_refused(self):
        office = self.office
        for target in (os.path.join(office.vault, "replica"), office.pristine, office.vault):
            self.assertEqual(office.run("replicate", target).status, USAGE, target)
        other = ReplicaOffice(scratch("other"))
        other.replicate(office.replica)
        result = office.run("replicate", office.replica)
        self.assertEqual(result.status, USAGE)
        self.assertIn("another vault", result.said)
        self.assertEqual(office.try_restore(os.path.join(office.root, "sources"))[0].status, NO_VAULT)

    def test_two_at_once(self):
        office = self.office
        office.add("C-1", {"big": noise(3_000_000)})
        runs = [office.start("replicate", office.replica) for _ in range(4)]
        statuses = sorted(run.finish().status for run in runs)
        self.assertIn(DONE, statuses)
        self.assertLessEqual(set(statuses), {DONE, BUSY})
        office.check_restores()

    def test_while_others_work(self):
        office = self.office
        office.source("work/one", noise(150_000))
        results = []

        def work():
            for number in range(6):
                results.append(office.run("add", "C-1", office.source(f"w{number}", noise(90_000 + number))).status)
                results.append(office.run("case", "new", f"case {number}", user="boris").status)

        worker = threading.Thread(target=work)
        worker.start()
        made = 0
        while worker.is_alive() or made == 0:
            self.assertEqual(office.run("replicate", office.replica).status, DONE)
            made += 1
        worker.join()
        self.assertEqual(set(results), {DONE})
        for number in range(1, made + 1):
            office.check_restores(None, "--snapshot", str(number), "--older")
            office.forget_replicas()

    def test_watch_makes_one_at_once_and_ends_when_told(self):
        office = self.office
        running = office.start("replicate", office.replica, "--watch")
        folder = os.path.join(office.replica, "snapshots")
        while not (os.path.isdir(folder) and os.listdir(folder)):
            self.assertTrue(running.is_running(), "it has ended")
        running.kill(signal.SIGTERM)
        self.assertIn(running.finish().status, (DONE, INTERRUPTED))
        office.check_restores()

    def test_through_a_guard(self):
        """Unlocked once, neither `replicate` nor `--watch` asks for a passphrase."""
        office = self.office
        runtime = {"XDG_RUNTIME_DIR": office.fresh("runtime")}
        os.mkdir(runtime["XDG_RUNTIME_DIR"], 0o700)
        office.ok("unlock", env=runtime)
        self.addCleanup(office.run, "lock", passphrase=False, env=runtime)
        office.replicate(passphrase=False, env=runtime)
        running = office.start("replicate", office.replica, "--watch", passphrase=False, env=runtime)
        while len(snapshots_in(office.replica)) < 2:
            self.assertTrue(running.is_running(), "it has ended")
        running.kill(signal.SIGTERM)
        self.assertIn(running.finish().status, (DONE, INTERRUPTED))
        office.check_restores()

    # Harm

    def test_any_byte_changed(self):
        office = self.office
        office.replicate()
        names = files_of(office.replica)
        kept = office.fresh("copy")
        copy_tree(office.replica, kept)
        for name in [*RANDOM.sample(names, min(len(names), TRIES)), "snapshots/" + snapshots_in(kept)[0]]:
            with self.subTest(changed=name):
                copy_tree(kept, office.replica)
                flip(os.path.join(office.replica, name))
                office.check_found(name)

    def test_any_file_missing_or_cut(self):
        office = self.office
        office.replicate()
        names = [name for name in files_of(office.replica) if not name.startswith("snapshots/")]
        kept = office.fresh("copy")
        copy_tree(office.replica, kept)
        for name in RANDOM.sample(names, min(len(names), TRIES)):
            with self.subTest(missing=name):
                copy_tree(kept, office.replica)
                if RANDOM.random() < 0.5:
                    os.remove(os.path.join(office.replica, name))
                else:
                    os.truncate(os.path.join(office.replica, name), os.path.getsize(os.path.join(kept, name)) - 1)
                office.check_found(name)

    def test_older_snapshot_as_the_newest(self):
        office = self.office
        office.replicate()
        office.add("C-1", {"later": b"later"})
        office.replicate()
        os.remove(os.path.join(office.replica, "snapshots", snapshots_in(office.replica)[1]))
        office.check_found("older than one that this machine knows of")
        self.assertEqual(office.try_restore(None, "--older")[0].status, DONE)

    def test_older_snapshot_by_number(self):
        office = self.office
        office.replicate()
        office.replicate()
        result, _ = office.try_restore(None, "--snapshot", "1")
        self.assertEqual(result.status, USAGE)
        self.assertIn("--older", result.said)
        self.assertEqual(office.try_restore(None, "--snapshot", "1", "--older")[0].status, DONE)

    def test_older_snapshot_under_a_newer_name(self):
        office = self.office
        office.replicate()
        folder = os.path.join(office.replica, "snapshots")
        name = snapshots_in(office.replica)[0]
        os.rename(os.path.join(folder, name), os.path.join(folder, name.replace("00000001", "00000002")))
        office.check_found("not what its name says")

    def test_snapshot_of_somebody_else(self):
        """Whoever holds the replica writes a snapshot of their own: every hash fits, but nobody signed it."""
        office = self.office
        office.replicate()
        path = os.path.join(office.replica, "snapshots", snapshots_in(office.replica)[0])
        manifest = json.loads(read(path))
        manifest["number"], manifest["time"] = 2, manifest["time"] + 1
        put_snapshot(office.replica, manifest)
        office.check_found("not signed by anybody in this vault")

    def test_paths_that_lead_out(self):
        office = self.office
        office.replicate()
        path = os.path.join(office.replica, "snapshots", snapshots_in(office.replica)[0])
        for name in ("../evil", "/etc/evil", "cases/../../evil.1.db", "bodies/evil"):
            manifest = json.loads(read(path))
            manifest["files"][0]["name"] = name
            os.remove(path)
            path = put_snapshot(office.replica, manifest)
            office.check_found("snapshots/")

    def test_damaged_body_here_does_not_replace_the_whole_one(self):
        office = self.office
        office.replicate()
        body = files_of(os.path.join(office.vault, "bodies"))[0]
        os.truncate(os.path.join(office.vault, "bodies", body), 1000)
        result = office.ok("replicate", office.replica)
        self.assertIn("is damaged here", result.said)
        office.check_restores()

    # What is whole of a damaged one

    def hint_of(self, result, beginning):
        """The command in the hint that begins so, as one would paste it."""
        found = re.search(rf"hint: {beginning}[^\n]*?casevault ([^\n]*)", result.said)
        self.assertTrue(found, str(result))
        return shlex.split(found.group(1))

    def body_of(self, record):
        """Its name in the replica: the one that no restored vault without it can show."""
        office = self.office
        for name in files_of(os.path.join(office.replica, "bodies")):
            path = os.path.join(office.vault, "bodies", name)
            os.rename(path, path + ".away")
            is_it = office.run("cat", record).status != DONE
            os.rename(path + ".away", path)
            if is_it:
                return "bodies/" + name
        raise AssertionError(f"{record} has no body")

    def test_damaged_body(self):
        office = self.office
        office.replicate()
        office.add("C-1", {"newer.bin": noise(80_000)})
        record = list(office.expected)[-1]
        office.replicate()
        newer, shared = self.body_of(record), self.body_of("C-2/E-2")
        for name in (newer, shared):
            flip(os.path.join(office.replica, name))
        refused, place = office.try_restore()
        self.assertEqual(refused.status, DAMAGED, str(refused))
        self.assertFalse(os.path.exists(place))
        self.assertIn(f"{newer} ({record})", refused.said)
        self.assertIn(f"{shared} (C-2/E-2)", refused.said)
        self.assertIn("snapshots here: 1, 2", refused.said)
        self.assertNotIn("--older", refused.said)
        self.assertIn(f"casevault replicate {office.replica} --check", refused.said)
        taken = office.run(*self.hint_of(refused, "take what is whole"))
        self.assertEqual(taken.status, DAMAGED, str(taken))
        self.assertIn("2 cases", taken.said)
        self.assertIn("C-2/E-2", taken.said)
        with office.at(place):
            for name, content in office.expected.items():
                if name not in ("C-2/E-2", record):
                    self.assertEqual(office.ok("cat", name).out, content)
            self.assertEqual(office.run("cat", "C-2/E-2").status, DAMAGED)
            office.ok("add", "C-2", office.source("after", b"after"))
            office.replicate(office.fresh("copy"))
        for name in (newer, shared):
            shutil.copy(os.path.join(office.vault, name), os.path.join(place, name))
        with office.at(place):
            office.check_clean()

    def test_older_snapshot_is_advised_only_where_it_helps(self):
        office = self.office
        office.replicate()
        office.add("C-1", {"newer.bin": noise(80_000)})
        office.replicate()
        flip(os.path.join(office.replica, self.body_of(list(office.expected)[-1])))
        refused, _ = office.try_restore()
        older = self.hint_of(refused, "snapshot 1 needs nothing of what is named above")
        self.assertEqual(office.run(*older).status, DONE)

    def test_damaged_case(self):
        office = self.office
        office.replicate()
        manifest = json.loads(read(os.path.join(office.replica, "snapshots", snapshots_in(office.replica)[0])))
        for file in manifest["files"]:
            case = next((f"C-{n}" for n in (1, 2) if file["name"] == self.database_of(n)), None)
            if case is None:
                continue
            with self.subTest(case=case):
                path = os.path.join(office.replica, "objects", file["chunks"][0][:2], file["chunks"][0])
                flip(path)
                refused, place = office.try_restore()
                self.assertEqual(refused.status, DAMAGED, str(refused))
                self.assertIn(f"({case})", refused.said)
                taken = office.run(*self.hint_of(refused, "take what is whole"))
                self.assertEqual(taken.status, DAMAGED, str(taken))
                self.assertIn(f"({case})", taken.said)
                with office.at(place):
                    office.check_records({k: v for k, v in office.expected.items() if not k.startswith(case)})
                    self.assertEqual(office.run("list", case).status, DAMAGED)
                    self.assertIn(case, office.verify().said)
                    office.ok("status")
                shutil.rmtree(place)
                office.forget_replicas()
                os.remove(path)
                office.replicate()
                shutil.rmtree(office.check_restores())

    def database_of(self, number):
        """Of a case: opening it fails without the file."""
        office = self.office
        for name in os.listdir(os.path.join(office.vault, "cases")):
            path = os.path.join(office.vault, "cases", name)
            os.rename(path, path + ".away")
            is_it = office.run("list", f"C-{number}").status != DONE
            os.rename(path + ".away", path)
            if is_it and name.endswith(".db"):
                return "cases/" + name
        raise AssertionError("no such case")

    def test_damaged_where_nothing_opens(self):
        office = self.office
        office.replicate()
        manifest = json.loads(read(os.path.join(office.replica, "snapshots", snapshots_in(office.replica)[0])))
        kept = office.fresh("copy")
        copy_tree(office.replica, kept)
        chunks = {file["name"]: file["chunks"] for file in manifest["files"]}
        for name, [chunk, *_] in chunks.items():
            with self.subTest(file=name):
                copy_tree(kept, office.replica)
                flip(os.path.join(office.replica, "objects", chunk[:2], chunk))
                needed = name in ("vault.json", "slots", "catalog.db", "audit/log")
                result, place = office.try_restore(None, "--damaged")
                self.assertEqual(result.status, DAMAGED, str(result))
                self.assertIn(name, result.said)
                self.assertEqual(os.path.exists(place), not needed, str(result))
                if needed:
                    continue
                with office.at(place):
                    office.ok("status")
                    if name.startswith("spare/"):
                        office.check_clean()
                shutil.rmtree(place)

    def test_damaged_list_of_bodies(self):
        office = self.office
        office.replicate()
        manifest = json.loads(read(os.path.join(office.replica, "snapshots", snapshots_in(office.replica)[0])))
        for entry in manifest["bodies"]:
            flip(os.path.join(office.replica, "objects", entry["hash"][:2], entry["hash"]))
        result, place = office.try_restore(None, "--damaged")
        self.assertEqual(result.status, DAMAGED, str(result))
        with office.at(place):
            office.check_clean()
            office.check_records(office.expected)

    # --check

    def test_check_mends_what_is_bad(self):
        office = self.office
        office.replicate()
        office.add("C-1", {"later.bin": noise(80_000)})
        office.replicate()
        names = [name for name in files_of(office.replica) if not name.startswith("snapshots/")]
        whole = office.ok("--json", "replicate", office.replica, "--check").objects()[-1]
        self.assertGreaterEqual(whole["checked_objects"], len(names))
        self.assertEqual((whole["mended_objects"], whole["unmended_objects"]), (0, 0))
        bad = RANDOM.sample([name for name in names if name.startswith("bodies/")], 2)
        for name in bad:
            flip(os.path.join(office.replica, name))
        self.assertEqual(office.replicate()["mended_objects"], 0)
        self.assertEqual(office.try_restore()[0].status, DAMAGED)
        os.remove(os.path.join(office.replica, next(n for n in names if n.startswith("bodies/") and n not in bad)))
        mended = office.ok("--json", "replicate", office.replica, "--check").objects()[-1]
        self.assertEqual(mended["mended_objects"], 3)
        manifest = json.loads(read(os.path.join(office.replica, "snapshots", snapshots_in(office.replica)[-1])))
        flip(os.path.join(office.replica, "objects", manifest["bodies"][0]["hash"][:2], manifest["bodies"][0]["hash"]))
        office.replicate(None, "--check")
        office.check_restores()
        self.assertRegex(office.ok("audit", "show").text, r"replicate-check +snapshot \d to replica")

    def test_check_names_what_only_older_snapshots_need(self):
        office = self.office
        office.replicate()
        body = self.body_of("C-1/E-2")
        office.ok("withdraw", "C-1/E-2", "--reason", "asked", "--yes")
        office.expected.pop("C-1/E-2")
        office.replicate()
        flip(os.path.join(office.replica, body))
        result = office.run("--json", "replicate", office.replica, "--check")
        self.assertEqual(result.status, PARTIAL, str(result))
        self.assertEqual(result.objects()[-1]["unmended_objects"], 1)
        self.assertIn(body, result.said)
        office.check_restores()

    def test_check_of_what_is_bad_here_too(self):
        office = self.office
        office.replicate()
        body = self.body_of("C-1/E-2")
        flip(os.path.join(office.replica, body))
        flip(os.path.join(office.vault, body))
        self.assertIn("was changed here as well", office.ok("replicate", office.replica, "--check").said)

    # Where it goes

    def test_unmounted_disk(self):
        office = self.office
        office.replicate()
        shutil.rmtree(office.replica)
        for make in (lambda: None, lambda: os.mkdir(office.replica)):
            make()
            refused = office.run("replicate", office.replica)
            self.assertEqual(refused.status, USAGE, str(refused))
            self.assertIn("mounted", refused.said)
            self.assertIn("--new", refused.said)
        self.assertEqual(office.replicate(None, "--new")["snapshot"], 2)
        office.replicate()
        office.check_restores()

    def test_same_disk(self):
        office = self.office
        self.assertIn("on the same disk as the vault", office.ok("replicate", office.replica).said)
        if not CAN_MOUNT:
            self.skipTest("nothing can be mounted here")
        disk = Disk(office.fresh("disk"), 16 << 20)
        try:
            for target in (os.path.join(disk.folder, "replica"), disk.folder):
                self.assertNotIn("same disk", office.ok("replicate", target).said)
                shutil.rmtree(os.path.join(disk.folder, "replica"), ignore_errors=True)
        finally:
            subprocess.run(["umount", disk.folder], check=False)

    def test_places_that_cannot_be_meant(self):
        office = self.office
        papers = office.fresh("copy")
        write(os.path.join(papers, "objects", "thesis"), "four years")
        for target, words in ((office.root, "casevault-replica"), (os.path.dirname(office.root), "casevault-replica"),
                              (office.sources, "casevault-replica"), (papers, "casevault-replica"),
                              (os.path.join(office.fresh("copy"), "deep"), "mounted"),
                              (office.passphrase_file("anna"), "is a file"), ("abroad:office", "rclone:abroad:office"),
                              (office.vault, "in the vault")):
            result = office.run("replicate", target)
            self.assertEqual(result.status, USAGE, str(result))
            self.assertIn(words, result.said)
            self.assertIn("hint", result.said)
        self.assertEqual(files_of(papers), ["objects/thesis"])

    # What the holder of a replica may have put there

    def test_links_in_a_replica(self):
        office = self.office
        for planted in ("objects", "bodies", "snapshots", "objects/%s", "bodies/%s"):
            with self.subTest(planted=planted):
                office.restore()
                office.forget_replicas()
                shutil.rmtree(office.replica, ignore_errors=True)
                office.replicate()
                other = office.fresh("copy")
                write(os.path.join(other, "ab", "c" * 32), "four years")
                write(os.path.join(other, ".0123456789abcdef.partial"), "of thesis")
                if "%" in planted:
                    planted %= os.listdir(os.path.join(office.replica, planted[:-3]))[0]
                shutil.rmtree(os.path.join(office.replica, planted))
                os.symlink(other, os.path.join(office.replica, planted))
                before = files_of(other)
                result = office.run("replicate", office.replica, "--keep", "1")
                self.assertEqual(result.status, USAGE, str(result))
                self.assertIn("other things" if planted == "snapshots" else "is a link", result.said)
                self.assertEqual(files_of(other), before)

    def test_other_files_in_a_replica_stay(self):
        office = self.office
        office.replicate()
        foreign = ("wedding.jpg", "objects/mine.txt", "bodies/ab/mine", f"objects/ab/{'c' * 64}", "snapshots/notes",
                   "kyiv/bodies/ab/" + "ab" * 16)
        for name in foreign:
            write(os.path.join(office.replica, name), "mine")
        office.replicate(None, "--keep", "1")
        self.assertEqual(set(foreign) - set(files_of(office.replica)), set())
        office.check_restores()

    def test_poisoned_numbers(self):
        office = self.office
        office.replicate()
        old = dict(office.expected)
        for digits in ("9007199254740992", "9999999999999999", "9999999999", "0000500000"):
            name = os.path.join(office.replica, "snapshots", f"{digits}-{'0' * 16}.json")
            with self.subTest(digits=digits):
                write(name, b"")
                office.add("C-1", {"later": digits.encode()})
                made = office.replicate()
                self.assertLess(made["snapshot"], 1_100_000)
                options = ["--snapshot", str(made["snapshot"]), "--older"] if digits == "9999999999" else []
                shutil.rmtree(office.check_restores(None, *options))
                os.remove(name)
                office.forget_replicas()
                shutil.rmtree(office.check_restores())
        office.check_restores(None, "--snapshot", "1", "--older", expected=old)

    def test_forged_namesakes(self):
        """Of each number a forged snapshot with a longer log: the true one can still be named."""
        office = self.office
        office.replicate()
        true = snapshots_in(office.replica)[0]
        manifest = json.loads(read(os.path.join(office.replica, "snapshots", true)))
        for harm in ({"log_size": 2**52}, {"time": manifest["time"] + 1}):
            put_snapshot(office.replica, {**manifest, **harm})
        write(os.path.join(office.replica, "snapshots", f"00000001-{'0' * 16}.json"), b"")
        refused, _ = office.try_restore()
        self.assertEqual(refused.status, DAMAGED, str(refused))
        self.assertIn(f"--snapshot {true.removesuffix('.json')}", refused.said)
        office.check_restores(None, "--snapshot", true.removesuffix(".json"))

    def test_strange_snapshots_do_not_use_up_keep(self):
        office = self.office
        office.replicate()
        path = os.path.join(office.replica, "snapshots", snapshots_in(office.replica)[0])
        manifest = json.loads(read(path))
        for number in (2, 3):
            manifest["number"] = number
            put_snapshot(office.replica, manifest)
        result = office.ok("replicate", office.replica, "--keep", "2")
        self.assertIn("is not signed by anybody in this vault, so nothing was deleted", result.said)
        self.assertEqual(len(snapshots_in(office.replica)), 4)
        office.check_restores()

    def test_spoilt_vault_does_not_take_its_copies_with_it(self):
        office = self.office
        office.replicate()
        kept = office.fresh("copy")
        copy_tree(office.vault, kept)
        expected = dict(office.expected)
        office.add("C-1", {"later": noise(70_000)})
        office.replicate()
        now, copies = office.fresh("copy"), office.fresh("copy")
        copy_tree(office.vault, now)
        copy_tree(office.replica, copies)
        everything = dict(office.expected)

        def empty_cases():
            for name in os.listdir(os.path.join(office.vault, "cases")):
                os.truncate(os.path.join(office.vault, "cases", name), 0)

        def set_back():
            copy_tree(kept, office.vault)

        def without_bodies():
            shutil.rmtree(os.path.join(office.vault, "bodies"))
            os.mkdir(os.path.join(office.vault, "bodies"))

        def without_one_body():
            os.remove(os.path.join(office.vault, self.body_of("C-2/E-2")))

        def noise_in_cases():
            for name in os.listdir(os.path.join(office.vault, "cases")):
                if name.endswith(".db"):
                    flip(os.path.join(office.vault, "cases", name), 4096 * 2 + 100)

        for harm in (empty_cases, noise_in_cases, set_back, without_bodies, without_one_body):
            for user in ("anna", "vera"):
                with self.subTest(harm=harm.__name__, user=user):
                    copy_tree(now, office.vault)
                    copy_tree(copies, office.replica)
                    harm()
                    for _ in range(2):
                        result = office.run("replicate", office.replica, "--keep", "1", user=user)
                        self.assertEqual(result.status, PARTIAL, str(result))
                        self.assertIn("nothing was deleted", result.said)
                    office.forget_replicas()
                    copy_tree(now, office.vault)
                    shutil.rmtree(office.check_restores(None, "--snapshot", "2", "--older", expected=everything))
        copy_tree(now, office.vault)
        self.assertEqual(expected.keys() - everything.keys(), set())

    # What is asked first

    def test_passphrase_is_asked_before_the_large_files_are_fetched(self):
        office = self.office
        office.replicate()
        for name in files_of(os.path.join(office.replica, "bodies")):
            flip(os.path.join(office.replica, "bodies", name))
        office.set_passphrase("anna", "another one entirely, and wrong")
        try:
            self.assertEqual(office.try_restore()[0].status, WRONG_PASSPHRASE)
        finally:
            office.set_passphrase("anna", "lantern crooked Danube pillow 1848 sparrow")
        result, place = office.try_restore(None, "--case", "C-9")
        self.assertEqual(result.status, NOT_FOUND, str(result))
        self.assertNotIn("casevault case list --", result.said)
        self.assertFalse(os.path.exists(partial_of(place)))

    def test_what_was_fetched_is_named(self):
        office = self.office
        office.replicate()
        flip(os.path.join(office.replica, self.body_of("C-2/E-2")))
        result, place = office.try_restore()
        self.assertIn(partial_of(place), result.said)
        office.set_passphrase("anna", "another one entirely, and wrong")
        try:
            result, _ = office.try_restore(place=place)
        finally:
            office.set_passphrase("anna", "lantern crooked Danube pillow 1848 sparrow")
        self.assertEqual(result.status, WRONG_PASSPHRASE)
        self.assertIn(partial_of(place), result.said)

    def test_no_replica_there(self):
        office = self.office
        office.replicate()
        for source, words in ((office.root, office.replica), (os.path.join(office.root, "nowhere"), "mounted"),
                              (office.sources, office.sources)):
            result, place = office.try_restore(source)
            self.assertEqual(result.status, NO_VAULT, str(result))
            self.assertIn(words, result.said)
            self.assertFalse(os.path.exists(partial_of(place)))
        shutil.rmtree(os.path.join(office.replica, "snapshots"))
        result, _ = office.try_restore()
        self.assertEqual(result.status, NO_VAULT, str(result))
        self.assertIn("begun", result.said)

    def test_place_inside_the_replica(self):
        office = self.office
        office.replicate()
        result, place = office.try_restore(place=os.path.join(office.replica, "v"))
        self.assertEqual(result.status, USAGE, str(result))
        self.assertFalse(os.path.exists(place))

    def test_planted_links(self):
        """Where the vault is put together somebody may have put something: nothing is removed or written through it."""
        office = self.office
        office.replicate()
        other = office.fresh("copy")
        write(os.path.join(other, "bodies", "thesis"), "four years")
        for planted in ("", "bodies", "spare", "bodies/00"):
            with self.subTest(planted=planted):
                place = office.fresh("restored")
                path = os.path.join(partial_of(place), planted) if planted else partial_of(place)
                os.makedirs(os.path.dirname(path), exist_ok=True, mode=0o700)
                os.symlink(other, path)
                result, _ = office.try_restore(place=place)
                self.assertEqual(result.status, USAGE, str(result))
                self.assertIn("was not left there by casevault", result.said)
                self.assertEqual(files_of(other), ["bodies/thesis"])
        place = office.fresh("restored")
        os.mkdir(partial_of(place))
        os.chmod(partial_of(place), 0o777)
        self.assertEqual(office.try_restore(place=place)[0].status, USAGE)

    def test_vault_planted_in_a_replica(self):
        """It stays a replica: what its snapshots say counts, and what the machine remembers."""
        office = self.office
        old = dict(office.expected)
        older = office.fresh("copy")
        copy_tree(office.vault, older)
        office.replicate()
        office.add("C-1", {"later": b"later"})
        office.replicate()
        self.assertEqual(office.try_restore(older)[0].status, DAMAGED)
        result, place = office.try_restore(older, "--older")
        self.assertEqual(result.status, DONE, str(result))
        with office.at(place):
            office.check_records(old)
        office.forget_replicas()
        self.assertEqual(office.try_restore(older, "--snapshot", "1")[0].status, USAGE)
        shutil.copytree(older, office.replica, dirs_exist_ok=True)
        office.check_restores()

    # Where it cannot

    def test_full_disk(self):
        if not CAN_MOUNT:
            self.skipTest("nothing can be mounted here")
        office = self.office
        disk = Disk(office.fresh("disk"), 16 << 20)
        try:
            target = os.path.join(disk.folder, "replica")
            office.replicate(target)
            office.add("C-1", {f"file-{number}": noise(400_000) for number in range(8)})
            for free in (0, 100_000, 1_000_000, 2_000_000):
                disk.leave(free)
                result = office.run("replicate", target)
                self.assertEqual(result.status, NO_SPACE, str(result))
                self.assertIn("no space left", result.said)
                self.assertIn("this snapshot needs", result.said)
                self.assertIn("hint", result.said)
                disk.clear()
                old = {k: v for k, v in office.pristine_expected[0].items()}
                office.check_restores(target, expected=old)
            office.replicate(target)
            office.check_restores(target)
            disk.make_read_only(True)
            refused = office.run("replicate", target)
            self.assertEqual(refused.status, NOT_ALLOWED, str(refused))
            self.assertIn("read-only", refused.said)
            self.assertIn("write-protected", refused.said)
        finally:
            subprocess.run(["umount", disk.folder], check=False)

    def test_full_disk_while_restoring(self):
        if not CAN_MOUNT:
            self.skipTest("nothing can be mounted here")
        office = self.office
        office.add("C-1", {f"file-{number}": noise(400_000) for number in range(8)})
        office.replicate()
        disk = Disk(office.fresh("disk"), 16 << 20)
        try:
            place = os.path.join(disk.folder, "office.vault")
            for free in (0, 500_000, 2_000_000, 4_000_000):
                disk.leave(free)
                full = office.try_restore(place=place)[0]
                self.assertEqual(full.status, NO_SPACE)
                self.assertFalse(os.path.exists(place))
                self.assertIn("hint", full.said)
                is_named = f"are kept in {partial_of(place)}" in full.said
                self.assertEqual(is_named, os.path.exists(partial_of(place)), str(full))
            disk.clear()
            office.check_restores(place=place)
        finally:
            subprocess.run(["umount", disk.folder], check=False)

    def test_folder_that_only_takes_new_files(self):
        """chattr +a: nothing in these folders may be renamed, removed or overwritten."""
        office = self.office
        office.replicate()
        folders = [office.replica] + [os.path.join(place, name) for place, names, _ in os.walk(office.replica)
                                      for name in names]
        if subprocess.run(["chattr", "+a", *folders], capture_output=True, check=False).returncode != 0:
            self.skipTest("chattr +a does not work here")
        try:
            office.add("C-1", {"more": noise(90_000)})
            office.replicate()
            refused = office.run("replicate", office.replica, "--keep", "1")
            self.assertEqual(refused.status, NOT_ALLOWED, str(refused))
            office.check_restores()
        finally:
            subprocess.run(["chattr", "-R", "-a", office.replica], check=False)

    # Killed

    def kill_often(self, command, prepare, check):
        if not has_strace():
            self.skipTest("strace cannot run here")
        office = self.office
        prepare()
        log = office.fresh("strace")
        office.ok(*command, under=strace(log), env=UNDER_STRACE)
        calls = calls_in(log)
        hits = 0
        places = [calls[at] for at in spread(min(TRIES, len(calls)), len(calls))]
        for place in places:
            prepare()
            injection = f"inject={place.name}:signal=KILL:when={place.number}"
            with self.subTest(killed_at=str(place)):
                result = office.run(*command, under=strace(office.fresh("strace"), "-e", injection), env=UNDER_STRACE,
                                    may_be_killed=True)
                hits += result.status != DONE
                check(result)
        print(f"{hits} of {len(places)} runs of `{command[0]}` ended by kill -9, of {len(calls)} calls", flush=True)
        self.assertGreaterEqual(hits, len(places) / 2, "too few runs were killed: the test shows nothing")

    def test_killed_replicate(self):
        office = self.office
        office.replicate()
        kept = office.fresh("copy")
        copy_tree(office.replica, kept)
        old = dict(office.expected)
        office.add("C-1", {f"more-{number}": noise(70_000 + number) for number in range(4)})
        office.ok("case", "new", "third")
        start = office.fresh("start")
        copy_tree(office.vault, start)

        def prepare():
            copy_tree(kept, office.replica)
            copy_tree(start, office.vault)

        def check(_):
            office.check_clean()
            place = office.check_restores(None, "--snapshot", "1", "--older", expected=old)
            shutil.rmtree(place)
            office.forget_replicas()
            office.replicate()
            shutil.rmtree(office.check_restores())
            office.forget_replicas()
            self.assertNotIn(".replica-", " ".join(os.listdir(office.vault)))

        self.kill_often(("replicate", office.replica), prepare, check)

    def test_killed_restore(self):
        office = self.office
        office.replicate()
        place = office.fresh("restored")
        partial = os.path.join(os.path.dirname(place), f".{os.path.basename(place)}.restore.partial")

        def prepare():
            for path in (place, partial):
                shutil.rmtree(path, ignore_errors=True)

        def check(result):
            if not os.path.exists(place):
                self.assertNotEqual(result.status, DONE)
                self.assertEqual(office.try_restore(place=place)[0].status, DONE)
            self.assertFalse(os.path.exists(partial))
            with office.at(place):
                office.check_clean()
                office.check_records(office.expected)

        self.kill_often(("restore", office.replica, "--vault", place), prepare, check)


class RemoteTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        cls.office = ReplicaOffice(scratch("remote"))

    def tearDown(self):
        self.office.restore()
        self.office.forget_replicas()

    def serve(self, kind, *options):
        if not RCLONE:
            self.skipTest("rclone is not installed")
        served = Served(kind, self.office.fresh("server"), *options)
        self.addCleanup(served.stop)
        return served, {"RCLONE_CONFIG": served.config}

    def check_remote(self, kind):
        office = self.office
        served, env = self.serve(kind)
        target = "rclone:away:office"
        made = office.ok("--json", "replicate", target, env=env)
        self.assertEqual(made.objects()[-1]["target"], "rclone:away")
        self.assertIn("keep a copy elsewhere", made.said)
        old = dict(office.expected)
        office.add("C-1", {"more": noise(300_000)})
        second = office.replicate(target, env=env)
        self.assertLess(second["sent_bytes"] - second["sent_database_bytes"], 420_000)
        result, place = office.try_restore(target, env=env)
        self.assertEqual(result.status, DONE, str(result))
        with office.at(place):
            office.check_clean()
            office.check_records(office.expected)
        result, place = office.try_restore(target, "--snapshot", "1", "--older", env=env)
        self.assertEqual(result.status, DONE, str(result))
        with office.at(place):
            office.check_records(old)
        folder = os.path.join(served.folder, "office")
        body = "bodies/" + files_of(os.path.join(folder, "bodies"))[0]
        flip(os.path.join(folder, body))
        self.assertEqual(office.try_restore(target, env=env)[0].status, DAMAGED)
        self.assertEqual(office.replicate(target, "--check", env=env)["mended_objects"], 1)
        self.assertEqual(office.try_restore(target, env=env)[0].status, DONE)
        for name in RANDOM.sample(needed_by_newest(folder), 2):
            kept = read(os.path.join(folder, name))
            flip(os.path.join(folder, name))
            result, _ = office.try_restore(target, env=env)
            self.assertEqual(result.status, DAMAGED, str(result))
            self.assertIn(name, result.said)
            write(os.path.join(folder, name), kept)
        kept = office.replicate(target, "--keep", "1", env=env)
        self.assertEqual(kept["deleted_snapshots"], 3)
        result, _ = office.try_restore(target, env=env)
        self.assertEqual(result.status, DONE, str(result))

    def test_webdav(self):
        self.check_remote("webdav")

    def test_sftp(self):
        self.check_remote("sftp")

    def test_other_files_on_a_remote_stay(self):
        office = self.office
        served, env = self.serve("webdav")
        foreign = ("photos/wedding.jpg", "README.txt", "objects/mine", "kyiv/bodies/ab/" + "ab" * 16,
                   "kyiv/snapshots/00000001-0123456789abcdef.json")
        for name in foreign:
            write(os.path.join(served.folder, name), "mine")
        for _ in range(2):
            office.replicate("rclone:away:", "--keep", "1", env=env)
        self.assertEqual(set(foreign) - set(files_of(served.folder)), set())
        self.assertEqual(office.try_restore("rclone:away:", env=env)[0].status, DONE)

    def test_remote_that_never_ends(self):
        office = self.office
        served, env = self.serve("webdav")
        office.replicate("rclone:away:office", env=env)
        bin_folder = office.fresh("bin")
        for command in ("cat", "lsf"):
            script = write(os.path.join(bin_folder, "rclone"),
                           f"#!/bin/sh\nfor word; do case $word in {command}) exec cat /dev/zero;; esac; done\n"
                           f"exec {RCLONE} \"$@\"\n")
            os.chmod(script, 0o755)
            result, _ = office.try_restore("rclone:away:office", env={**env, "PATH": bin_folder + ":/usr/bin:/bin"})
            self.assertEqual(result.status, DAMAGED, str(result))

    def test_full_remote(self):
        """Whatever rclone says last: that there was no room is told from the rest."""
        office = self.office
        served, env = self.serve("webdav")
        bin_folder = office.fresh("bin")
        script = write(os.path.join(bin_folder, "rclone"),
                       "#!/bin/sh\nfor word; do case $word in copy) "
                       "echo '{\"level\":3,\"stats\":{\"bytes\":\"x\"}}' >&2;"
                       "echo '{\"level\":\"error\",\"msg\":\"file too big for remaining disk space\"}' >&2;"
                       "echo '{\"level\":\"error\",\"msg\":\"Failed to copy with 6 errors\"}' >&2; exit 1;; esac; done\n"
                       f"exec {RCLONE} \"$@\"\n")
        os.chmod(script, 0o755)
        result = office.run("replicate", "rclone:away:full", env={**env, "PATH": bin_folder + ":/usr/bin:/bin"})
        self.assertEqual(result.status, NO_SPACE, str(result))
        self.assertIn("make room", result.said)

    def test_read_only_remote(self):
        _, env = self.serve("webdav", "--read-only")
        result = self.office.run("replicate", "rclone:away:office", env=env)
        self.assertIn(result.status, (NOT_ALLOWED, PARTIAL), str(result))
        self.assertIn("rclone:away", result.said)

    def test_remote_that_is_gone(self):
        served, env = self.serve("webdav")
        served.stop()
        result = self.office.run("replicate", "rclone:away:office", env={**env, "RCLONE_LOW_LEVEL_RETRIES": "1"})
        self.assertEqual(result.status, PARTIAL, str(result))
        self.assertIn("repeat the command", result.said)

    def test_no_rclone(self):
        office = self.office
        result = office.run("replicate", "rclone:away:office", env={"PATH": office.tmp})
        self.assertEqual(result.status, USAGE)
        self.assertIn("apt install rclone", result.said)

    def test_no_such_remote(self):
        if not RCLONE:
            self.skipTest("rclone is not installed")
        result = self.office.run("replicate", "rclone:nowhere:office", env={"RCLONE_CONFIG": os.devnull})
        self.assertEqual(result.status, USAGE, str(result))
        self.assertIn("rclone config", result.said)

    def test_remote_that_lets_nothing_be_deleted(self):
        """A program in place of rclone that refuses what object lock refuses, and passes the rest on."""
        office = self.office
        served, env = self.serve("webdav")
        bin_folder = office.fresh("bin")
        script = write(os.path.join(bin_folder, "rclone"),
                       "#!/bin/sh\nfor word; do case $word in delete|deletefile|purge|sync|move|moveto|rmdir|rmdirs) "
                       "echo AccessDenied: object lock >&2; exit 1;; esac; done\n"
                       f"exec {RCLONE} \"$@\"\n")
        os.chmod(script, 0o755)
        env = {**env, "PATH": bin_folder + ":/usr/bin:/bin"}
        target = "rclone:away:locked"
        office.replicate(target, env=env)
        office.add("C-1", {"more": noise(100_000)})
        office.replicate(target, env=env)
        refused = office.run("replicate", target, "--keep", "1", env=env)
        self.assertEqual(refused.status, NOT_ALLOWED, str(refused))
        result, _ = office.try_restore(target, env=env)
        self.assertEqual(result.status, DONE, str(result))

    def test_passwords_in_the_address_are_not_repeated(self):
        office = self.office
        served, _ = self.serve("webdav")
        url = re.search(r"url = (\S+)", read(served.config).decode()).group(1)
        password = re.search(r"pass = (\S+)", read(served.config).decode()).group(1)
        target = f"rclone::webdav,url='{url}',vendor=other,user=office,pass={password}:office"
        result = office.ok("replicate", target, env={"RCLONE_CONFIG": os.devnull})
        log = office.ok("audit", "show").text
        status = office.ok("status").text
        for said in (result.text, log, status):
            self.assertNotIn(password, said)
            self.assertNotIn(url, said)

    def test_killed_while_sending(self):
        """The remote and rclone die with it; what is there already is used, or sent again where it is not whole."""
        office = self.office
        served, env = self.serve("sftp")
        target = "rclone:away:office"
        office.replicate(target, env=env)
        old = dict(office.expected)
        office.add("C-1", {f"more-{number}": noise(2_000_000 + number) for number in range(6)})
        for _ in range(3):
            running = office.start("replicate", target, env=env)
            for _ in range(RANDOM.randrange(2000, 60_000)):
                running.is_running()
            running.kill()
            running.finish()
            result, _ = office.try_restore(target, "--snapshot", "1", "--older", env=env)
            self.assertEqual(result.status, DONE, str(result))
            office.forget_replicas()
        office.replicate(target, env=env)
        result, place = office.try_restore(target, env=env)
        self.assertEqual(result.status, DONE, str(result))
        with office.at(place):
            office.check_records({**old, **office.expected})


if __name__ == "__main__":
    main()
