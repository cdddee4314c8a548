"""The other side of the tests that send mail: that the servers which Magpie meets there are what they are said to be."""

import http.client
import smtplib
import socket
import ssl
from pathlib import Path

import dns.dnssec
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from harness import loopback, opensmtpd, postfix
from harness.internet import Internet
from harness.maildrop import parsed
from harness.peer import DROP, listening, once
from harness.report import Report

pytestmark = pytest.mark.usefixtures("needs_root")


def ask(internet: Internet, name: str, kind: str) -> dns.message.Message:
    query = dns.message.make_query(name, kind, want_dnssec=True)
    return dns.query.udp(query, internet.dns.address, timeout=5)


def client(address: str, port: int = 25) -> smtplib.SMTP:
    return smtplib.SMTP(address, port, local_hostname="client.example.com", timeout=20)


def test_names(internet: Internet) -> None:
    """The root is the authority for everything; what is signed is, what should fail does."""
    internet.host("harness.test", "127.0.0.9")
    internet.host("harness.secure", "127.0.0.9")
    internet.host("harness.bogus", "127.0.0.9")
    internet.publish()
    for name, signed in (("harness.test", False), ("harness.secure", True), ("harness.bogus", True)):
        answer = ask(internet, name, "A")
        assert (dns.rdatatype.RRSIG in [records.rdtype for records in answer.answer]) == signed
    assert ask(internet, "harness.broken", "A").rcode() == dns.rcode.SERVFAIL
    assert ask(internet, "example.org", "A").rcode() == dns.rcode.NXDOMAIN
    assert ask(internet, "secure", "DS").answer and not ask(internet, "test", "DS").answer
    internet.dns.remove("harness.test", "A")
    internet.publish()
    assert ask(internet, "harness.test", "A").rcode() == dns.rcode.NXDOMAIN


def test_signatures_are_right_where_they_should_be(internet: Internet) -> None:
    internet.host("signed.secure", "127.0.0.9")
    internet.host("signed.bogus", "127.0.0.9")
    internet.publish()
    for zone, right in (("secure", True), ("bogus", False)):
        keys = ask(internet, zone, "DNSKEY").answer[0]
        records, signatures = ask(internet, f"signed.{zone}", "A").answer
        if right:
            dns.dnssec.validate(records, signatures, {keys.name: keys})
        else:
            with pytest.raises(dns.dnssec.ValidationFailure):
                dns.dnssec.validate(records, signatures, {keys.name: keys})


def test_a_plain_peer_records_what_it_gets() -> None:
    with listening() as peer, client(peer.address) as smtp:
        smtp.sendmail("a@x.test", ["b@y.test", "c@y.test"], b"Subject: x\r\n\r\n.dot\r\n")
        [mail] = peer.wait(1)
        assert (mail.addresses, mail.tls) == (["b@y.test", "c@y.test"], None)
        assert mail.data == b"Subject: x\r\n\r\n.dot\r\n" and mail.sender.startswith(b"<a@x.test>")


def test_a_peer_with_bad_manners() -> None:
    with listening(one_command=True) as peer:
        smtp = client(peer.address)
        smtp.ehlo()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            smtp.noop()
    with listening(after_dot=DROP) as peer, pytest.raises(smtplib.SMTPServerDisconnected):
        client(peer.address).sendmail("a@x.test", ["b@y.test"], b"x\r\n")
    assert len(peer.mails) == 1
    with listening(answers={b"RCPT": once(b"450 later")}, most_recipients=1, most_messages=1) as peer:
        smtp = client(peer.address)
        assert smtp.sendmail("a@x.test", ["b@y.test", "c@y.test", "d@y.test"], b"x\r\n").keys() == {
            "b@y.test",
            "d@y.test",
        }
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            smtp.sendmail("a@x.test", ["b@y.test"], b"x\r\n")
        assert refused.value.smtp_code == 421


def test_a_peer_that_answers_without_end() -> None:
    with listening(flood=(b"EHLO", 1 << 30)) as peer:
        smtp = client(peer.address)
        smtp.sock.sendall(b"EHLO x\r\n")
        assert len(smtp.sock.recv(1 << 20)) > 0
        smtp.close()
        peer.until(lambda: peer.open == 0)
        assert peer.flooded < 1 << 28


def test_tls(internet: Internet, tmp_path: Path) -> None:
    """The authority's certificates are right for their names, and only for those who know it."""
    certificate = internet.authority.certify("mx.tls.test")
    trusting = ssl.create_default_context(cafile=internet.authority.path)
    with listening(tls=certificate.context()) as peer:
        with socket_over(peer.address, trusting, "mx.tls.test") as smtp:
            smtp.sendmail("a@x.test", ["b@y.test"], b"x\r\n")
        assert peer.mails[0].tls
        for context, name in ((trusting, "other.test"), (ssl.create_default_context(), "mx.tls.test")):
            with pytest.raises(ssl.SSLCertVerificationError):
                socket_over(peer.address, context, name)
        peer.change(tls_breaks=True)
        with pytest.raises(ssl.SSLError):
            socket_over(peer.address, trusting, "mx.tls.test")


def socket_over(address: str, context: ssl.SSLContext, name: str) -> smtplib.SMTP:
    smtp = client(address)
    smtp._host = name
    smtp.starttls(context=context)
    return smtp


def test_a_policy(internet: Internet) -> None:
    internet.policy("policy.test", "enforce", "mx.policy.test")
    context = ssl.create_default_context(cafile=internet.authority.path)
    connection = http.client.HTTPSConnection("mta-sts.policy.test", context=context, timeout=20)
    connection._create_connection = lambda *_: socket.create_connection((internet.web.address, 443), 20)
    connection.request("GET", "/.well-known/mta-sts.txt")
    answer = connection.getresponse()
    assert answer.status == 200 and b"mode: enforce\r\nmx: mx.policy.test\r\n" in answer.read()


def test_postfix_keeps_mail_and_asks_for_a_login(internet: Internet) -> None:
    certificate = internet.authority.certify("mx.harness.test")
    with postfix.destination("mx.harness.test", certificate, login=("somebody", "secret")) as server:
        with client(server.address, 587) as smtp:
            smtp.starttls()
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                smtp.sendmail("a@x.test", ["b@y.test"], b"Subject: no\r\n\r\n")
            smtp.login("somebody", "secret")
            smtp.sendmail("a@x.test", ["b@y.test"], b"Subject: yes\r\n\r\nx\r\n")
        assert parsed(server.about("yes"))["Delivered-To"] == "b@y.test"


def test_opensmtpd_keeps_mail(internet: Internet) -> None:
    with opensmtpd.running(resolver=internet.dns.address) as server:
        with client(server.address) as smtp:
            smtp.sendmail("a@x.test", ["b@y.test"], b"Subject: x\r\n\r\nx\r\n")
        assert parsed(server.about("x"))["Delivered-To"] == "b@y.test"
    assert loopback.is_free(server.address, 25)


def test_reports_are_read_strictly() -> None:
    """What RFC 3464 forbids is found."""
    good = (
        b"Return-Path: <>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nIt failed.\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x.test\r\n\r\n"
        b"Final-Recipient: rfc822; a@y.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        b"Diagnostic-Code: smtp; 550 5.1.1\r\n\tno\r\n\r\n--b--\r\n"
    )
    report = Report(good)
    assert report.about == ["a@y.test"] and report.on("a@y.test")["diagnostic-code"] == "smtp; 550 5.1.1 no"
    for wrong, right in (
        (b"Status: 5.1.1\r\n", b"Status: 5.01.1.1\r\n"), (b"Action: failed", b"Action: bounced"),
        (b"Status: 5.1.1\r\n", b"Status: 2.1.1\r\n"), (b"rfc822; a", b"a"), (b"dns; x.test", b"x.test"),
        (b"Auto-Submitted: auto-replied", b"Auto-Submitted: no"), (b"Action: failed\r\n", b""),
        (b"report-type=delivery-status", b"report-type=disposition-notification"),
    ):  # fmt: skip
        with pytest.raises((AssertionError, KeyError, TypeError)):
            Report(good.replace(wrong, right))


def test_addresses_are_drawn_free() -> None:
    address = loopback.address()
    listener = socket.create_server((address, 25))
    assert not loopback.is_free(address, 25)
    listener.close()
