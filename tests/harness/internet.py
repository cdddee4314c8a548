"""A small internet on loopback: names, certificates, policies, and hosts that have an address each. Needs root."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from . import knot, websts
from .authority import Authority, Certificate
from .peer import Peer


class Internet:
    """What a server that sends mail finds around it."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack):
        self.stack = stack
        self.dns = stack.enter_context(knot.serving())
        self.authority = Authority(folder / "authority")
        self.web = stack.enter_context(websts.serving(self.authority))

    def host(self, name: str, *addresses: str) -> None:
        """Addresses of a host. Known after `publish`."""
        for address in addresses:
            self.dns.add(name, "AAAA" if ":" in address else "A", address)

    def exchangers(self, domain: str, *hosts: str, preferences: tuple[int, ...] = ()) -> None:
        """The hosts that take mail for a domain, the preferred first, or by preferences."""
        for number, host in enumerate(hosts):
            preference = preferences[number] if preferences else 10 * (number + 1)
            self.dns.add(domain, "MX", f"{preference} {host}.")

    def peer(self, domain: str, host: str | None = None, certificate: Certificate | None = None, **manners) -> Peer:
        """A scripted server that takes the mail of a domain, as DNS says from now on."""
        host = host or f"mx.{domain}"
        if certificate:
            manners["tls"] = certificate.context()
        peer = Peer(name=host, greeting=manners.pop("greeting", f"220 {host} ESMTP".encode()), **manners)
        self.stack.callback(peer.close)
        self.host(host, peer.address)
        self.exchangers(domain, host)
        self.publish()
        return peer

    def policy(self, domain: str, mode: str, *hosts: str, max_age: int = 86_400) -> None:
        """A policy of MTA-STS for a domain, and the records that lead to it."""
        self.web.set(domain, mode, *hosts, max_age=max_age)
        self.dns.add_text(f"_mta-sts.{domain}", "v=STSv1; id=1")
        self.host(f"mta-sts.{domain}", self.web.address)
        self.publish()

    def publish(self) -> None:
        self.dns.publish()


@contextlib.contextmanager
def connected(folder: Path) -> Iterator[Internet]:
    with contextlib.ExitStack() as stack:
        yield Internet(folder, stack)
