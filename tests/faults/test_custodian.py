"""A custodian under abuse, killed, and stopped: real processes, real TLS.

Whatever is thrown at it gets its status and costs it neither memory nor descriptors; `kill -9` at any call that writes
to the disk loses nothing that it answered; SIGTERM answers everybody and ends.

CASEVAULT_ABUSE: how many abusive requests (4,000 if not given). CASEVAULT_KILLS: at how many places it is killed (24).
"""
import collections
import hashlib
import http.client
import os
import signal
import socket
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl.signing import SigningKey

from custody_client import (BASE_POINT, Answer, Enrolled, Service, ask, b64, canonical, nonce, now_ms, sign_request,
                            wait_until)
from harness import (BUSY, DONE, NO_VAULT, RANDOM, UNDER_STRACE, USAGE, Disk, FaultTest, calls_in, check_sane, files_of,
                     has_strace, in_own_mounts, main, number_from, read, scratch, spread, strace)

ABUSE = number_from("CASEVAULT_ABUSE", 4_000)
KILLS = number_from("CASEVAULT_KILLS", 24)
GROWTH = 8 << 10  # KiB that a service may have grown by: what its allocator keeps of the busiest moment
STORE_GROWTH = 1 << 20  # bytes: at most 200 refusals of a vault and hour are logged
CRLF = b"\r\n"
DURABLE_CALLS = "pwrite64,fdatasync,fsync,ftruncate,openat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir"


def stop(service, number=signal.SIGTERM):
    """Ends it and looks how it ended."""
    service.running.kill(number)
    return check_sane(service.running.finish())


class ServiceTest(FaultTest):
    def serve(self, *options, **more):
        service = Service(scratch("custodian"), *options, **more).started()
        self.addCleanup(service.running.kill)
        return service


def read_answers(connection):
    """Everything until the custodian closes."""
    data = b""
    try:
        while more := connection.recv(65536):
            data += more
    except (ConnectionResetError, ssl.SSLError):
        pass
    connection.close()
    return data


def status_in(data):
    return int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.1 ") else None


class AbuseTest(ServiceTest):
    """Each kind of abuse is a method that does one of it and gives the status that came and the one that should."""

    def setUp(self):
        self.service = self.serve()
        self.office = Enrolled(self.service)
        self.user = self.office.add_user()
        self.stranger = SigningKey.generate()
        self.counts = collections.Counter()
        self.kept = self.service.connection()
        self.addCleanup(self.kept.close)
        self.spent = canonical(self.office.evaluation(self.user)).encode()
        self.spent_headers = sign_request("POST", "/v1/evaluate", self.spent, self.office.device)
        self.assertEqual(self.evaluate(self.spent_headers).status, 200)

    def evaluate(self, headers, body=None):
        return ask(self.kept, "POST", "/v1/evaluate", body or self.spent, headers)

    def raw(self, *pieces):
        """What comes back for bytes on a connection of their own."""
        connection = self.service.connect()
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass  # it had seen enough
        return status_in(read_answers(connection))

    def unsigned(self):
        return self.evaluate({}), 401, "unsigned"

    def wrongly_signed(self):
        headers = sign_request("POST", "/v1/evaluate", self.spent, self.office.device)
        return self.evaluate(headers, self.spent.replace(b'"version":1', b'"version":2')), 401, "signature"

    def forged(self):
        headers = sign_request("POST", "/v1/evaluate", self.spent, self.office.device)
        headers["Signature"] = f"sig=:{b64(os.urandom(64))}:"
        return self.evaluate(headers), 401, "signature"

    def of_a_stranger(self):
        return self.evaluate(sign_request("POST", "/v1/evaluate", self.spent, self.stranger)), 401, "signature"

    def replayed(self):
        return self.evaluate(self.spent_headers), 401, "replay"

    def expired(self):
        created = now_ms() // 1000 - RANDOM.choice((301, 3600, 10**8))
        answer = self.evaluate(sign_request("POST", "/v1/evaluate", self.spent, self.office.device, created=created))
        self.assertIn("Casevault-Time", answer.headers)
        return answer, 401, "time"

    def of_the_future(self):
        created = now_ms() // 1000 + RANDOM.choice((400, 10**8))
        return self.evaluate(sign_request("POST", "/v1/evaluate", self.spent, self.office.device, created=created)), \
            401, "time"

    def malformed_json(self):
        body = RANDOM.choice((b"{", b"[]", b'{"to":1}', b"\xff\xfe", b'{ "to":""}', b"{" * 5000, self.spent + b" "))
        headers = sign_request("POST", "/v1/evaluate", body, self.office.device)
        return self.evaluate(headers, body), 400, "malformed"

    def unknown_path(self):
        return ask(self.kept, "GET", "/" + os.urandom(8).hex()), 404, "unknown"

    def unknown_endpoint(self):
        return ask(self.kept, "POST", "/v1/" + os.urandom(8).hex(), b"{}"), 404, "unknown"

    def false_order(self):
        return self.office.send_order(self.office.order("destroy", "vault", [self.stranger] * 1), self.kept), \
            403, "order"

    def malformed_http(self):
        head = RANDOM.choice((b"GARBAGE", b"GET / HTTP/9.9", b"GET  /healthz HTTP/1.1", b"\x00\x01\x02", b"GET nopath HTTP/1.1",
                              b"PUT /healthz HTTP/1.1", b"GET /healthz HTTP/1.1\r\nContent-Length: 5",
                              b"POST /v1/orders HTTP/1.1\r\nContent-Length: -1",
                              b"POST /v1/orders HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
                              b"POST /v1/orders HTTP/1.1\r\nTransfer-Encoding: chunked",
                              b"GET /healthz HTTP/1.1\r\nSignature: a\r\nSignature: b",
                              b"GET /healthz HTTP/1.1\r\nno colon"))
        return self.raw(head + 2 * CRLF), 400

    def oversized_body(self):
        length = RANDOM.choice((65_537, 1_000_000, 10**15))
        head = f"POST /v1/orders HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode()
        return self.raw(head, b"x" * min(length, 300_000)), 413

    def oversized_header(self):
        return self.raw(b"GET /healthz HTTP/1.1\r\n", b"X: " + b"y" * RANDOM.choice((8200, 100_000))), 413

    def no_tls(self):
        """Nothing of HTTP comes back to bytes that are no TLS."""
        connection = socket.create_connection(self.service.address)
        try:
            connection.sendall(RANDOM.choice((b"GET / HTTP/1.1\r\n\r\n", os.urandom(500))))
        except (BrokenPipeError, ConnectionResetError):
            pass
        return status_in(read_answers(connection)), None

    CHEAP = (unsigned, wrongly_signed, forged, of_a_stranger, replayed, expired, of_the_future, malformed_json,
             unknown_path, unknown_endpoint, false_order)
    ON_CONNECTIONS = (malformed_http, oversized_body, oversized_header, no_tls)

    def one(self, kind):
        came, *expected = kind(self)
        if isinstance(came, Answer):
            came = [came.status, came.word]
        else:
            came = [came]
        self.assertEqual(came, expected, kind.__name__)
        self.counts[" ".join(map(str, (kind.__name__, *came)))] += 1

    def some(self, count):
        for _ in range(count):
            self.one(RANDOM.choice(self.CHEAP if RANDOM.random() < 0.7 else self.ON_CONNECTIONS))

    def test_abuse_is_refused_and_costs_nothing(self):
        for kind in (*self.CHEAP, *self.ON_CONNECTIONS):
            self.one(kind)
        descriptors = self.service.descriptors()  # before the slow ones, which on a busy machine are soon sent away
        slow = self.start_slow(200)
        self.some(ABUSE // 10)
        memory, store = self.service.memory(), self.store_size()
        self.some(ABUSE - ABUSE // 10 - len(slow))
        for connection in slow:
            self.assertEqual(status_in(read_answers(connection)), 408)
            self.counts["slow 408"] += 1
        grown, store_grown = self.service.memory() - memory, self.store_size() - store
        print(f"{self.counts.total()} refused: {dict(sorted(self.counts.items()))}; memory {memory} KiB, grown by {grown} "
              f"KiB; store {store} bytes, grown by {store_grown}", flush=True)
        self.assertGreaterEqual(self.counts.total(), ABUSE)
        self.assertLess(grown, GROWTH)
        self.assertLess(store_grown, STORE_GROWTH)
        if descriptors is not None:
            wait_until("all closed", lambda: self.service.descriptors() <= descriptors)
        # It still works, and none of it counted as a try or changed anything.
        answer = self.office.evaluate(self.user)
        self.assertEqual((answer.status, answer.json["tries"]), (200, 2))
        result = stop(self.service)
        self.assertEqual(result.status, DONE, str(result))
        self.check_log(result)

    def store_size(self):
        return sum(os.path.getsize(os.path.join(self.service.data, path)) for path in files_of(self.service.data))

    def start_slow(self, count):
        """Connections that begin a request and never end it; each has got to a different place."""
        whole = b"POST /v1/orders HTTP/1.1\r\nContent-Length: 1000\r\nSignature: x\r\n\r\n" + b"{" * 900
        slow = []
        for place in spread(count, len(whole)):
            connection = self.service.connect()
            connection.sendall(whole[:place + 1])
            slow.append(connection)
        return slow

    def check_log(self, result):
        """What the operator sees: a few lines however many were refused, and nothing of an office."""
        said = result.err.decode()
        self.assertLess(said.count("\n"), 50, said)
        for secret in (self.office.vault, self.office.to, self.user, BASE_POINT, self.office.device_id):
            self.assertNotIn(secret, said)


class LimitsTest(ServiceTest):
    def test_one_address_gets_its_share(self):
        service = self.serve(behind_tor=False)
        connection = service.connect()
        count = 1500
        threading.Thread(target=connection.sendall, args=(b"GET /healthz HTTP/1.1\r\n\r\n" * count,)).start()
        statuses = []
        reader = connection.makefile("rb")
        for _ in range(count):
            statuses.append(int(reader.readline().split()[1]))
            length = 0
            while line := reader.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split()[1])
            reader.read(length)
        self.assertEqual(set(statuses), {200, 429})
        self.assertGreaterEqual(statuses.count(200), 350)
        connection.close()
        stop(service)

    def test_one_address_gets_so_many_connections(self):
        service = self.serve(behind_tor=False)
        held = [service.connect() for _ in range(200)]
        with self.assertRaises((ssl.SSLError, OSError)):
            service.connect()
        held.pop().close()
        for connection in held:
            self.addCleanup(connection.close)

        def is_let_in():
            try:
                service.connect().close()
            except (ssl.SSLError, OSError):
                return False
            return True
        wait_until("another is let in", is_let_in)
        stop(service)

    def test_tls_is_1_3_with_the_pinned_key(self):
        service = self.serve()
        connection = service.connect()
        self.assertEqual(connection.version(), "TLSv1.3")
        certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))
        spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.assertEqual(service.about["pin"], "sha256//" + b64(hashlib.sha256(spki).digest()))
        self.assertEqual(service.invite()["pin"], hashlib.sha256(spki).digest())
        connection.close()
        stop(service)

    def test_one_service_a_folder(self):
        service = self.serve()
        second = Service(service.root)
        self.assertFalse(second.listens())
        self.assertEqual(second.running.finish().status, BUSY)
        stop(service)

    def test_invite_and_listen_say_what_is_wrong(self):
        service = self.serve()
        empty = os.path.join(service.root, "empty")
        os.mkdir(empty)
        self.assertEqual(service.run("custodian", "invite", "--data", empty).status, NO_VAULT)
        host, port = service.address
        for listen, status in (("127.0.0.1", USAGE), ("127.0.0.1:x", USAGE), ("192.0.2.1:1", USAGE),
                               (f"{host}:{port}", BUSY)):
            result = service.run("custodian", "serve", "--data", empty, "--listen", listen)
            self.assertEqual(result.status, status, str(result))
        stop(service)


class LongPollTest(ServiceTest):
    def setUp(self):
        self.service = self.serve()
        self.office = Enrolled(self.service)

    def park(self, count):
        """So many long polls, each with a thread that waits for its answer."""
        answers, threads = [], []
        for _ in range(count):
            connection = self.service.connection()
            headers = self.wait_headers()
            connection.request("GET", self.target, headers=headers)
            threads.append(threading.Thread(target=self.read_answer, args=(connection, answers)))
            threads[-1].start()
        return answers, threads

    @staticmethod
    def read_answer(connection, answers):
        answers.append(Answer(connection.getresponse()))
        connection.close()

    def wait_headers(self):
        self.target = f"/v1/orders/wait?after=0&to={self.office.to}&vault={self.office.vault}"
        return sign_request("GET", self.target, b"", self.office.device)

    def test_an_order_wakes_all(self):
        answers, threads = self.park(50)
        order = self.office.order("lock", "vault", self.office.cards[:1])
        receipt = self.office.send_order(order)
        self.assertEqual((receipt.status, receipt.said["state"]), (200, "done"))
        for thread in threads:
            thread.join()
        for answer in answers:
            self.assertEqual((answer.status, answer.json["state"], answer.json["number"]), (200, "locked", 1))
        self.assertEqual(self.office.send_order(order).text, receipt.text)
        stop(self.service)

    def test_those_who_hang_up_are_forgotten(self):
        before = self.service.descriptors()
        if before is None:
            self.skipTest("this system does not show another process's descriptors")
        gone = []
        for _ in range(100):
            connection = self.service.connection()
            headers = self.wait_headers()
            connection.request("GET", self.target, headers=headers)
            gone.append(connection)
        for connection in gone:
            connection.close()
        wait_until("all are closed", lambda: self.service.descriptors() <= before)
        self.assertEqual(self.office.send_order(self.office.order("lock", "vault")).status, 200)
        stop(self.service)

    def test_sigterm_answers_everybody(self):
        answers, threads = self.park(30)
        idle = self.service.connection()
        self.addCleanup(idle.close)
        self.assertEqual(ask(idle, "GET", "/healthz").text, "ok\n")
        result = stop(self.service)
        self.assertEqual(result.status, DONE, str(result))
        for thread in threads:
            thread.join()
        for answer in answers:
            self.assertEqual((answer.status, answer.json["orders"]), (200, []))
            self.assertEqual(answer.headers["Connection"], "close")
        self.assertEqual(len(answers), 30)

    def test_sigterm_in_the_middle_loses_nothing(self):
        user = self.office.add_user()
        tries, done = [], threading.Event()

        def evaluate_until_it_ends():
            connection = self.service.connection()
            try:
                while True:
                    answer = self.office.evaluate(user, connection)
                    if answer.status != 200:
                        break
                    tries.append(answer.json["tries"])
                    self.office.confirm(user, connection)
                    done.set()
            except (OSError, AssertionError, http.client.HTTPException):
                pass
            connection.close()
            done.set()
        workers = [threading.Thread(target=evaluate_until_it_ends) for _ in range(4)]
        for worker in workers:
            worker.start()
        done.wait()
        self.assertEqual(stop(self.service).status, DONE)
        for worker in workers:
            worker.join()
        self.service = Service(self.service.root).started()
        self.addCleanup(self.service.running.kill)
        self.office.service = self.service
        logged = sum(entry["action"] == "evaluate" and entry["outcome"] == "ok" for entry in self.office.log())
        self.assertGreaterEqual(logged, len(tries))
        stop(self.service)


class FullDiskTest(ServiceTest):
    """Other things fill the disk; the custodian goes on, and orders arrive."""

    def test_orders_are_taken_on_a_full_disk(self):
        if not in_own_mounts():
            self.skipTest("this process must not mount")
        root = scratch("full")
        disk = Disk(os.path.join(root, "custodian"), 24 << 20)
        service = Service(root).started()
        self.addCleanup(service.running.kill)
        office, other = Enrolled(service), Enrolled(service)
        user, kept = office.add_user(), office.add_user()
        burned = nonce()
        disk.leave(0)

        def is_full():
            answer = office.evaluate(user)
            if answer.status == 200:  # the store had room inside
                office.confirm(user)
                return False
            self.assertEqual((answer.status, answer.word), (503, "busy"))
            return True
        wait_until("the disk is full", is_full)
        self.assertEqual(ask(service, "GET", "/healthz").text, "ok\n")
        for path, fields in (("/v1/release", office.about(box=burned * 2, secrets=[{"id": user, "version": 1}])),
                             ("/v1/evaluate", other.evaluation(user))):
            self.assertEqual(office.post(path, fields).word, "busy")
        orders = [office.order("lock", f"user:{user}"), office.order("destroy", f"user:{kept}"),
                  other.order("destroy", "vault"), office.order("burn", f"device:{office.device_id}")]
        receipts = [office.send_order(order) for order in orders]
        self.assertEqual([receipt.said["state"] for receipt in receipts], ["done"] * 4)
        disk.leave(0)  # what was kept back is taken by others
        shown = office.get("/v1/orders", key=office.cards[0]).json["orders"]
        self.assertEqual(len(shown), 3)
        service.running.kill(signal.SIGKILL)
        service.running.finish()
        disk.leave(64 << 10)
        again = office.service = other.service = Service(root).started()
        self.addCleanup(again.running.kill)
        self.assertEqual([office.send_order(order).text for order in orders], [r.text for r in receipts])
        self.assertEqual(other.evaluate(user).word, "busy")
        disk.clear()

        def has_space():
            return other.evaluate(user).word == "destroyed"
        wait_until("there is space again", has_space)
        self.assertEqual(office.evaluate(user).word, "burned")
        self.assertEqual(stop(again).status, DONE)


class Memory:
    """What a custodian answered, to be asked about after it was killed."""

    def __init__(self, office):
        self.office = office
        self.users, self.tries, self.receipts, self.locked = [], {}, [], []

    def work(self):
        """A little of everything that lasts; ends when the custodian does."""
        connection = self.office.service.connection()
        try:
            self.work_over(connection)
        finally:
            connection.close()

    def work_over(self, connection):
        office = self.office
        for _ in range(3):
            user = office.add_user(connection)
            self.users.append(user)
            self.tries[user] = 0
            for _ in range(3):
                answer = office.evaluate(user, connection)
                self.tries[user] = answer.json["tries"]
        office.confirm(self.users[0], connection)
        self.tries[self.users[0]] = 0
        for kind, index in (("lock", 1), ("destroy", 2)):
            order = office.order(kind, f"user:{self.users[index]}")
            receipt = office.send_order(order, connection)
            assert receipt.status == 200, str(receipt)
            self.receipts.append((order, receipt.text))
            self.locked.append((self.users[index], "locked" if kind == "lock" else "destroyed"))

    def check(self, test):
        """Everything that was answered still holds."""
        office = self.office
        words = dict(self.locked)
        for user in self.users:
            answer = office.evaluate(user)
            if user in words:
                test.assertEqual((answer.status, answer.word), (403, words[user]))
            elif answer.status == 200:
                test.assertGreater(answer.json["tries"], self.tries[user])
            else:  # an order that was carried out and not yet answered
                test.assertIn(answer.word, ("locked", "destroyed"))
        for order, receipt in self.receipts:
            test.assertEqual(office.send_order(order).text, receipt)
        logged = [entry["action"] for entry in office.log() if entry["outcome"] == "ok"]
        test.assertGreaterEqual(logged.count("evaluate"), sum(self.tries.values()))
        test.assertGreaterEqual(logged.count("deposit"), len(self.users))


class KillTest(FaultTest):
    @classmethod
    def setUpClass(cls):
        if not has_strace():
            cls.skipTest(cls, "strace cannot trace here")

    def run_under(self, service):
        """The work as far as the service lets it: what it answered, and whether it lived to the end. No memory where it
        died before it was asked anything."""
        if not service.listens():
            return None, False
        memory = None
        try:
            memory = Memory(Enrolled(service))
            memory.work()
        except (OSError, AssertionError, http.client.HTTPException):
            return memory, False  # killed
        return memory, True

    def test_kill_before_a_tombstone_is_synced(self):
        """Then nobody was told of the order; it is carried out all the same where its line was written."""
        root = scratch("custodian")
        tombstones = os.path.join(root, "custodian", "tombstones")
        under = strace(os.devnull, "-P", tombstones, "-e", "inject=fdatasync:signal=KILL", calls="fdatasync")
        service = Service(root, under=under, env=UNDER_STRACE).started()
        office = Enrolled(service)
        user = office.add_user()
        guard = service.connection()
        self.addCleanup(guard.close)
        target = f"/v1/orders/wait?after=0&to={office.to}&vault={office.vault}"
        guard.request("GET", target, headers=sign_request("GET", target, b"", office.device))
        with self.assertRaises((OSError, http.client.HTTPException)):
            office.send_order(office.order("destroy", "vault"))
        with self.assertRaises((OSError, http.client.HTTPException)):
            guard.getresponse()
        self.assertEqual(service.running.finish().status, -signal.SIGKILL)
        again = office.service = Service(root).started()
        self.addCleanup(again.running.kill)
        self.assertEqual(office.evaluate(user).word, "destroyed")
        self.assertEqual(stop(again).status, DONE)

    def test_kill_at_every_durable_step(self):
        log = os.path.join(scratch("calls"), "strace")
        service = Service(scratch("custodian"), under=strace(log, calls=DURABLE_CALLS), env=UNDER_STRACE)
        _, lived = self.run_under(service)
        self.assertTrue(lived)
        self.assertEqual(self.end(service), DONE)
        calls = calls_in(log)
        print(f"{len(calls)} durable steps", flush=True)
        for place in spread(min(KILLS, len(calls)), len(calls)):
            with self.subTest(call=str(calls[place])):
                self.kill_at(calls[place])

    def end(self, service):
        """SIGTERM to the service itself, which strace started. How it ended."""
        strace_id = service.running.process.pid
        for child in read(f"/proc/{strace_id}/task/{strace_id}/children").split():
            os.kill(int(child), signal.SIGTERM)
        return service.running.finish().status

    def kill_at(self, call):
        root = scratch("killed")
        inject = f"inject={call.name}:signal=KILL:when={call.number}"
        service = Service(root, under=strace(os.devnull, "-e", inject, calls=call.name), env=UNDER_STRACE)
        memory, lived = self.run_under(service)
        status = self.end(service) if lived else service.running.finish().status
        self.assertIn(status, (DONE, -signal.SIGKILL) if lived else (-signal.SIGKILL,))
        again = Service(root).started()
        try:
            if memory:
                memory.office.service = again
                memory.check(self)
        finally:
            self.assertEqual(stop(again).status, DONE)


if __name__ == "__main__":
    main()
