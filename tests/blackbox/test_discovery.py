"""What programs find out that know nothing but an address: Thunderbird, Outlook, and servers that look for a policy."""

import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.server import OFFSETS
from harness.site import Site


class Public(Site):
    """A server that can be reached from elsewhere."""

    def configuration(self) -> str:
        inside = ("smtp", "http", "lmtp")
        text = super().configuration()
        for name in self.names:
            if name not in inside:
                port = self.base + OFFSETS[name]
                text = text.replace(f'"localhost:{port}"', f'"*:{port}"')
        return text


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    names = ("smtp", "submission", "submissions", "imap", "imaps", "pop3s", "http", "https")
    server = Public(tmp_path_factory.mktemp("discovery"), '[mta_sts]\nmode = "enforce"\nmax_age = "30d"\n', names=names)
    server.start().cli("domain", "create", "example.test")
    server.cli("domain", "create", "한글.example")
    yield server
    server.stop()


def post(site: Site, body: bytes, *options: str, path: str = "/autodiscover/autodiscover.xml") -> tuple[int, str]:
    """A request as Outlook sends it."""
    url = f"https://127.0.0.1:{site.port('https')}{path}"
    done = subprocess.run(
        ["curl", "--silent", "--insecure", "--user-agent", "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook)",
         "--header", "Content-Type: text/xml", "--header", "Host: autodiscover.example.test", "--data-binary", "@-",
         "--write-out", "\n%{http_code}", *options, url],
        input=body, capture_output=True, check=True,
    )  # fmt: skip
    answer, status = done.stdout.decode().rsplit("\n", 1)
    return int(status), answer


OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"


def request(address: str, schema: str = OUTLOOK) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?><Autodiscover '
        'xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>'
        f"<EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{schema}</AcceptableResponseSchema>"
        "</Request></Autodiscover>"
    ).encode()


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("autoconfig.example.test", "/mail/config-v1.1.xml?emailaddress=alice%40example.test"),
        ("autoconfig.example.test", "/mail/config-v1.1.xml"),
        ("example.test", "/.well-known/autoconfig/mail/config-v1.1.xml"),
        ("EXAMPLE.test:443", "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=alice%40Example.TEST"),
        ("127.0.0.1", "/mail/config-v1.1.xml?emailaddress=alice@example.test"),
    ],
)
def test_thunderbird_finds_the_servers(site: Site, host: str, path: str) -> None:
    status, text = site.get(path, Host=host)
    assert status == 200, text
    config = ET.fromstring(text)
    assert config.tag == "clientConfig" and config.get("version") == "1.1"
    provider = config.find("emailProvider")
    assert provider.get("id") == "example.test" and provider.findtext("domain") == "example.test"
    servers = [
        (found.get("type"), int(found.findtext("port")), found.findtext("socketType"))
        for kind in ("incomingServer", "outgoingServer")
        for found in provider.findall(kind)
    ]
    assert servers == [
        ("imap", site.port("imaps"), "SSL"),
        ("imap", site.port("imap"), "STARTTLS"),
        ("pop3", site.port("pop3s"), "SSL"),
        ("smtp", site.port("submissions"), "SSL"),
        ("smtp", site.port("submission"), "STARTTLS"),
    ]
    for found in provider.iter():
        if found.tag.endswith("Server"):
            assert found.findtext("hostname") == "mail.example.test"
            assert found.findtext("username") == "%EMAILADDRESS%"
            assert found.findtext("authentication") == "password-cleartext"


def test_domains_in_any_script(site: Site) -> None:
    for host in ("autoconfig.xn--bj0bj06e.example", "xn--bj0bj06e.example"):
        status, text = site.get("/mail/config-v1.1.xml", Host=host)
        assert status == 200 and ET.fromstring(text).findtext(".//displayName") == "한글.example"
    assert site.get("/mail/config-v1.1.xml?emailaddress=a%40%ED%95%9C%EA%B8%80.example", Host="x.example")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/mail/config-v1.1.xml?emailaddress=a%40elsewhere.example",
        "/mail/config-v1.1.xml?emailaddress=%00%ff@",
        "/mail/config-v1.1.xml",
        "/.well-known/mta-sts.txt",
    ],
)
def test_of_other_domains_nothing_is_told(site: Site, path: str) -> None:
    for host in ("elsewhere.example", "autoconfig.elsewhere.example", "mta-sts.elsewhere.example", "..", "x y"):
        assert site.get(path, Host=host)[0] == 404


@pytest.mark.parametrize(
    "path", ["/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml", "/AutoDiscover/AutoDiscover.xml"]
)
def test_outlook_finds_the_servers(site: Site, path: str) -> None:
    status, text = post(site, request("alice@example.test"), path=path)
    assert status == 200, text
    names = {"a": OUTLOOK}
    account = ET.fromstring(text).find("a:Response/a:Account", names)
    assert account.findtext("a:AccountType", namespaces=names) == "email"
    assert account.findtext("a:Action", namespaces=names) == "settings"
    told = {}
    for protocol in account.findall("a:Protocol", names):
        values = {child.tag.split("}")[1]: child.text for child in protocol}
        told[values.pop("Type")] = values
    assert set(told) == {"IMAP", "POP3", "SMTP"}
    for kind, listener in (("IMAP", "imaps"), ("POP3", "pop3s"), ("SMTP", "submissions")):
        found = told[kind]
        assert (found["Server"], found["Port"]) == ("mail.example.test", str(site.port(listener)))
        assert (found["SSL"], found["Encryption"], found["LoginName"]) == ("on", "SSL", "alice@example.test")


def test_what_outlook_does_not_get(site: Site) -> None:
    phone = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
    assert post(site, request("alice@example.test", phone))[0] == 404
    assert post(site, request("alice@elsewhere.example"))[0] == 404
    for bad in (b"", b"x", b"<a/>", request(""), request("nobody"), request("<b/>"), request("a&amp;b"), b"\xff\xfe<"):
        assert post(site, bad)[0] == 400
    assert post(site, request("alice@example.test") + b" " * 20_000)[0] == 413
    assert post(site, request("alice@example.test"), "--header", "Content-Encoding: gzip")[0] == 415
    assert site.get("/autodiscover/autodiscover.xml")[0] == 405


def test_entities_are_harmless(site: Site, tmp_path: Path) -> None:
    """A file of this machine, a laugh a thousand million times, a nest: refused, and nothing was read or made of it."""
    secret = tmp_path / "secret"
    secret.write_text("alice@example.test")
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    before = site.memory()
    for document in (
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]><a><EMailAddress>&x;</EMailAddress></a>',
        f'<!DOCTYPE a [<!ENTITY l0 "lol">{laughs}]><a><EMailAddress>&l9;@example.test</EMailAddress></a>',
        f'<!DOCTYPE a SYSTEM "http://127.0.0.1:{site.port("http")}/"><a><EMailAddress>a@example.test</EMailAddress></a>',
        "<a>" * 5_000,
    ):
        status, text = post(site, document.encode())
        assert status == 400 and "example.test" not in text
    assert site.memory() - before < 16 << 20


def test_the_policy_and_its_record_agree(site: Site) -> None:
    status, text = site.get("/.well-known/mta-sts.txt", Host="mta-sts.example.test")
    assert status == 200
    assert text.splitlines() == ["version: STSv1", "mode: enforce", "mx: mail.example.test", "max_age: 2592000"]
    records = site.cli_json("domain", "dns", "example.test")["records"]
    (record,) = (record for record in records if record["name"] == "_mta-sts.example.test.")
    first = record["data"]
    assert first.startswith("v=STSv1; id=") and first.removeprefix("v=STSv1; id=").isalnum()
    # Another policy has another name.
    site.config.write_text(site.configuration().replace('mode = "enforce"', 'mode = "testing"'))
    records = site.cli_json("domain", "dns", "example.test")["records"]
    assert first not in {record["data"] for record in records}
    site.config.write_text(site.configuration())


def test_a_server_that_is_reached_by_nobody_tells_nothing(tmp_path: Path) -> None:
    server = Site(tmp_path, names=("imap", "imaps", "http")).start()
    try:
        server.cli("domain", "create", "example.test")
        assert server.get("/mail/config-v1.1.xml", Host="example.test")[0] == 404
    finally:
        server.stop()
