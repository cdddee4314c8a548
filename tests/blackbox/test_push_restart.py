"""Clients of the event source live through kills of the server: they come back with the id of the last event that they have
seen, and miss nothing. Checked by the ids of emails, and not by how often anybody was told.
"""

import http.client
import json
import socket
import threading
from pathlib import Path

from harness import giants, patience
from harness.jmapmodel import Jmap
from harness.server import Magpie

USER = "user1"
CLIENTS = 4
KILLS = 3
LETTERS = 6


class Watcher(threading.Thread):
    """A client that hears events, and asks after each which emails are new."""

    def __init__(self, magpie: Magpie):
        super().__init__(daemon=True)
        self.magpie = magpie
        self.jmap = Jmap(magpie, USER)
        self.last: str = self.jmap.get("Email", [])["state"]
        self.seen: set[str] = set()
        self.surprise: BaseException | None = None
        self.over = False

    def run(self) -> None:
        try:
            while not self.over:
                # A connection that ends, and one that cannot be made, are what the server's death looks like.
                try:
                    self._listen()
                except (OSError, http.client.HTTPException):
                    self._await_server()
        except BaseException as surprise:
            self.surprise = surprise

    def _listen(self) -> None:
        jmap = Jmap(self.magpie, USER)
        jmap.headers["Last-Event-ID"] = self.last
        jmap.connection.request("GET", "/jmap/events?types=Email&closeafter=no&ping=0", headers=jmap.headers)
        answer = jmap.connection.getresponse()
        assert answer.status == 200, answer.status
        event: dict[str, str] = {}
        while line := answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                event[name] = value
            elif event:
                self._hear(event)
                event = {}
        raise ConnectionResetError("the events have ended")

    def _hear(self, event: dict[str, str]) -> None:
        assert event["event"] == "state"
        (changed,) = json.loads(event["data"])["changed"].values()
        assert changed == {"Email": event["id"]}
        jmap = Jmap(self.magpie, USER)
        since, more = self.last, True
        while more:
            changes = jmap.call("Email/changes", sinceState=since)
            self.seen |= set(changes["created"])
            since, more = changes["newState"], changes["hasMoreChanges"]
        # Only now: a client that dies before asks again.
        self.last = event["id"]

    def _await_server(self) -> None:
        patience.until(lambda: self.over or self._answers(), "the server does not come back")

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.magpie.port("http"))) == 0


def test_55_clients_of_the_event_source_miss_nothing_when_the_server_dies(data: Path) -> None:
    magpie = Magpie(data, users=1).start()
    try:
        watchers = [Watcher(magpie) for _ in range(CLIENTS)]
        for watcher in watchers:
            watcher.start()
        number = 0
        for _ in range(KILLS):
            for _ in range(LETTERS):
                number += 1
                magpie.deliver(f"{USER}@example.test", giants.letter(number))
            magpie.kill()
            magpie.start()
        number += 1
        magpie.deliver(f"{USER}@example.test", giants.letter(number))
        delivered = Jmap(magpie, USER).everything("Email").keys()
        assert len(delivered) == number
        for watcher in watchers:
            patience.until(
                lambda watcher=watcher: watcher.seen >= delivered or watcher.surprise,
                f"a client has heard of {len(watcher.seen)} of {number} emails",
            )
            watcher.over = True
            assert watcher.surprise is None and watcher.seen == delivered
        magpie.stop()
        assert b"panicked" not in magpie.log.read_bytes(), magpie.log_tail()
    finally:
        magpie.kill()
