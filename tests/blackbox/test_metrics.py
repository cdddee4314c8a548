"""What `/metrics` tells, read by Prometheus' own client, before and after things have happened."""

import re
import shutil
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness import giants
from harness.server import PASSWORD, ROOT, any_certificate
from harness.site import Site, certificate, certificate_settings

PAGE = ROOT / "docs" / "metrics.md"

Sample = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("metrics")
    chain = certificate(folder, "mail", "mail.example.test", days=30)
    settings = "[login]\nplaintext = true\n" + certificate_settings(chain)
    server = Site(folder, settings, {"smtp": "connections_per_address = 3\n"}).start()
    server.add("alice", "bob", password=PASSWORD)
    yield server
    if server.process:
        server.stop()


class Scrape(dict[Sample, float]):
    """All samples of a scrape by name and labels."""

    def __init__(self, site: Site):
        super().__init__()
        code, self.text = site.get("/metrics")
        assert code == 200
        self.kinds = {}
        for family in text_string_to_metric_families(self.text):
            self.kinds[family.name] = family.type
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self, f"{key} is told twice"
                self[key] = sample.value

    def of(self, name: str, **labels: str) -> float:
        """The sum of all samples of a name that have these labels."""
        wanted = set(labels.items())
        return sum(value for (other, found), value in self.items() if other == name and wanted <= found)


def test_deliveries_and_logins_are_counted(site: Site) -> None:
    before = Scrape(site)
    letter = giants.letter(1)
    large = giants.with_attachment(1, bytes(range(256)) * 1000, 3)
    with site.smtp() as client:
        client.starttls(context=any_certificate())
        for mail in (letter, letter.replace(b"letter", b"another"), large):
            client.sendmail("carol@example.com", ["alice@example.test", "bob@example.test"], mail)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("carol@example.com", ["nobody@example.test"], letter)
    with site.imaps("alice") as client:
        client.select()
        client.fetch("1:*", "(BODY.PEEK[])")
        assert client.uid("FETCH", "99", "(FLAGS)")[0] == "OK"
        assert client.select("no-such-mailbox")[0] == "NO"
    with pytest.raises(Exception, match="AUTHENTICATIONFAILED"):
        site.imap().login("alice", "wrong")
    with site.imap() as client:
        client.authenticate("PLAIN", lambda _: b"\0bob\0" + PASSWORD.encode())
    client = site.pop3("alice")
    client.stat()
    client.quit()

    after = Scrape(site)

    def grew(name: str, **labels: str) -> float:
        return after.of(name, **labels) - before.of(name, **labels)

    assert grew("magpie_connections_total", listener="smtp", outcome="admitted") == 1
    assert grew("magpie_connections_total", protocol="imap", outcome="admitted") == 3
    assert grew("magpie_tls_handshakes_total", result="ok", listener="smtp") == 1
    assert grew("magpie_tls_handshakes_total", result="ok", protocol="imap") == 1
    assert grew("magpie_deliveries_total", via="smtp", outcome="delivered", reason="new") == 6
    assert grew("magpie_delivery_seconds_count") == 3 and grew("magpie_delivery_seconds_sum") > 0
    for command, result, count in [("rcpt", "ok", 6), ("rcpt", "refused", 1), ("data", "ok", 3), ("starttls", "ok", 1)]:
        assert grew("magpie_commands_total", protocol="smtp", command=command, result=result) == count, command
    for command, result, count in [("fetch", "ok", 2), ("select", "ok", 1), ("select", "no", 1), ("login", "no", 1)]:
        assert grew("magpie_commands_total", protocol="imap", command=command, result=result) == count, command
    assert grew("magpie_commands_total", protocol="pop3", command="stat", result="ok") == 1
    assert grew("magpie_logins_total", protocol="imap", mechanism="password", result="ok") == 1
    assert grew("magpie_logins_total", protocol="imap", mechanism="password", result="refused") == 1
    assert grew("magpie_logins_total", protocol="imap", mechanism="PLAIN", result="ok") == 1
    assert grew("magpie_logins_total", protocol="pop3", mechanism="password", result="ok") == 1
    assert grew("magpie_received_bytes_total", protocol="smtp") > len(large)
    assert grew("magpie_sent_bytes_total", protocol="imap") > len(large)
    assert grew("magpie_kv_commits_total", result="ok") >= 3 and grew("magpie_kv_fsyncs_total") >= 3
    assert grew("magpie_kv_commit_seconds_count") >= grew("magpie_kv_commits_total", result="ok")
    assert grew("magpie_blob_written_bytes_total") >= 256_000 and grew("magpie_blob_read_bytes_total") > 0
    assert grew("process_cpu_seconds_total") >= 0 and after.of("process_open_fds") > 10
    assert after.of("magpie_build_info") == 1 and after.of("magpie_ready") == 1
    assert after.of("magpie_inbound_queue_legs", state="waiting") == 0
    assert "alice" not in after.text and "carol" not in after.text and "127.0.0.1" not in after.text


def test_certificates_say_when_they_expire(site: Site) -> None:
    scrape = Scrape(site)
    ((_, labels), expires), *others = [
        (key, value) for key, value in scrape.items() if key[0] == "magpie_certificate_expiry_timestamp_seconds"
    ]
    assert not others and dict(labels)["certificate"].endswith("mail.crt")
    in_pem = ssl.get_server_certificate(("127.0.0.1", site.port("imaps")))
    text = subprocess.run(["openssl", "x509", "-enddate", "-noout"], input=in_pem, capture_output=True, text=True)
    assert ssl.cert_time_to_seconds(text.stdout.strip().removeprefix("notAfter=")) == expires


def test_open_sessions_and_those_turned_away(site: Site) -> None:
    before = Scrape(site)
    with site.smtp(), site.smtp(), site.smtp():
        with socket.create_connection(("127.0.0.1", site.port("smtp"))) as fourth:
            assert fourth.recv(100).startswith(b"421")
        during = Scrape(site)
    assert during.of("magpie_sessions", listener="smtp") == 3
    turned_away = {"listener": "smtp", "outcome": "address_full"}
    assert (
        during.of("magpie_connections_total", **turned_away) == before.of("magpie_connections_total", **turned_away) + 1
    )


def test_a_handshake_that_fails_is_counted(site: Site) -> None:
    before = Scrape(site)
    with socket.create_connection(("127.0.0.1", site.port("imaps"))) as client:
        client.sendall(b"a1 LOGIN alice secret\r\n" * 10)
        while client.recv(1000):
            pass
    after = Scrape(site)
    labels = {"listener": "imaps", "result": "failed"}
    assert after.of("magpie_tls_handshakes_total", **labels) == before.of("magpie_tls_handshakes_total", **labels) + 1


def test_the_page_explains_what_is_told(site: Site) -> None:
    """Every metric is explained, with the labels that it has; most of those explained are there by now."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE.read_text(), re.MULTILINE))
    scrape = Scrape(site)
    for name, labels in scrape:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        explained = rows.get(name) or rows.get(base)
        if name not in rows and base not in rows:
            pytest.fail(f"docs/metrics.md does not explain {name}")
        for label, _ in labels:
            assert label == "le" or f"`{label}`" in (explained or ""), f"{name} has a label {label}"
    assert scrape.kinds["magpie_delivery_seconds"] == "histogram"
    assert scrape.kinds["magpie_sessions"] == "gauge"


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_finds_nothing_wrong(site: Site) -> None:
    _, text = site.get("/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_metrics_are_not_open_to_the_world(tmp_path: Path) -> None:
    """Whom metrics are for is said in the configuration; whom a proxy speaks for counts, not the proxy."""
    server = Site(tmp_path, "", {"http": 'proxies = "127.0.0.0/8"\n'}).start()
    try:
        for source, code in [("192.0.2.9", 403), ("127.0.0.1", 200)]:
            with socket.create_connection(("127.0.0.1", server.port("http"))) as client:
                client.sendall(f"PROXY TCP4 {source} 127.0.0.1 5000 80\r\n".encode())
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = b""
                while piece := client.recv(65_536):
                    answer += piece
            assert answer.startswith(f"HTTP/1.1 {code}".encode()), answer[:100]
        server.stop()
        server.settings, server.listeners = '[http]\nmetrics_from = "192.0.2.0/24"\n', {}
        server.start()
        assert server.get("/metrics")[0] == 403
        assert server.get("/healthz/ready")[0] == 200
        server.stop()
    finally:
        server.kill()


def test_a_proxy_in_front_opens_nothing(site: Site) -> None:
    assert site.get("/metrics", **{"X-Forwarded-For": "127.0.0.1"})[0] == 403
    assert site.get("/healthz/live", **{"X-Forwarded-For": "127.0.0.1"})[0] == 200
