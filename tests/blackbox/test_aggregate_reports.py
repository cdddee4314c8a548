"""Reports that others send on our domains (DMARC, RFC 9990; TLS-RPT, RFC 8460): by mail to the address that
`magpie domain dns` publishes, and then in `magpie report`.
"""

import gzip
import io
import json
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from harness import mailbox
from harness.dns import serving
from harness.server import ROOT, Magpie, running

DATA = ROOT / "crates" / "reports" / "tests" / "data"
NOT_THERE = 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Magpie]:
    data: Path = tmp_path_factory.mktemp("reports") / "data"
    with serving() as dns, running(data, users=5, options=("--dns", dns.address)) as magpie:
        dns.add_text("reporter.test", "v=spf1 ip4:127.0.0.1 -all")
        dns.add_text("_dmarc.reporter.test", "v=DMARC1; p=reject")
        yield magpie


def yesterday() -> tuple[int, int]:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return int((midnight - timedelta(days=1)).timestamp()), int(midnight.timestamp()) - 1


def dmarc(name: str = "large-webmail.xml", domain: str = "example.test", report: str = "r1") -> bytes:
    """A sample, as if it were of yesterday and on a domain of this server."""
    begin, end = yesterday()
    text = (DATA / name).read_text()
    text = text.replace("1795737600", str(begin)).replace("1795823999", str(end))
    return text.replace("5717107811868587391", report).replace("<domain>example.com<", f"<domain>{domain}<").encode()


def tls() -> bytes:
    begin, end = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in yesterday())
    report = json.loads((DATA / "tls-webmail.json").read_text())
    report["date-range"] = {"start-datetime": begin, "end-datetime": end}
    report["policies"][0]["policy"]["policy-domain"] = "example.test"
    return json.dumps(report).encode()


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("webmail.example!example.test.xml", data)
    return file.getvalue()


def letter(kind: str, name: str, data: bytes, sender: str = "noreply@reporter.test") -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = "postmaster+reports@example.test"
    message["Subject"] = "Report Domain: example.test"
    message["Message-ID"] = f"<{time.monotonic_ns()}@reporter.test>"
    message.set_content("This is an aggregate report.\n")
    maintype, subtype = kind.split("/")
    message.add_attachment(data, maintype=maintype, subtype=subtype, filename=name)
    return message.as_bytes()


def send(server: Magpie, message: bytes, to: str = "postmaster+reports@example.test") -> None:
    with server.smtp() as client:
        assert client.sendmail("noreply@reporter.test", [to], message) == {}


def listed(server: Magpie, count: int, *options: str) -> list[dict]:
    """The reports, once there are so many: they are read in the background."""
    until = time.monotonic() + 60
    while len(reports := server.cli_json("report", "list", *options)) < count and time.monotonic() < until:
        time.sleep(0.05)
    assert len(reports) == count, (reports, server.log_tail())
    return reports


def test_reports_are_read_and_listed(server: Magpie) -> None:
    assert "no reports yet" in server.cli("report", "list").stdout
    send(server, letter("application/zip", "report.zip", zipped(dmarc())))
    [report] = listed(server, 1)
    assert (report["kind"], report["domain"], report["organization"]) == ("dmarc", "example.test", "webmail.example")
    assert (report["good"], report["bad"], report["sender"], report["proved"]) == (7, 42, "reporter.test", True)

    shown = server.cli_json("report", "show", report["id"])
    worst = shown["sources"][0]
    assert (worst["address"], worst["count"], worst["disposition"]) == ("198.51.100.7", 40, "reject")
    assert "198.51.100.7" in server.cli("report", "show", report["id"]).stdout

    send(server, letter("application/tlsrpt+gzip", "report.json.gz", gzip.compress(tls())))
    [report] = listed(server, 1, "--kind", "tls")
    assert (report["good"], report["bad"]) == (112, 3)
    text = server.cli("report", "show", report["id"]).stdout
    assert "starttls-not-supported" in text and "mail2.example.com" in text, text

    # It is mail like any other, too; and the same report again is the same.
    with server.imap("alice") as client:
        assert mailbox.count(client) == 2
    send(server, letter("application/gzip", "report.xml.gz", gzip.compress(dmarc())))
    send(server, letter("text/xml", "report.xml", dmarc(report="r2")))
    assert len(listed(server, 2, "--kind", "dmarc", "--domain", "example.test", "--days", "7")) == 2
    assert server.cli("report", "show", "0" * 24, check=False).returncode == NOT_THERE


def test_73_what_is_no_report_of_ours_is_mail_and_nothing_else(server: Magpie) -> None:
    """Entities, bombs, reports on others' domains, and reports to other addresses."""
    before = len(server.cli_json("report", "list"))
    hostile = b'<!DOCTYPE f [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + dmarc(report="x").split(b"?>", 1)[1]
    send(server, letter("text/xml", "x.xml", hostile))
    send(server, letter("application/gzip", "x.xml.gz", gzip.compress(b" " * (64 << 20))))
    send(server, letter("text/xml", "x.xml", dmarc(domain="elsewhere.test", report="y")))
    send(server, letter("text/xml", "x.xml", dmarc(report="z")), to="user2@example.test")
    # What comes last is read last: two are read at a time.
    for number in range(3):
        send(server, letter("text/xml", "x.xml", dmarc(report=f"good{number}")))
    listed(server, before + 3)
    ids = {server.cli_json("report", "show", one["id"])["report_id"] for one in server.cli_json("report", "list")}
    assert not ids & {"x", "y", "z"}
    assert server.running and server.memory() < 1 << 30


def test_a_forged_report_says_so(server: Magpie) -> None:
    """A domain without a policy takes no responsibility, so nobody has proved to have sent it."""
    before = len(server.cli_json("report", "list"))
    send(server, letter("text/xml", "x.xml", dmarc(report="forged"), sender="noreply@nobody.test"))
    listed(server, before + 1)
    newest = [one for one in server.cli_json("report", "list") if one["sender"] == "nobody.test"]
    assert [one["proved"] for one in newest] == [False]
    assert "(?)" in server.cli("report", "list").stdout
