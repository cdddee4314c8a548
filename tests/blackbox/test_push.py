"""Push to apps that are not connected, by way of a push service that the tests run themselves (RFC 8620 §7.2)."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import giants
from harness.authority import Authority
from harness.dns import Dns
from harness.jmapuser import JmapUser
from harness.pushservice import App, PushService, serving
from harness.server import PASSWORD
from harness.site import Site

NAMES = ("smtp", "imap", "http")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def names() -> Iterator[Dns]:
    """Where push services are, or seem to be."""
    server = Dns()
    for name in ("push.test", "pushes.test"):
        server.add(name, "A", "127.0.0.1")
    server.add("loopback.test", "A", "127.0.0.1")
    server.add("metadata.test", "A", "169.254.169.254")
    server.add("shared.test", "A", "100.64.0.1")
    server.add("private.test", "A", "10.0.0.1")
    server.add("local.test", "AAAA", "fe80::1")
    server.add("mapped.test", "AAAA", "::ffff:127.0.0.1")
    yield server
    server.close()


@pytest.fixture
def service(authority: Authority) -> Iterator[PushService]:
    with serving(authority, "push.test") as service:
        yield service


def settings(names: Dns, authority: Authority, allow: str) -> str:
    return (
        "[login]\nplaintext = true\n[checks]\nenabled = false\n"
        f'[relay]\ndns = ["{names.address}"]\ntrust = ["{authority.path}"]\n'
        f"[push]\nallow = [{allow}]\n"
    )


@pytest.fixture(scope="module")
def site(names: Dns, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that may use push services on loopback, as no other may."""
    folder = tmp_path_factory.mktemp("push")
    server = Site(folder, settings(names, authority, '"127.0.0.0/8"'), names=NAMES).start()
    server.add("alice", "bob", "carol", "dave", password=PASSWORD)
    yield server
    if server.process:
        server.stop()


class Phone(JmapUser):
    """A user's app, with or without keys."""

    def __init__(self, site: Site, user: str, app: App | None = None):
        super().__init__(site, f"{user}@example.test")
        self.user, self.app = user, app

    def register(self, service: PushService, **more):
        keys = {"keys": self.app.keys()} if self.app else {}
        url = f"{service.origin}/send/{self.user}"
        return self.ask("PushSubscription/set", create={"a": {"deviceClientId": self.user, "url": url, **keys, **more}})

    def subscribe(self, service: PushService, **more) -> str:
        """A subscription that is verified."""
        made = self.register(service, **more)["created"]["a"]["id"]
        told = self.read(service)
        assert (told["@type"], told["pushSubscriptionId"]) == ("PushVerification", made)
        changed = self.ask("PushSubscription/set", update={made: {"verificationCode": told["verificationCode"]}})
        assert changed["updated"] == {made: None}
        return made

    def read(self, service: PushService):
        posted = service.next()
        return self.app.read(posted) if self.app else posted.json()

    def subscriptions(self) -> list:
        return self.ask("PushSubscription/get", ids=None)["list"]


def test_only_the_app_can_read_it_and_the_service_knows_the_sender(site: Site, service: PushService) -> None:
    app = App()
    phone = Phone(site, "alice", app)
    made = phone.register(service)["created"]["a"]["id"]
    posted = service.next()
    assert (posted.path, posted.headers["ttl"]) == ("/send/alice", "86400")
    assert posted.headers["content-type"] == "application/json" and posted.headers["host"] in service.origin
    assert made.encode() not in posted.body
    key, claims = posted.sender(service.origin)
    assert key == phone.session["capabilities"]["urn:ietf:params:jmap:webpush-vapid"]["applicationServerKey"]
    assert claims["sub"] == "mailto:postmaster@mail.example.test"
    code = app.read(posted)["verificationCode"]
    phone.ask("PushSubscription/set", update={made: {"verificationCode": code}})
    site.deliver("alice@example.test", giants.letter(1))
    changed = app.read(service.next())["changed"][phone.account]
    assert changed["EmailDelivery"] == changed["Email"] == phone.state()
    (shown,) = phone.subscriptions()
    assert shown["id"] == made and "url" not in shown and "keys" not in shown


def test_55_a_restart_loses_no_push(site: Site, service: PushService) -> None:
    phone = Phone(site, "bob")
    phone.subscribe(service, types=["Email"])
    service.always = (503, {"Retry-After": "1"})
    site.deliver("bob@example.test", giants.letter(1))
    assert service.next().json()["@type"] == "StateChange"
    site.deliver("bob@example.test", giants.letter(2))
    site.kill()
    service.always = (201, {})
    while not service.posted.empty():
        service.next()
    site.start()
    phone = Phone(site, "bob")
    # The newest state, and nothing older.
    assert phone.read(service)["changed"] == {phone.account: {"Email": phone.state()}}
    key = phone.session["capabilities"]["urn:ietf:params:jmap:webpush-vapid"]["applicationServerKey"]
    site.deliver("bob@example.test", giants.letter(3))
    posted = service.next()
    assert posted.sender(service.origin)[0] == key, "the key is the same after a restart"


def test_a_service_that_knows_the_app_no_more(site: Site, service: PushService) -> None:
    phone = Phone(site, "carol")
    phone.subscribe(service)
    service.answers.append((410, {}))
    site.deliver("carol@example.test", giants.letter(1))
    service.next()
    until(lambda: not phone.subscriptions())


def test_54_redirections_are_not_followed(site: Site, authority: Authority, service: PushService) -> None:
    phone = Phone(site, "dave")
    phone.subscribe(service)
    with serving(authority, "pushes.test") as other:
        service.answers.append((307, {"Location": f"{other.origin}/elsewhere"}))
        service.always = (410, {})
        site.deliver("dave@example.test", giants.letter(1))
        assert service.next().path == "/send/dave"
        # It is tried again where it was, and nowhere else.
        assert service.next(120).path == "/send/dave"
        until(lambda: not phone.subscriptions())
        assert other.posted.empty()


def test_54_push_services_that_are_none(names: Dns, authority: Authority, tmp_path: Path) -> None:
    server = Site(tmp_path, settings(names, authority, ""), names=NAMES).start()
    server.add("alice", password=PASSWORD)
    phone = Phone(server, "alice")
    with serving(authority, "loopback.test") as service:
        port = service.server.server_address[1]
        hosts = ("loopback.test", "metadata.test", "shared.test", "private.test", "local.test", "mapped.test")
        for host in hosts:
            url = f"https://{host}:{port}/"
            made = phone.ask("PushSubscription/set", create={"a": {"deviceClientId": host, "url": url}})
            assert made["created"]["a"]["id"], made
        # Where their names lead is found out when it is connected to; then they are no more.
        until(lambda: not phone.subscriptions())
        assert service.posted.empty()
        for url in ("https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "http://push.test/"):
            refused = phone.ask("PushSubscription/set", create={"a": {"deviceClientId": "x", "url": url}})
            assert refused["notCreated"]["a"]["properties"] == ["url"]
    said = server.said()
    assert "169.254.169.254" in said and "10.0.0.1" in said
    server.stop()


def test_what_was_sent_is_counted(site: Site) -> None:
    _, page = site.get("/metrics")
    counted = {line.rpartition(" ")[0] for line in page.splitlines()}
    assert 'magpie_push_messages_total{result="sent"}' in counted
    assert 'magpie_push_messages_total{result="gone"}' in counted


def until(holds) -> None:
    """Waits until something that is asked for holds."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it does not come to hold"
        time.sleep(0.05)
