"""Runs the program on a vault in a folder of its own: what the tests of this folder share."""
import os
import subprocess
import sys
import tempfile

from casevault_reader import Reader, Refused, passphrase_of


class Program:
    """The program in the environment variable, and a vault that it makes."""

    def __init__(self, folder, variable="CASEVAULT_TEST"):
        if not os.environ.get(variable):
            print(f"skipped: {variable} does not name the program")
            sys.exit(77)
        self.binary, self.folder, self.vault = os.environ[variable], folder, os.path.join(folder, "vault")

    def passphrase_file(self, user, words=None):
        """The user's passphrase, written down; `words` makes it a new one."""
        path = os.path.join(self.folder, f"{user}.passphrase")
        if words or not os.path.exists(path):
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"{words or 'обережно фіалка вокзал смола пергамент'} {user}\n")
        return path

    def run(self, user, *arguments, content=b"", passphrase_file=None):
        """Standard output, as text."""
        command = [self.binary, "--vault", self.vault, "--user", user, "--yes", "--passphrase-file",
                   passphrase_file or self.passphrase_file(user), *arguments]
        done = subprocess.run(command, input=content, capture_output=True, check=False)
        if done.returncode:
            raise AssertionError(f"{arguments}: status {done.returncode}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode()

    def enrol(self, owner, user, role):
        self.run(user, "user", "join", user)
        self.run(owner, "user", "approve", user, "--role", role)

    def write(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def reader(self, user, vault=None):
        return Reader(vault or self.vault, user, passphrase_of(self.passphrase_file(user)))


class Checks:
    """Counts what held and names what did not."""

    def __init__(self):
        self.good, self.bad = 0, 0

    def that(self, condition, what):
        self.good, self.bad = self.good + bool(condition), self.bad + (not condition)
        if not condition:
            print(f"FAILED: {what}")

    def equal(self, found, expected, what):
        self.that(found == expected, f"{what}: {str(found)[:300]} where {str(expected)[:300]} was expected")

    def refused(self, action, reason, what):
        """That the reader refuses, with a reason that begins so."""
        try:
            action()
            self.that(False, f"{what}: is not refused")
        except Refused as refused:
            self.that(str(refused).startswith(reason), f"{what}: is refused because of {refused}, not of {reason}")

    def status(self):
        print(f"{self.good} checks held, {self.bad} did not")
        return 1 if self.bad or not self.good else 0


def temporary_folder():
    os.umask(0o077)
    return tempfile.TemporaryDirectory(prefix="casevault-interop-")
