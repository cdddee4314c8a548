"""Addresses on loopback that nobody else uses, so that every host of a test has port 25 for itself. Needs root."""

import random
import socket

# A server that is known by name has these ports; whoever draws an address gets all of them.
PORTS = (25, 53, 443, 465, 587)


def address() -> str:
    """An address of 127.0.0.0/8 at which nobody listens on the ports of mail, DNS and the web."""
    generator = random.SystemRandom()
    for _ in range(1000):
        found = f"127.{generator.randrange(1, 255)}.{generator.randrange(256)}.{generator.randrange(1, 255)}"
        if all(is_free(found, port) for port in PORTS):
            return found
    raise AssertionError("no free address was found on loopback")


def is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
