"""What the tests of replicas share: an office with replicas, remotes on loopback, and harm done to them."""
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time

from harness import DAMAGED, DONE, RANDOM, FilledOffice, read, write

RCLONE = shutil.which("rclone")


class ReplicaOffice(FilledOffice):
    """The filled office, with a body in the hands of each case, and a folder for replicas."""

    def __init__(self, root):
        super().__init__(root)
        self.replica = os.path.join(root, "replica")

    def env(self, user):
        return {**super().env(user), "XDG_STATE_HOME": os.path.join(self.root, "state")}

    def replicate(self, target=None, *options, **kwargs):
        """What it says of the snapshot that it made."""
        return self.ok("--json", "replicate", target or self.replica, *options, **kwargs).objects()[-1]

    def forget_replicas(self):
        shutil.rmtree(os.path.join(self.root, "state"), ignore_errors=True)

    def try_restore(self, source=None, *options, place=None, **kwargs):
        """Into a new folder; returns the result and the folder."""
        place = place or self.fresh("restored")
        return self.run("restore", source or self.replica, "--vault", place, *options, **kwargs), place

    def check_restores(self, source=None, *options, expected=None, place=None):
        """It restores, and the vault is the one that was replicated. Returns the folder."""
        result, place = self.try_restore(source, *options, place=place)
        assert result.status == DONE, f"it does not restore: {result}"
        with self.at(place):
            self.check_clean()
            self.check_records(expected if expected is not None else self.expected)
        return place

    def at(self, place):
        return At(self, place)

    def check_found(self, named, *options, source=None):
        """Restoring finds the harm before it says done, names it, and leaves no vault."""
        result, place = self.try_restore(source, *options)
        assert result.status == DAMAGED, f"the harm to {named} was not found: {result}"
        assert named in result.said, f"{named} is not named: {result}"
        assert not os.path.exists(place), "a vault was left all the same"
        partial = os.path.join(os.path.dirname(place), f".{os.path.basename(place)}.restore.partial")
        shutil.rmtree(partial, ignore_errors=True)


class At:
    """The office's vault is another one for a while."""

    def __init__(self, office, place):
        self.office, self.place = office, place

    def __enter__(self):
        self.before, self.office.vault = self.office.vault, self.place

    def __exit__(self, *_):
        self.office.vault = self.before


def snapshots_in(replica):
    return sorted(os.listdir(os.path.join(replica, "snapshots")))


def put_snapshot(replica, manifest):
    """Under the name that belongs to it; returns its path."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    name = f"{manifest['number']:08}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    return write(os.path.join(replica, "snapshots", name), text)


def needed_by_newest(replica):
    """Names of objects that the newest snapshot needs; of bodies, those of the vault that are there."""
    manifest = json.loads(read(os.path.join(replica, "snapshots", snapshots_in(replica)[-1])))
    hashes = {chunk for file in manifest["files"] for chunk in file["chunks"]}
    hashes |= {entry["hash"] for entry in manifest["bodies"] + manifest["spare_bodies"]}
    return sorted(f"objects/{digest[:2]}/{digest}" for digest in hashes)


def flip(path, offset=None):
    content = bytearray(read(path))
    at = RANDOM.randrange(len(content)) if offset is None else offset
    content[at] ^= 1 << RANDOM.randrange(8)
    with open(path, "wb") as file:
        file.write(content)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Served:
    """A folder served by `rclone serve` on loopback, and a configuration of rclone with the remote in it."""

    def __init__(self, kind, root, *options):
        self.folder = os.path.join(root, f"served-{kind}")
        os.makedirs(self.folder, exist_ok=True)
        port = free_port()
        self.config = os.path.join(root, f"{kind}.conf")
        password = subprocess.run([RCLONE, "obscure", "hunter2"], capture_output=True, check=True).stdout.decode().strip()
        lines = {"webdav": f"type = webdav\nurl = http://127.0.0.1:{port}\nvendor = other\nuser = office\npass = {password}\n",
                 "sftp": f"type = sftp\nhost = 127.0.0.1\nport = {port}\nuser = office\npass = {password}\n"
                         "shell_type = none\nmd5sum_command = none\nsha1sum_command = none\n"}[kind]
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("[away]\n" + lines)
        env = {"PATH": "/usr/bin:/bin", "HOME": root, "RCLONE_CONFIG": os.devnull}
        self.process = subprocess.Popen(
            [RCLONE, "serve", kind, self.folder, "--addr", f"127.0.0.1:{port}", "--user", "office", "--pass", "hunter2",
             *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
        wait_for_port(port)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def wait_for_port(port):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server does not answer")
