#!/usr/bin/python3
"""`--proxy`: every word to a custodian goes through the SOCKS5 proxy (Tor), by name and never by address."""
import os
import socket
import socketserver
import struct
import threading

from custodians import Custodian
from harness import DONE, FaultTest, Office, main, scratch, write

TOO_FEW = 18
CONNECT, IPV4, NAME, IPV6 = 1, 1, 3, 4
SUCCEEDED, REFUSED = 0, 5
ONION = "keeperkeeperkeeperkeeperkeeperkeeperkeeperkeeperkeeperke.onion"


def receive(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the client is gone")
        data += more
    return data


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Socks(socketserver.ThreadingTCPServer):
    """SOCKS5 (RFC 1928), without authentication. Knows one name, and where it leads."""
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, names):
        super().__init__(("127.0.0.1", 0), SocksConnection)
        self.names, self.seen, self.refuses = names, [], False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"


class SocksConnection(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            self.serve()
        except OSError:
            pass

    def serve(self):
        version, methods = receive(self.request, 2)
        assert version == 5
        receive(self.request, methods)
        self.request.sendall(b"\x05\x00")
        _, command, _, kind = receive(self.request, 4)
        size = {IPV4: 4, IPV6: 16}.get(kind) or receive(self.request, 1)[0]
        host = receive(self.request, size)
        port = struct.unpack(">H", receive(self.request, 2))[0]
        self.server.seen.append((command, kind, host, port))
        target = self.server.names.get(host.decode(errors="replace")) if kind == NAME else None
        if self.server.refuses or target is None:
            return self.answer(REFUSED)
        with socket.create_connection(target) as onwards:
            self.answer(SUCCEEDED)
            back = threading.Thread(target=pump, args=(onwards, self.request), daemon=True)
            back.start()
            pump(self.request, onwards)
            back.join()

    def answer(self, reply):
        self.request.sendall(struct.pack(">BBBBIH", 5, reply, 0, IPV4, 0, 0))


class ProxyTest(FaultTest):
    def setUp(self):
        self.root = scratch("proxy")
        self.custodian = Custodian(self.root, "keeper1", "Georgia")
        self.addCleanup(self.custodian.kill)
        self.socks = Socks({ONION: ("127.0.0.1", self.custodian.port)})
        self.addCleanup(self.socks.server_close)
        self.addCleanup(self.socks.shutdown)
        self.office = Office(os.path.join(self.root, "office"))
        self.office.ok("init", "--organisation", "Legal Aid", "--no-recovery")
        self.office.ok("case", "new", "Дело Ивановой")
        self.cards = os.path.join(self.root, "cards")
        self.proxied("custody", "enroll", self.invitation(), "--one-place", "--threshold", "1", "--cards", "1",
                     "--quorum", "1", "--out", self.cards)

    def invitation(self):
        """As an operator behind an onion service gives it: a name that only Tor can resolve."""
        here = f"127.0.0.1:{self.custodian.port}"
        line = self.custodian.invitation()
        self.assertIn(here, line)
        return line.replace(here, f"{ONION}:8443")

    def proxied(self, *words, **options):
        result = self.office.run(*words, "--proxy", self.socks.address(), **options)
        self.assertEqual(result.status, DONE, str(result))
        return result

    def test_names_go_to_the_proxy(self):
        self.proxied("status")
        self.proxied("add", "C-1", write(self.office.fresh("note"), "They came at night."))
        self.proxied("cat", "C-1/E-1")
        self.proxied("order", "status", "--card", os.path.join(self.cards, "card-1.txt"), passphrase=False,
                     env={"CASEVAULT_DIR": ""})
        self.assertEqual(set(self.socks.seen), {(CONNECT, NAME, ONION.encode(), 8443)})

    def test_a_proxy_that_refuses(self):
        self.proxied("status")
        self.socks.refuses = True
        before = len(self.socks.seen)
        result = self.office.run("cat", "C-1/E-1", "--proxy", self.socks.address())
        self.assertEqual(result.status, TOO_FEW, str(result))
        self.assertGreater(len(self.socks.seen), before)
        self.socks.refuses = False
        self.proxied("case", "list")

    def test_nothing_goes_past_the_proxy(self):
        """Without it an onion name leads nowhere; with a proxy that is not there, neither, whatever the address."""
        self.proxied("status")
        self.assertEqual(self.office.run("case", "list").status, TOO_FEW)
        self.socks.shutdown()
        self.socks.server_close()
        self.assertEqual(self.office.run("case", "list", "--proxy", self.socks.address()).status, TOO_FEW)


if __name__ == "__main__":
    main()
