"""A relay in front of a server that sees what a network sees of TLS: connections, and the records each way."""
import socket
import threading

HEADER = 5         # bytes of a record's header: type, version, length
APPLICATION = 23   # the type of everything encrypted


class Line:
    """One connection. `up` and `down` hold the lengths of encrypted records to the server and from it; of the server's
    only those that came after the client had sent its first one, which ends the handshake: an ECDSA signature in the
    handshake is 70 to 72 bytes long by chance."""

    def __init__(self, client, server):
        self.up, self.down = [], []
        self.ends = client, server
        self.threads = [threading.Thread(target=self.pass_on, args=ends, daemon=True)
                        for ends in ((client, server, self.saw_up), (server, client, self.saw_down))]
        for thread in self.threads:
            thread.start()

    def finish(self):
        for thread in self.threads:
            thread.join()
        for end in self.ends:
            end.close()

    def saw_up(self, length):
        self.up.append(length)

    def saw_down(self, length):
        if self.up:
            self.down.append(length)

    @staticmethod
    def pass_on(source, target, saw):
        pending = b""
        try:
            while data := source.recv(65536):
                pending += data
                while len(pending) >= HEADER and len(pending) >= (end := HEADER + int.from_bytes(pending[3:5], "big")):
                    if pending[0] == APPLICATION:
                        saw(end - HEADER)
                    pending = pending[end:]
                target.sendall(data)
        except OSError:
            pass
        for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
            try:
                end.shutdown(how)
            except OSError:
                pass


class Relay:
    """Listens on a port of its own on loopback and passes everything on to `port`."""

    def __init__(self, port):
        self.target = port
        self.lines = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            while True:
                client, _ = self.listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.lines.append(Line(client, server))
        except OSError:
            pass  # closed

    def take(self):
        """What was seen since the last time: for each connection the lengths of the records, (up, down)."""
        lines, self.lines = self.lines, []
        for line in lines:
            line.finish()
        return [(tuple(line.up), tuple(line.down)) for line in lines]

    def close(self):
        """Nobody listens at its address any more."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes who waits for a connection
        except OSError:
            pass  # closed already
        self.listener.close()
        self.take()
