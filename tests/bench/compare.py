#!/usr/bin/python3
"""Compares casevault with age and restic on this machine's disk, alternated run by run.

compare.py CASEVAULT [--runs N] [--folder DIR] [--size MIB] [--files N]

  large file   `add` against `age -e`, `export` against `age -d`: at most as long, unlocking taken off
  small files  `add` of 20,000 files of 0.5 to 12 kB against `restic backup`: at most half as long, likewise
  sharing      `share` of the large file against `tar c | age -e`: at most 1.3 times as long, likewise
  memory       peak of each command, below Argon2's and 64 MiB more

Exit status 1 when a median misses its mark. Run it on a quiet machine.
"""
import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PASSPHRASE = "correct horse battery staple of nine words or so"
ARGON2_KIB = 256 * 1024
TOUCHED_BYTES = 3 << 30


class Bench:
    def __init__(self, casevault, folder):
        self.casevault = os.path.abspath(casevault)
        self.folder = folder
        self.peak_kib = {}
        with open(self.path("passphrase"), "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(PASSPHRASE + "\n")
        subprocess.run(["age-keygen", "-o", self.path("key")], check=True, capture_output=True)
        with open(self.path("key"), encoding="utf-8") as file:
            self.recipient = re.search(r"age1\w+", file.read()).group()

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def timed(self, label, command, **environment):
        """Seconds that a command takes, everything before it being on the disk, and free memory being the machine's own.

        A virtual machine gets memory from its host page by page; whoever runs first would wait for it.
        """
        os.sync()
        subprocess.run([sys.executable, "-c", f"bytearray({TOUCHED_BYTES})"], check=True)
        started = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                 env={**os.environ, **environment})
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - started
        if status != 0:
            sys.exit(f"{label}: {command} failed:\n{errors.decode()}")
        self.peak_kib[label] = max(self.peak_kib.get(label, 0), usage.ru_maxrss)
        return seconds

    def vault(self, label, *arguments, name="vault"):
        return self.timed(label, [self.casevault, "--vault", self.path(name), "--user", "anna", "--quiet",
                                  "--passphrase-file", self.path("passphrase"), *arguments])

    def new_vault(self, name="vault"):
        shutil.rmtree(self.path(name), ignore_errors=True)
        self.vault("init", "init", "--organisation", "Bench", "--no-recovery", name=name)
        self.vault("case new", "case", "new", "Bench", name=name)

    def card(self, name):
        """The keys by which a vault shares."""
        output = subprocess.run([self.casevault, "--vault", self.path(name), "--user", "anna", "--quiet", "--json",
                                 "--passphrase-file", self.path("passphrase"), "contact", "self"], check=True,
                                capture_output=True).stdout
        return json.loads(output)

    def remove(self, *names):
        for name in names:
            shutil.rmtree(self.path(name), ignore_errors=True)
            if os.path.lexists(self.path(name)):
                os.remove(self.path(name))


def make_large(bench, mib):
    with open(bench.path("large"), "wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))


def make_small(bench, count):
    source = random.Random(1)
    for number in range(count):
        folder = bench.path("small", f"{number // 500:03}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"{number:06}.bin"), "wb") as file:
            file.write(source.randbytes(source.randint(512, 12 * 1024)))


def run_large(bench, times):
    bench.new_vault()
    times.setdefault("unlock", []).append(bench.vault("unlock", "case", "list"))
    times.setdefault("age -e", []).append(
        bench.timed("age -e", ["age", "-e", "-r", bench.recipient, "-o", bench.path("large.age"), bench.path("large")]))
    times.setdefault("add", []).append(bench.vault("add", "add", "C-1", bench.path("large")))
    times.setdefault("age -d", []).append(
        bench.timed("age -d", ["age", "-d", "-i", bench.path("key"), "-o", bench.path("large.dec"),
                               bench.path("large.age")]))
    times.setdefault("export", []).append(bench.vault("export", "export", "C-1", "--to", bench.path("out")))
    subprocess.run(["cmp", bench.path("large"), bench.path("out", "C-1", "large")], check=True)
    bench.remove("large.age", "large.dec", "out")


def run_sharing(bench, times):
    """The large file, which the vault has by now, to a second vault."""
    bench.new_vault("partner")
    partner, own = bench.card("partner"), bench.card("vault")
    bench.vault("contact", "contact", "add", "partner", "--age", partner["age"], "--sign", partner["sign"])
    bench.vault("contact", "contact", "add", "bench", "--age", own["age"], "--sign", own["sign"], name="partner")
    pipe = f"cd '{bench.folder}' && tar c large | age -e -r {bench.recipient} -o large.tar.age"
    times.setdefault("tar | age", []).append(bench.timed("tar | age", ["sh", "-c", pipe]))
    times.setdefault("share", []).append(
        bench.vault("share", "share", "C-1", "--to", "partner", "--out", bench.path("bundle.age")))
    times.setdefault("receive", []).append(bench.vault("receive", "receive", bench.path("bundle.age"), name="partner"))
    bench.remove("large.tar.age", "bundle.age", "bundle.age.receipt", "partner")


def run_small(bench, times):
    bench.new_vault()
    bench.remove("repository")
    environment = {"RESTIC_PASSWORD": PASSPHRASE}
    bench.timed("restic init", ["restic", "init", "--repo", bench.path("repository")], **environment)
    times.setdefault("unlock", []).append(bench.vault("unlock", "case", "list"))
    times.setdefault("restic", []).append(
        bench.timed("restic", ["restic", "backup", "--no-cache", "--quiet", "--repo", bench.path("repository"),
                               bench.path("small")], **environment))
    times.setdefault("add small", []).append(bench.vault("add small", "add", "C-1", bench.path("small")))


def report(times, ours, theirs, factor):
    net = statistics.median(times[ours]) - statistics.median(times["unlock"])
    allowed = factor * statistics.median(times[theirs])
    verdict = "ok" if net <= allowed else "TOO SLOW"
    print(f"{ours:10} {net:6.2f} s net of unlocking; {theirs} {statistics.median(times[theirs]):.2f} s; "
          f"allowed {allowed:.2f} s: {verdict}")
    return net <= allowed


def report_memory(bench):
    fine = True
    for label in ("add", "export", "share", "receive", "add small"):
        peak = bench.peak_kib.get(label, 0)
        good = peak < ARGON2_KIB + 64 * 1024
        fine = fine and good
        print(f"{label:10} peak {peak / 1024:.0f} MiB: {'ok' if good else 'TOO MUCH'}")
    return fine


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("casevault")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", default=None, help="on the disk to be measured")
    parser.add_argument("--size", type=int, default=1024, help="MiB of the large file")
    parser.add_argument("--files", type=int, default=20000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bench = Bench(options.casevault, folder)
        make_large(bench, options.size)
        make_small(bench, options.files)
        large, small = {}, {}
        for _ in range(options.runs):
            run_large(bench, large)
            run_sharing(bench, large)
            run_small(bench, small)
        for times in (large, small):
            for label, seconds in times.items():
                print(f"{label:10} " + " ".join(f"{value:.2f}" for value in seconds))
        results = [report(large, "add", "age -e", 1), report(large, "export", "age -d", 1),
                   report(large, "share", "tar | age", 1.3), report(small, "add small", "restic", 0.5),
                   report_memory(bench)]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
