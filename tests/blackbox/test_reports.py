"""Reports on mail that could not be delivered, as Python's mail library reads them.

They are written by `crates/compose/examples/report.rs` with the code that writes them in the server.
"""

import email
import email.policy
import subprocess

import pytest

from harness import corpus
from harness.server import ROOT

REPORT = ROOT / "target" / "debug" / "examples" / "report"


def report(
    message: bytes, wanted: str = "full", recipient: str = "bob@y.test"
) -> tuple[bytes, email.message.EmailMessage]:
    if not REPORT.exists():
        pytest.skip("the example is not built: cargo build -p magpie-compose --examples")
    done = subprocess.run([str(REPORT), wanted, recipient], input=message, capture_output=True, check=True)
    return done.stdout, email.message_from_bytes(done.stdout, policy=email.policy.SMTP)


def test_a_report_is_what_programs_expect() -> None:
    _, parsed = report(b"From: alice@x.test\r\nMessage-ID: <7@x.test>\r\nSubject: s\r\n\r\nThe body.\r\n")
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    assert parsed["Auto-Submitted"] == "auto-replied" and parsed["To"] == "alice@x.test"
    assert not parsed.defects
    text, status, returned = parsed.iter_parts()
    assert text.get_content_type() == "text/plain" and "no mailbox of this name" in text.get_content()
    assert status.get_content_type() == "message/delivery-status"
    fields = [dict(block.items()) for block in status.get_payload() if block.items()]
    assert fields[0]["Reporting-MTA"] == "dns; mail.x.test"
    assert (fields[1]["Final-Recipient"], fields[1]["Action"], fields[1]["Status"]) == (
        "rfc822; bob@y.test",
        "failed",
        "5.1.1",
    )
    assert fields[1]["Diagnostic-Code"] == "smtp; 550 5.1.1 No such user"
    assert returned.get_content_type() == "message/rfc822"
    assert returned.get_payload(0)["Subject"] == "s"


def test_only_the_header_comes_back_where_that_is_asked_for() -> None:
    raw, parsed = report(b"From: alice@x.test\r\nSubject: s\r\n\r\nThe body.\r\n", "headers")
    assert [part.get_content_type() for part in parsed.iter_parts()][2] == "text/rfc822-headers"
    assert b"The body." not in raw and b"Subject: s\r\n" in raw


@pytest.mark.parametrize("sample", corpus.written("korean", "japanese", "structure", "signed"), ids=repr)
def test_what_comes_back_is_what_was_sent(sample: corpus.Sample) -> None:
    message = corpus.crlf(sample.source)
    raw, parsed = report(message)
    types = [part.get_content_type() for part in parsed.iter_parts()]
    assert types[:2] == ["text/plain", "message/delivery-status"]
    if types[2] in ("message/rfc822", "message/global"):
        assert message in raw
    assert not parsed.defects
