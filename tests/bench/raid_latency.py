#!/usr/bin/python3
"""How long from an order's arrival at a custodian until the guard's keys are gone and the slots overwritten, while
1,000 other long polls hang at the same custodian: those of another office's guards, which it does not wake; or of the
same vault's, all of which are to be told, the guard that is measured last.

raid_latency.py CASEVAULT_TEST [--runs N] [--polls N] [--of other same] [--sizes MIB...] [--folder DIR]

The clock starts before the last signature of a `destroy` is written to a connection that stands; it stops when the guard
says that the slots are overwritten, synced and read back ("destroying: keys-destroyed"), before which its keeper has
ended. Both are read in this process, by the monotonic clock. "answered" is when the card's bearer has the custodian's
receipt: it may be later, for the custodian tells guards what a tombstone keeps before it commits the rest. So what is measured includes the order's way to the
custodian and the guard's line back, and what the machine is busy with besides.

Between two runs vault, device key and custodian are put back from copies, and the custodian is started anew. Bodies are
linked into place, not copied: unlinking them, which comes after what is measured, frees no space.

CASEVAULT_TEST: the program with the cheap Argon2id; unlocking is over before the clock starts. Prints one line of JSON
for each size, and each run on standard error. Exit status 1 where a p99 misses its mark of 50 ms. Run it on a quiet
machine, on a disk, not in memory.
"""
import argparse
import base64
import contextlib
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from custodians import Custodian
from custody_client import TLS, SigningKey, b64, canonical, nonce, now_ms, public, sign, sign_request, wait_until
from harness import DESTROYED, PATIENCE, Office, files_of, program, read, write

MARK_MS = 50
BODY_MIB = 8
CARD_PREFIX = "casevault-card:1/"


def load_of_machine():
    with open("/proc/loadavg", encoding="ascii") as file:
        return [float(word) for word in file.read().split()[:3]]


def at_share(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Bench:
    def __init__(self, folder, polls, polls_of):
        self.root, self.polls, self.polls_of = folder, polls, polls_of
        self.custodian = Custodian(folder, "keeper", "Iceland", "--behind-tor")
        self.office, self.other = Office(os.path.join(folder, "office")), Office(os.path.join(folder, "other"))
        self.runtime = os.path.join(folder, "run")
        os.mkdir(self.runtime, 0o700)
        self.pristine = os.path.join(folder, "pristine")

    def fill(self, size_mib):
        """The vault with so many MiB of bodies, under custody, and copies of everything that a destroy changes."""
        office = self.office
        office.ok("init", "--organisation", "Legal Aid", "--no-recovery")
        office.ok("case", "new", "Matter")
        source = os.path.join(self.root, "source")
        for number in range(max(1, size_mib // BODY_MIB)):
            with open(write(os.path.join(source, f"{number}.bin"), str(number)), "r+b") as file:
                file.truncate(min(size_mib, BODY_MIB) << 20)
        office.ok("add", "C-1", source)
        shutil.rmtree(source)
        self.card = self.enroll(office)
        self.other.ok("init", "--organisation", "Other", "--no-recovery")
        self.others_card = self.enroll(self.other)
        self.custodian.stop()
        os.mkdir(self.pristine)
        for path in (office.vault, office.home, self.custodian.data):
            os.rename(path, os.path.join(self.pristine, os.path.basename(path)))

    def enroll(self, office):
        """Its card."""
        cards = os.path.join(office.root, "cards")
        office.ok("custody", "enroll", self.custodian.invitation(), "--threshold", "1", "--cards", "1", "--quorum", "1",
                  "--out", cards, "--one-place")
        office.ok("status")
        return read_card(os.path.join(cards, "card-1.txt"))

    def put_back(self):
        for path in (self.office.vault, self.office.home, self.custodian.data):
            shutil.rmtree(path, ignore_errors=True)
            source = os.path.join(self.pristine, os.path.basename(path))
            shutil.copytree(source, path, copy_function=copy_or_link)

    def run(self):
        """One destroy; milliseconds until each line of the guard, and what it said in its signed receipts."""
        self.put_back()
        self.custodian.start()
        with contextlib.ExitStack() as stack:
            polls = [stack.enter_context(connect(self.custodian.port)) for _ in range(self.polls)]
            sender = stack.enter_context(connect(self.custodian.port))
            guard = self.start_guard()
            stack.callback(end, guard)
            for poll in polls:
                poll.sendall(self.poll_request())
            self.wait_until_idle()
            os.sync()
            times = self.destroy(sender, guard)
            if self.polls_of == "same":
                told = sum(b"destroy" in receive(poll) for poll in polls)
                assert told == self.polls, f"{told} of {self.polls} polls were told"
            else:
                told = ready_of(polls, 0)
                assert not told, f"{len(told)} polls of another vault were told"
        times["receipts"] = self.receipts()
        self.custodian.stop()
        return times

    def start_guard(self):
        guard = subprocess.Popen([program(), "guard"], env=self.env(), stderr=subprocess.PIPE, bufsize=0)
        wait_until("the guard's socket", lambda: any(map(stat.S_ISSOCK, self.modes_in(self.runtime))))
        self.office.ok("unlock", env={"XDG_RUNTIME_DIR": self.runtime})
        return guard

    @staticmethod
    def modes_in(folder):
        return [os.lstat(os.path.join(folder, path)).st_mode for path in files_of(folder)]

    def env(self):
        return {**self.office.env("anna"), "XDG_RUNTIME_DIR": self.runtime}

    def poll_request(self):
        office, card = (self.office, self.card) if self.polls_of == "same" else (self.other, self.others_card)
        device = read_device(office.home)
        target = f"/v1/orders/wait?after=0&to={self.custodian.identity['key']}&vault={card['vault']}"
        return on_the_wire("GET", target, b"", sign_request("GET", target, b"", device))

    def wait_until_idle(self):
        """Everything that was sent is parked: the custodian has done nothing for a quarter of a second."""
        before = None
        while before != (before := processor_time(self.custodian.process.pid)):
            time.sleep(0.25)

    def destroy(self, sender, guard):
        order = self.order()
        request = on_the_wire("POST", "/v1/orders", order, {})
        times, unread = {}, b""
        began = time.monotonic()
        sender.sendall(request)
        while "keys-destroyed" not in times or "answered" not in times:
            missing = [sender] if "answered" not in times else []
            missing += [guard.stderr] if "keys-destroyed" not in times else []
            ready = ready_of(missing, PATIENCE)
            assert ready, "nothing came of the order"
            now = (time.monotonic() - began) * 1000
            if sender in ready:
                times["answered"] = now
                answer = receive(sender)
                assert answer.startswith(b"HTTP/1.1 200"), answer
            if guard.stderr in ready:
                said = guard.stderr.read(65536)
                assert said, f"the guard has ended: {unread.decode()}"
                unread += said
                for stage in ("received", "keys-destroyed"):
                    if f"destroying: {stage}".encode() in unread:
                        times.setdefault(stage, now)
        guard.stderr.read()
        assert guard.wait(PATIENCE) == DESTROYED
        return times

    def order(self):
        key = SigningKey(bytes.fromhex(self.card["seed"]))
        self.ordered = now_ms()
        text = canonical({"expires": self.ordered + 3_600_000, "issued": self.ordered, "kind": "order", "nonce": nonce(),
                          "reason": "", "scope": "vault", "type": "destroy", "vault": self.card["vault"]})
        return canonical({"signatures": [{"card": public(key), "signature": b64(sign(key, "casevault/v1/order", text))}],
                          "statement": text}).encode()

    def receipts(self):
        """Milliseconds, by the clock of the signed receipts, from making the order until each was signed."""
        key = SigningKey(bytes.fromhex(self.card["seed"]))
        target = f"/v1/orders?to={self.custodian.identity['key']}&vault={self.card['vault']}"
        with connect(self.custodian.port) as connection:
            connection.sendall(on_the_wire("GET", target, b"", sign_request("GET", target, b"", key)))
            answer = json.loads(receive(connection).split(b"\r\n\r\n", 1)[1])
        signed = [json.loads(receipt["statement"]) for receipt in answer["orders"][0]["receipts"]]
        return {receipt["stage"]: receipt["time"] - self.ordered for receipt in signed}

    def clear(self):
        self.custodian.kill()
        for path in (self.pristine, self.office.vault, self.custodian.data):
            shutil.rmtree(path, ignore_errors=True)


def copy_or_link(source, target):
    if "/bodies/" in source:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def read_card(path):
    with open(path, encoding="utf-8") as file:
        line = next(line for line in file if not line.startswith("#")).strip()
    text = line.removeprefix(CARD_PREFIX)
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def read_device(home):
    """The machine's key: "CVM1", vault id, seed, name."""
    folder = os.path.join(home, ".local", "state", "casevault")
    path = os.path.join(folder, os.listdir(folder)[0], "device")
    magic, _, seed = struct.unpack_from("4s16s32s", read(path))
    assert magic == b"CVM1", magic
    return SigningKey(seed)


def connect(port):
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return TLS.wrap_socket(plain)


def on_the_wire(method, target, body, headers):
    lines = [f"{method} {target} HTTP/1.1", "Host: custodian", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def receive(connection):
    """One whole answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    length = int(re.search(rb"(?i)content-length: (\d+)", data).group(1))
    while len(data) < data.index(b"\r\n\r\n") + 4 + length:
        data += connection.recv(65536)
    return data


def ready_of(streams, timeout):
    """Those that have something to read; select(2) would not take so many."""
    poll = select.poll()
    for stream in streams:
        poll.register(stream, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll(timeout * 1000)}
    return [stream for stream in streams if stream.fileno() in ready]


def processor_time(process):
    with open(f"/proc/{process}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[11:13]


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait()
    process.stderr.close()


def measure(size_mib, polls_of, arguments):
    runs, polls, folder = arguments.runs, arguments.polls, arguments.folder
    root = os.path.join(folder, f"casevault-raid-{os.getpid()}")
    os.makedirs(root)
    try:
        bench = Bench(root, polls, polls_of)
        try:
            bench.fill(size_mib)
            before = load_of_machine()
            measured = []
            for _ in range(runs):
                measured.append(bench.run())
                print(json.dumps(measured[-1], default=str), file=sys.stderr, flush=True)
        finally:
            bench.clear()
    finally:
        shutil.rmtree(root, ignore_errors=True)
    summary = {"vault_mib": size_mib, "polls": polls, "polls_of": polls_of, "runs": runs, "load_before": before, "load_after": load_of_machine()}
    for name in ("answered", "received", "keys-destroyed"):
        values = [one[name] for one in measured]
        summary[name] = {f"p{int(share * 100)}_ms": round(at_share(values, share), 1) for share in (0.5, 0.9, 0.99)}
        summary[name]["worst_ms"] = round(max(values), 1)
    signed = [one["receipts"].get("keys-destroyed") for one in measured]
    summary["receipts_signed"] = sum(value is not None for value in signed)
    summary["receipt_of_keys_destroyed_ms"] = [at_share([v for v in signed if v is not None], s) for s in (0.5, 0.99)]
    print(json.dumps(summary), flush=True)
    return summary["keys-destroyed"]["p99_ms"] <= MARK_MS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("casevault_test")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--polls", type=int, default=1000)
    parser.add_argument("--of", nargs="+", choices=("other", "same"), default=["other", "same"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 5000], help="MiB of bodies")
    parser.add_argument("--folder", default="/var/tmp", help="on the disk to be measured")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    met = [measure(size, polls_of, arguments) for polls_of in arguments.of for size in arguments.sizes]
    sys.exit(0 if all(met) else 1)


if __name__ == "__main__":
    os.environ["CASEVAULT_TEST"] = sys.argv[1] if len(sys.argv) > 1 else ""
    main()
