"""The next server for what leaves: it takes everything that it is not told to refuse, and keeps it."""

import socketserver
import threading

from .patience import until


class Sink(socketserver.ThreadingTCPServer):
    """The next server: keeps what it gets, and refuses the recipients that it is told to."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hop)
        self.refused: set[str] = set()
        self.mails: list[tuple[str, list[str], bytes]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def to(self, recipient: str) -> list[tuple[str, bytes]]:
        """Senders and octets of what came for an address."""
        return [(sender, mail) for sender, recipients, mail in self.mails if recipient in recipients]

    def wait(self, recipient: str) -> tuple[str, bytes]:
        return until(lambda: self.to(recipient), f"nothing comes for {recipient}")[0]


class Hop(socketserver.StreamRequestHandler):
    server: Sink

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self) -> None:
        self.say("220 sink.test ESMTP")
        sender, recipients = "", []
        for line in self.rfile:
            verb, _, rest = line.decode().strip().partition(" ")
            path = rest.partition("<")[2].partition(">")[0]
            match verb.upper():
                case "EHLO":
                    self.say("250-sink.test\r\n250 8BITMIME")
                case "MAIL":
                    sender, recipients = path, []
                    self.say("250 2.1.0 yes")
                case "RCPT" if path in self.server.refused:
                    self.say("550 5.1.1 nobody of this name is here")
                case "RCPT":
                    recipients.append(path)
                    self.say("250 2.1.5 yes")
                case "DATA" if not recipients:
                    self.say("554 5.5.1 for whom?")
                case "DATA":
                    self.say("354 go on")
                    mail = b""
                    for text in self.rfile:
                        if text == b".\r\n":
                            break
                        mail += text.removeprefix(b".")
                    self.server.mails.append((sender, recipients, mail))
                    self.say("250 2.0.0 taken")
                case "QUIT":
                    self.say("221 2.0.0 bye")
                    return
                case _:
                    self.say("250 2.0.0 yes")
