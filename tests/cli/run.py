#!/usr/bin/python3
"""Runs one command-line script of tests/cli; the language is described in README.md beside this file.

Modelled on Go's testscript and txtar: a script is a list of commands, then files. Every script has a fresh temporary
folder, its own HOME and a minimal environment, so nothing of the machine's user shows through.
Exit status: 0 passed, 1 failed, 2 wrong use of the runner, 77 skipped.
"""
import argparse
import difflib
import fcntl
import os
import pty
import re
import selectors
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time

INCLUDES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "include")
SECTION = re.compile(rb"^-- (.+) --\s*$")
NAME = re.compile(r"\{(\w+)\}|(\w+)")
SANITIZER = re.compile(rb"(Address|Leak|Thread|Memory)Sanitizer|: runtime error: ")
SANITIZER_STATUS = 99
SIZES = {"": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30}
KEYS = {"^C": b"\x03", "^D": b"\x04", "^Z": b"\x1a", "^\\": b"\x1c"}


class Failure(Exception):
    """The script failed, and why."""


class Skip(Exception):
    """The script cannot run here, and why."""


def parse(path):
    """The commands of a script as (place, line), and its files as (name, bytes)."""
    with open(path, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    commands, files = [], []
    for number, line in enumerate(lines, 1):
        section = SECTION.match(line)
        if section:
            files.append((section.group(1).decode(), b""))
        elif files:
            files[-1] = (files[-1][0], files[-1][1] + line)
        else:
            commands.append((f"{os.path.basename(path)}:{number}", line.decode().rstrip("\r\n")))
    return commands, files


def split(line, env):
    """The words of a line, quoted as in a shell: '…' is literal; elsewhere $NAME and ${NAME} stand for variables and a
    backslash for the next character; # begins a comment at the beginning of a word. Nothing is split or globbed."""
    words, word, quote, i = [], None, "", 0
    while i < len(line):
        c = line[i]
        i += 1
        name = NAME.match(line, i) if c == "$" and quote != "'" else None
        if name:
            key = name.group(1) or name.group(2)
            if key not in env:
                raise Failure(f"no variable ${key}")
            word, i = (word or "") + env[key], name.end()
        elif c == quote:
            quote = ""
        elif c == "\\" and (not quote or (quote == '"' and line[i:i + 1] in ('"', "\\", "$"))):
            word, i = (word or "") + line[i:i + 1], i + 1
        elif quote:
            word = (word or "") + c
        elif c in "'\"":
            word, quote = word or "", c
        elif c.isspace():
            words, word = words + ([word] if word is not None else []), None
        elif c == "#" and word is None:
            break
        else:
            word = (word or "") + c
    if quote:
        raise Failure(f"a quote {quote} is not closed")
    return words + ([word] if word is not None else [])


def is_asleep(pid):
    """Whether every thread of a process sleeps, or cannot be asked."""
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/stat", encoding="utf-8", errors="replace") as file:
                if file.read().rpartition(")")[2].split()[0] != "S":
                    return False
    except OSError:
        pass
    return True


class Terminal:
    """A pty, the queue of lines that somebody types there, and what the screen showed.

    A line is typed when the program waits at a question: since the last line it has written something that does not end
    in a newline, it has been quiet since, and it sleeps. So nothing is typed ahead, which a program that turns echo off
    would throw away."""
    QUIET = 0.03  # seconds
    PATIENCE = 5.0  # seconds at a question that the script has no answer to

    def __init__(self, lines):
        self.lines = list(lines)
        self.shown = b""
        self.typed_at = 0
        self.heard = time.monotonic()
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.set_blocking(self.master, False)

    def take_control(self):
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def read(self):
        try:
            while data := os.read(self.master, 65536):
                self.shown += data
                self.heard = time.monotonic()
        except (BlockingIOError, OSError):
            pass

    def question(self):
        """The question at which the program waits, or nothing."""
        text = self.shown[self.typed_at:]
        last = text.replace(b"\r", b"\n").rpartition(b"\n")[2] if not text.endswith((b"\n", b"\r")) else b""
        return last.strip()

    def type_when_asked(self, pid):
        """@throws Failure when the program asks more than the script answers."""
        quiet = time.monotonic() - self.heard
        if quiet < self.QUIET or not self.question() or not is_asleep(pid):
            return
        if self.lines:
            line = self.lines.pop(0)
            self.typed_at, self.heard = len(self.shown), time.monotonic()
            os.write(self.master, KEYS.get(line) or line.encode() + b"\n")
        elif quiet > self.PATIENCE:
            raise Failure(f"it asks '{self.question().decode(errors='replace')}', and no ttyin is left")

    def close(self):
        self.read()
        os.close(self.slave)
        os.close(self.master)


class Script:
    """One script while it runs. Each method `do_NAME` is a command; it gets its words and whether `!` stood before."""
    MAY_BE_NEGATED = {"casevault", "exec", "stdout", "stderr", "ttyout", "grep", "cmp", "exists"}

    def __init__(self, casevault, root, options):
        self.root, self.options = root, options
        self.work = os.path.join(root, "work")
        folders = {name: os.path.join(root, name) for name in ("home", "tmp", "run", "bin")}
        for folder in (self.work, *folders.values()):
            os.mkdir(folder, 0o700)
        if casevault:
            os.symlink(os.path.abspath(casevault), os.path.join(folders["bin"], "casevault"))
        self.env = {
            "PATH": f"{folders['bin']}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": folders["home"], "TMPDIR": folders["tmp"], "XDG_RUNTIME_DIR": folders["run"], "WORK": self.work,
            "USER": "tester", "LOGNAME": "tester", "LANG": "C.UTF-8", "TZ": "UTC", "TERM": "dumb", "NL": "\n",
        }
        self.cwd = self.work
        self.last = None  # the last command run: a dict of status, stdout, stderr, ttyout
        self.next_stdin, self.next_lines, self.next_ttystderr = None, [], False

    # Running scripts

    def run_file(self, path):
        commands, files = parse(path)
        for name, content in files:
            target = os.path.join(self.work, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(content)
        for place, line in commands:
            try:
                self.run_line(line)
            except Failure as failure:
                if not getattr(failure, "place", None):
                    failure.place, failure.line = place, line
                raise

    def run_line(self, line):
        words = split(line, self.env)
        negated = bool(words) and words[0] == "!"
        words = words[negated:]
        if not words:
            return
        if self.options.verbose:
            print(f"> {line.strip()}", flush=True)
        method = getattr(self, "do_" + words[0].replace("-", "_"), None)
        if not method:
            raise Failure(f"no command '{words[0]}'")
        if negated and words[0] not in self.MAY_BE_NEGATED:
            raise Failure(f"'{words[0]}' takes no !")
        try:
            method(words[1:], negated)
        except (OSError, TypeError, ValueError, re.error) as error:
            raise Failure(f"{words[0]}: {error}") from error

    def path(self, name):
        return os.path.join(self.cwd, name)

    def content(self, name):
        """A file's bytes; the names stdout, stderr and ttyout stand for the last command's."""
        if name in ("stdout", "stderr", "ttyout"):
            return self.result()[name]
        with open(self.path(name), "rb") as file:
            return file.read()

    def result(self):
        if self.last is None:
            raise Failure("no command has run yet")
        return self.last

    # Running programs

    def do_casevault(self, words, negated):
        self.run_program(["casevault", *words], negated)

    def do_exec(self, words, negated):
        self.run_program(words, negated)

    def run_program(self, argv, negated):
        program = shutil.which(argv[0], path=self.env["PATH"]) if "/" not in argv[0] else self.path(argv[0])
        if not program:
            raise Failure(f"{argv[0]}: not found")
        terminal = Terminal(self.next_lines) if self.next_lines or self.next_ttystderr else None
        stdin = open(self.path(self.next_stdin), "rb") if self.next_stdin else subprocess.DEVNULL
        stderr = terminal.slave if self.next_ttystderr else subprocess.PIPE
        self.next_stdin, self.next_lines, self.next_ttystderr = None, [], False
        process = subprocess.Popen(
            argv, executable=program, cwd=self.cwd, env=self.env, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr,
            start_new_session=True, preexec_fn=terminal.take_control if terminal else None)
        if stdin is not subprocess.DEVNULL:
            stdin.close()
        self.last = {"status": None, "stdout": b"", "stderr": b"", "ttyout": b""}
        failure = self.attend(process, terminal)
        if failure:
            os.killpg(process.pid, signal.SIGKILL)
        self.last["status"] = process.wait()
        if terminal:
            terminal.close()
            self.last["ttyout"] = terminal.shown
        if self.options.verbose:
            print(self.describe_last(), flush=True)
        if failure:
            raise failure
        self.judge(argv[0], negated, terminal.lines if terminal else [])

    def attend(self, process, terminal):
        """Collects the output and types at questions until the program has ended; a Failure when it would not end. What
        holds the pipes after it (a daemon it started) is not waited for."""
        deadline = time.monotonic() + self.options.timeout
        pipes = {name: getattr(process, name) for name in ("stdout", "stderr") if getattr(process, name)}
        with selectors.DefaultSelector() as selector:
            for name, pipe in pipes.items():
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ, name)
            if terminal:
                selector.register(terminal.master, selectors.EVENT_READ, "terminal")
            try:
                while True:
                    ended = process.poll() is not None
                    events = selector.select(0.2 if pipes and not terminal and not ended else 0.01)
                    for key, _ in events:
                        if key.data == "terminal":
                            terminal.read()
                        elif data := key.fileobj.read():
                            self.last[key.data] += data
                        elif data == b"":
                            selector.unregister(pipes.pop(key.data))
                    if ended and not events:
                        return None
                    if terminal and not ended:
                        terminal.type_when_asked(process.pid)
                    if time.monotonic() > deadline:
                        return Failure(f"still running after {self.options.timeout:g} seconds")
            except Failure as failure:
                return failure
            finally:
                process.stdout.close()
                if process.stderr:
                    process.stderr.close()

    def judge(self, program, negated, lines_left):
        status = self.last["status"]
        shown = self.last["stderr"] + self.last["ttyout"]
        if status == SANITIZER_STATUS or SANITIZER.search(shown):
            raise Failure("a sanitizer reports")
        if status < 0 and program == "casevault":
            raise Failure(f"ended by {signal.Signals(-status).name}")
        if negated and status == 0:
            raise Failure("succeeded, and should not have")
        if not negated and status != 0:
            raise Failure(f"exit status {status}")
        if lines_left:
            raise Failure(f"never asked for the line '{lines_left[0]}'")

    # What the next program gets

    def do_stdin(self, words, _):
        [self.next_stdin] = words

    def do_ttyin(self, words, _):
        [line] = words
        self.next_lines.append(line)

    def do_ttystderr(self, words, _):
        [] = words
        self.next_ttystderr = True

    # What the last program gave

    def do_status(self, words, _):
        [number] = words
        if self.result()["status"] != int(number):
            raise Failure(f"exit status {self.last['status']}, not {number}")

    def search(self, pattern, content, where, negated):
        found = re.search(pattern, content.decode("utf-8", "surrogateescape").replace("\r\n", "\n"), re.MULTILINE)
        if found and negated:
            raise Failure(f"'{pattern}' is in {where}: '{found.group()}'")
        if not found and not negated:
            raise Failure(f"'{pattern}' is not in {where}")

    def do_stdout(self, words, negated):
        [pattern] = words
        self.search(pattern, self.content("stdout"), "stdout", negated)

    def do_stderr(self, words, negated):
        [pattern] = words
        self.search(pattern, self.content("stderr"), "stderr", negated)

    def do_ttyout(self, words, negated):
        [pattern] = words
        self.search(pattern, self.content("ttyout"), "ttyout", negated)

    def do_saveout(self, words, _):
        [name] = words
        with open(self.path(name), "wb") as file:
            file.write(self.result()["stdout"])

    # Files

    def do_grep(self, words, negated):
        [pattern, name] = words
        self.search(pattern, self.content(name), name, negated)

    def do_cmp(self, words, negated):
        [a, b] = words
        left, right = self.content(a), self.content(b)
        if (left == right) == negated:
            raise Failure(f"{a} and {b} {'are the same' if negated else 'differ'}\n{difference(left, right, a, b)}")

    def do_exists(self, words, negated):
        for name in words:
            if os.path.lexists(self.path(name)) == negated:
                raise Failure(f"{name} {'exists' if negated else 'does not exist'}")

    def do_mkdir(self, words, _):
        for name in words:
            os.makedirs(self.path(name), exist_ok=True)

    def do_cp(self, words, _):
        [source, target] = words
        target = self.path(target)
        if os.path.isdir(target):
            target = os.path.join(target, os.path.basename(source))
        if source not in ("stdout", "stderr", "ttyout") and os.path.isdir(self.path(source)):
            shutil.copytree(self.path(source), target, symlinks=True)
            return
        with open(target, "wb") as file:
            file.write(self.content(source))

    def do_rm(self, words, _):
        for name in words:
            remove(self.path(name))

    def do_chmod(self, words, _):
        [mode, name] = words
        os.chmod(self.path(name), int(mode, 8))

    def do_symlink(self, words, _):
        [link, target] = words
        os.symlink(target, self.path(link))

    def do_random(self, words, _):
        [name, size] = words
        number, unit = re.fullmatch(r"(\d+)([kMG]?)", size).groups()
        left = int(number) * SIZES[unit]
        with open(self.path(name), "wb") as file:
            while left:
                left -= file.write(os.urandom(min(left, 1 << 20)))

    # The script itself

    def do_env(self, words, _):
        for word in words:
            key, _, value = word.partition("=")
            self.env[key] = value

    def do_cd(self, words, _):
        [name] = words
        if not os.path.isdir(self.path(name)):
            raise Failure(f"{name}: no such folder")
        self.cwd = os.path.normpath(self.path(name))

    def do_include(self, words, _):
        [name] = words
        self.run_file(os.path.join(INCLUDES, name))

    def do_need(self, words, _):
        for name in words:
            if not shutil.which(name, path=self.env["PATH"]):
                raise Skip(f"needs {name}")

    def do_skip_if_root(self, words, _):
        [] = words
        if os.geteuid() == 0:
            raise Skip("means nothing to root")

    # Reports

    def describe_last(self):
        if self.last is None:
            return ""
        text = f"  [status {self.last['status']}]\n"
        for name in ("stdout", "stderr", "ttyout"):
            if shown := self.last[name].decode("utf-8", "backslashreplace").replace("\r\n", "\n"):
                shown = shown if len(shown) < 8000 else shown[:4000] + "\n[…]\n" + shown[-4000:]
                text += f"  [{name}]\n" + "".join(f"  | {line}\n" for line in shown.splitlines())
        return text.rstrip("\n")


def difference(left, right, left_name, right_name):
    """A unified diff of text, or where binary data begins to differ."""
    try:
        lines = [side.decode().splitlines(keepends=True) for side in (left, right)]
        return "".join(difflib.unified_diff(*lines, left_name, right_name))[:4000]
    except UnicodeDecodeError:
        first = next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
        return f"{len(left)} and {len(right)} bytes, differing from byte {first}"


def remove(path):
    """Removes a file or folder, also one whose permissions were taken away."""
    if os.path.isdir(path) and not os.path.islink(path):
        for folder, _, _ in os.walk(path):
            os.chmod(folder, stat.S_IRWXU)
            for entry in os.scandir(folder):
                if entry.is_dir(follow_symlinks=False):
                    os.chmod(entry.path, stat.S_IRWXU)
        shutil.rmtree(path)
    else:
        os.remove(path)


def main():
    parser = argparse.ArgumentParser(description="Runs one command-line script.", allow_abbrev=False)
    parser.add_argument("script")
    parser.add_argument("--casevault", default=os.environ.get("CASEVAULT_TEST"), help="program that `casevault` runs")
    parser.add_argument("--timeout", type=float, default=120, help="seconds that one command may take")
    parser.add_argument("--verbose", action="store_true", help="print every command and what it gave")
    parser.add_argument("--keep", action="store_true", help="leave the temporary folder in place and name it")
    options = parser.parse_args()
    root = os.path.realpath(tempfile.mkdtemp(prefix="casevault-cli."))
    script = Script(options.casevault, root, options)
    try:
        script.run_file(options.script)
    except Skip as skip:
        print(f"SKIPPED: {skip}")
        return 77
    except Failure as failure:
        print(f"FAILED: {options.script}, {failure.place}\n  {failure.line.strip()}\n  {failure}")
        print(script.describe_last())
        return 1
    finally:
        if options.keep:
            print(f"kept: {root}")
        else:
            remove(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
