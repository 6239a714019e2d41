#!/usr/bin/python3
"""How long unlocking takes with the true passphrase and under duress, alternated, three custodians on loopback.

duress_time.py CASEVAULT CASEVAULT_TEST [--runs N] [--folder DIR] [COMMAND...]

CASEVAULT, with the real Argon2id, is what is timed, in a vault that it made; the custodians are CASEVAULT_TEST. COMMAND
is `case list` if not given. After each pair an `unlock` order takes back what the duress passphrase locked. Prints one
line of JSON: milliseconds, their medians and quartiles, and the share of pairs drawn from the two in which the one
under duress took longer (0.5: nobody can tell; its standard error for this many runs stands beside it).
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from custodians import Custodian, KeptOffice
from harness import DONE, Office, write

PLACES = ("Georgia", "Iceland", "Portugal")
DURESS = "another walnut 1905 Kama lantern"


def timed(office, words, passphrase):
    command = [os.environ["CASEVAULT_TEST"], "--user", "anna", *words, "--passphrase-file", office.passphrase_file(passphrase)]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, env=office.env("anna"), check=False)
    took = (time.monotonic() - began) * 1000
    assert done.returncode == DONE, f"{command}: {done.stderr.decode()}"
    return took


def longer(first, second):
    """How often a time of the second is longer than one of the first; equal ones count half."""
    return sum((b > a) + (b == a) / 2 for a in first for b in second) / (len(first) * len(second))


def summary(values):
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median_ms": round(middle, 1), "quartiles_ms": [round(low, 1), round(high, 1)],
            "least_ms": round(min(values), 1), "most_ms": round(max(values), 1), "deviation_ms": round(statistics.stdev(values), 1)}


def measure(arguments, root):
    os.environ["CASEVAULT_TEST"] = os.path.abspath(arguments.casevault_test)
    custodians = [Custodian(root, f"keeper{n}", place) for n, place in enumerate(PLACES, 1)]
    try:
        os.environ["CASEVAULT_TEST"] = os.path.abspath(arguments.casevault)
        office = KeptOffice(os.path.join(root, "office"), custodians)
        office.set_passphrase("duress", DURESS)
        decoy = Office(os.path.join(root, "decoy"))
        decoy.set_passphrase("anna", DURESS)
        decoy.ok("init", "--organisation", "Legal Aid", "--no-recovery")
        decoy.ok("case", "new", "Parking fine")
        decoy.ok("add", "C-1", write(os.path.join(root, "fine.txt"), "They say I owe 100 euro to them.\n"))
        office.ok("user", "passphrase", "--duress", "--new-passphrase-file", office.passphrase_file("duress"), "--decoy",
                  decoy.vault)
        words = arguments.command or ["case", "list"]
        times = {"true": [], "duress": []}
        for run in range(arguments.runs):
            for which in ("true", "duress") if run % 2 == 0 else ("duress", "true"):
                assert office.order("unlock", 1, 2).status == DONE
                times[which].append(timed(office, words, "duress" if which == "duress" else "anna"))
        return {"command": " ".join(words), "runs": arguments.runs, "load": os.getloadavg(),
                **{which: summary(values) for which, values in times.items()},
                "duress_longer": round(longer(times["true"], times["duress"]), 3),
                "standard_error": round(((2 * arguments.runs + 1) / 12) ** 0.5 / arguments.runs, 3)}
    finally:
        for custodian in custodians:
            custodian.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("casevault")
    parser.add_argument("casevault_test")
    parser.add_argument("--runs", type=int, default=30, help="at most 32: a card begins no more than 64 orders")
    parser.add_argument("--folder", default="/var/tmp")
    parser.add_argument("command", nargs="*")
    arguments = parser.parse_intermixed_args()
    root = tempfile.mkdtemp(prefix="casevault-duress-", dir=arguments.folder)
    try:
        print(json.dumps(measure(arguments, root)))
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
