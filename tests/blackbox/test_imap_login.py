"""Getting in: greeting, capabilities, TLS, LOGIN, AUTHENTICATE, and what happens to the wrong password."""

import base64
import imaplib
import time

import pytest

from harness.server import PASSWORD, Magpie, any_certificate
from harness.wire import ImapWire


def test_greeting_and_capabilities(magpie: Magpie) -> None:
    with ImapWire(magpie) as wire:
        assert wire.greeting.startswith(b"* OK"), wire.greeting
        outcome, _, untagged = wire.command(b"CAPABILITY")
        assert outcome == b"OK"
        (capabilities,) = [line.split()[2:] for line in untagged if line.startswith(b"* CAPABILITY ")]
        assert {b"IMAP4rev1", b"IMAP4rev2", b"STARTTLS"} <= set(capabilities)
        assert wire.command(b"NOOP")[0] == b"OK"
        outcome, _, untagged = wire.command(b"LOGOUT")
        assert outcome == b"OK"
        assert any(line.startswith(b"* BYE") for line in untagged)
        assert wire.closed()


def test_login_with_name_and_with_address(magpie: Magpie, user: str, address: str) -> None:
    for name in (user, address, address.upper()):
        client = magpie.imap()
        assert client.login(name, PASSWORD)[0] == "OK", name
        client.logout()


def test_starttls(magpie: Magpie, user: str) -> None:
    client = magpie.imap()
    client.starttls(any_certificate())
    assert "STARTTLS" not in client.capabilities
    assert client.login(user, PASSWORD)[0] == "OK"
    client.logout()


def test_imaps(magpie: Magpie, user: str) -> None:
    with magpie.imaps(user) as client:
        assert client.socket().version() in ("TLSv1.2", "TLSv1.3")
        assert client.select()[0] == "OK"


@pytest.mark.parametrize("initial", [True, False], ids=["initial-response", "continuation"])
def test_authenticate_plain(magpie: Magpie, user: str, initial: bool) -> None:
    """RFC 4616, with and without the initial response of RFC 4959."""
    response = base64.b64encode(f"\0{user}\0{PASSWORD}".encode())
    with ImapWire(magpie) as wire:
        if initial:
            assert wire.command(b"AUTHENTICATE PLAIN " + response)[0] == b"OK"
        else:
            wire.send(b"a AUTHENTICATE PLAIN\r\n")
            assert wire.line().startswith(b"+")
            wire.send(response + b"\r\n")
            assert wire.outcome(b"a")[0] == b"OK"
        assert wire.command(b"SELECT INBOX")[0] == b"OK"


def test_login_with_literals(magpie: Magpie, user: str) -> None:
    """Synchronising and non-synchronising literals (RFC 7888) as arguments."""
    name, password = user.encode(), PASSWORD.encode()
    with ImapWire(magpie) as wire:
        wire.send(b"a LOGIN {%d}\r\n" % len(name))
        assert wire.line().startswith(b"+")
        wire.send(name + b" {%d+}\r\n" % len(password) + password + b"\r\n")
        assert wire.outcome(b"a")[0] == b"OK"


def test_wrong_password_and_unknown_user_look_the_same(magpie: Magpie, user: str) -> None:
    """Fault 38: same words, and about the same time."""
    texts, times = set(), []
    for name, password in ((user, "wrong"), ("nobody-here", "wrong"), (user, "")):
        client = magpie.imap()
        started = time.monotonic()
        with pytest.raises(imaplib.IMAP4.error) as refused:
            client.login(name, password)
        times.append(time.monotonic() - started)
        texts.add(str(refused.value))
        client.shutdown()
    assert len(texts) == 1, texts
    assert "AUTHENTICATIONFAILED" in texts.pop()
    assert times[1] > times[0] / 5, "an unknown user is refused faster than a known one: names can be probed"


@pytest.mark.parametrize("name", ["*)(uid=*", '"', "%{user}", "a\\b", "user\x7f", "ä" * 300], ids=range(6))
def test_39_strange_names(magpie: Magpie, name: str) -> None:
    with ImapWire(magpie) as wire:
        encoded = name.encode()
        wire.send(b"a LOGIN {%d}\r\n" % len(encoded))
        assert wire.line().startswith(b"+")
        wire.send(encoded + b" x\r\n")
        assert wire.outcome(b"a")[0] in (b"NO", b"BAD")
        assert wire.command(b"NOOP")[0] == b"OK"


def test_commands_in_the_wrong_state(magpie: Magpie, user: str) -> None:
    with ImapWire(magpie) as wire:
        for command in (b"SELECT INBOX", b"FETCH 1 FLAGS", b'LIST "" *'):
            assert wire.command(command)[0] in (b"BAD", b"NO"), command
    with ImapWire(magpie, user) as wire:
        for command in (b"FETCH 1 FLAGS", b"EXPUNGE", b"LOGIN a b"):
            assert wire.command(command)[0] in (b"BAD", b"NO"), command
        assert wire.command(b"SELECT INBOX")[0] == b"OK"
