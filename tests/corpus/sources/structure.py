"""Mail with deep or unusual, but valid, structure: digests in digests, reports, invitations, 8-bit headers."""

from .letter import CRLF, Mail, base64_lines, head, multipart, noise, part, quoted_printable, text, word, wrapped

POST = wrapped("""
    I ran the numbers again over the weekend, this time with the write cache of the controller switched
    off. The difference is larger than I expected: the journal alone accounts for two thirds of the
    flushes, and batching them brings the median down to what the disk can do.

    The second graph is the interesting one. Between 40 and 60 writers the curve goes flat, and I do
    not have a good explanation yet. If somebody has access to a machine with more than one socket I
    would be glad to see the same run there. The script is in the usual place.

    About the question from last week: yes, the numbers are for durable writes. Everything else would
    be comparing apples with oranges.
""")


def post(number: int, author: str) -> bytes:
    """One message of a mailing list, as it stands in a digest."""
    return head(
        ("Date", f"Tue, {number:02} Sep 2026 10:{number:02}:00 +0200"),
        ("From", f"{author.capitalize()} <{author}@example.org>"),
        ("Subject", f"Re: flush counts, part {number}"),
        ("Message-ID", f"<{author}.{number}@example.org>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=us-ascii"),
    ) + CRLF + text(f"On point {number}:\n\n{POST}", "us-ascii")  # fmt: skip


def digest(boundary: str, *messages: bytes) -> bytes:
    """multipart/digest: a part without a type is a message (RFC 2046 §5.1.5)."""
    return multipart(boundary, *(CRLF + message for message in messages))


def nested_digest() -> Mail:
    """A weekly digest made of daily digests, each of which holds messages: rfc822 five levels down."""
    authors = ["alice", "bob", "carol"]
    days = []
    for day in range(1, 6):
        inner = digest(f"day-{day}-9f2c", *(post(day * 3 + at, author) for at, author in enumerate(authors)))
        days.append(
            head(
                ("From", "perf-request@example.org"),
                ("Subject", f"perf Digest, Vol 41, Issue {day}"),
                ("Message-ID", f"<perf.41.{day}@example.org>"),
                ("MIME-Version", "1.0"),
                ("Content-Type", f'multipart/digest; boundary="day-{day}-9f2c"'),
            ) + CRLF + inner
        )  # fmt: skip
    week = digest("week-37-41aa", *days)
    body = multipart(
        "outer-7d1e",
        part("text/plain; charset=us-ascii; name=\"Table of contents\"", text("This week on the list: flush counts.\n", "us-ascii"),
             ("Content-Description", "perf Digest, week 37")),
        part('multipart/digest; boundary="week-37-41aa"', week),
        part("text/plain; charset=us-ascii", text("Send submissions to perf@example.org\n", "us-ascii"),
             ("Content-Description", "Digest Footer")),
    )  # fmt: skip
    source = head(
        ("Return-Path", "<perf-bounces@example.org>"),
        ("From", "perf-request@example.org"),
        ("To", "perf@example.org"),
        ("Reply-To", "perf@example.org"),
        ("Subject", "perf Weekly Digest, Week 37"),
        ("Date", "Sun, 13 Sep 2026 06:00:00 +0000"),
        ("Message-ID", "<perf.week.37@example.org>"),
        ("Sender", '"perf" <perf-bounces@example.org>'),
        ("List-Id", "Performance of storage <perf.example.org>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/mixed; boundary="outer-7d1e"'),
    )
    return Mail(source + CRLF + body, "perf Weekly Digest, Week 37", ["apples", "week on the list"])


def bounce() -> Mail:
    """A delivery status notification (RFC 3464) with the returned message inside."""
    status = (
        "Reporting-MTA: dns; mx.example.org\nArrival-Date: Mon, 14 Sep 2026 08:00:01 +0000\n\n"
        "Original-Recipient: rfc822;nobody@example.org\nFinal-Recipient: rfc822;nobody@example.org\n"
        "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no such user\n"
    )
    body = multipart(
        "4cD8xQ0kqGz1s/mx.example.org",
        part("text/plain; charset=us-ascii", text("I could not deliver your message to nobody@example.org.\n", "us-ascii"),
             ("Content-Description", "Notification")),
        part("message/delivery-status", text(status, "us-ascii"), ("Content-Description", "Delivery report")),
        part("message/rfc822", post(14, "alice"), ("Content-Description", "Undelivered Message")),
    )  # fmt: skip
    source = head(
        ("Return-Path", "<>"),
        ("From", "MAILER-DAEMON@mx.example.org (Mail Delivery System)"),
        ("Subject", "Undelivered Mail Returned to Sender"),
        ("To", "alice@example.test"),
        ("Auto-Submitted", "auto-replied"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/report; report-type=delivery-status;\r\n\tboundary="4cD8xQ0kqGz1s/mx.example.org"'),
        ("Message-Id", "<20260914080003.4cD8xQ0kqGz1s@mx.example.org>"),
        ("Date", "Mon, 14 Sep 2026 08:00:03 +0000 (UTC)"),
    )
    return Mail(source + CRLF + body, "Undelivered Mail Returned to Sender", ["no such user"])


def invitation() -> Mail:
    """A calendar invitation, and a page with its pictures (multipart/related in alternative in mixed)."""
    event = (
        "BEGIN:VCALENDAR\nMETHOD:REQUEST\nPRODID:-//example//EN\nVERSION:2.0\nBEGIN:VEVENT\n"
        "UID:20260921T090000Z-0001@example.test\nSUMMARY:Review of the third quarter\n"
        "DTSTART:20260921T090000Z\nDTEND:20260921T100000Z\nORGANIZER:mailto:carol@example.test\n"
        "ATTENDEE;RSVP=TRUE:mailto:alice@example.test\nEND:VEVENT\nEND:VCALENDAR\n"
    )
    page = (
        '<html><body><p>Dear all,</p><p>please find the agenda below. <img src="cid:logo@example.test"></p>'
        + "".join(f"<li>Item {number}: review of ticket {number * 37}</li>\n" for number in range(1, 60))
        + "</body></html>\n"
    )
    related = multipart(
        "rel-b2",
        part("text/html; charset=utf-8", quoted_printable(text(page, "utf-8")), ("Content-Transfer-Encoding", "quoted-printable")),
        part("image/png; name=logo.png", base64_lines(b"\x89PNG\r\n\x1a\n" + noise(8, 30_000)),
             ("Content-Transfer-Encoding", "base64"), ("Content-ID", "<logo@example.test>"),
             ("Content-Disposition", "inline; filename=logo.png")),
    )  # fmt: skip
    alternative = multipart(
        "alt-a1",
        part("text/plain; charset=utf-8", text("Dear all,\n\nplease find the agenda in the calendar.\n", "utf-8")),
        part('multipart/related; type="text/html"; boundary=rel-b2', related),
        part("text/calendar; charset=utf-8; method=REQUEST", text(event, "utf-8")),
    )
    body = multipart(
        "mix-c3",
        part("multipart/alternative; boundary=alt-a1", alternative),
        part("application/ics; name=invite.ics", base64_lines(text(event, "utf-8")),
             ("Content-Disposition", "attachment; filename=invite.ics"), ("Content-Transfer-Encoding", "base64")),
    )  # fmt: skip
    source = head(
        ("From", "Carol <carol@example.test>"),
        ("To", "Alice <alice@example.test>, Bob <bob@example.test>"),
        ("Subject", "Invitation: Review of the third quarter @ Mon 21 Sep 2026"),
        ("Date", "Tue, 15 Sep 2026 12:00:00 +0200"),
        ("Message-ID", "<invite-0001@example.test>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "multipart/mixed; boundary=mix-c3"),
    )
    return Mail(source + CRLF + body, "Invitation: Review of the third quarter @ Mon 21 Sep 2026", ["agenda"])


def eight_bit_headers() -> Mail:
    """Headers in UTF-8 as RFC 6532 has it, and Latin-1 bytes that nothing announces."""
    source = head(
        ("From", "Grüße aus Köln <köln@example.test>"),
        ("To", "Ελληνικά <alice@example.test>"),
        ("Subject", "Öffnungszeiten über die Feiertage — geändert"),
        ("X-Filter-Note", b"r\xe9sum\xe9 in Latin-1, na\xefve"),
        ("Date", "Wed, 23 Dec 2026 09:00:00 +0100"),
        ("Message-ID", "<öffnungszeiten@example.test>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "8bit"),
    )
    body = text("Wir öffnen am 27. Dezember wieder.\n\n" + POST, "utf-8")
    return Mail(source + CRLF + body, "Öffnungszeiten über die Feiertage — geändert", ["öffnen am"])


def long_thread() -> Mail:
    """Two hundred references, forty Received lines, folded at every legal and some strange places."""
    hops = [
        ("Received", f"from hop{hop}.example.net (hop{hop}.example.net [198.51.100.{hop}])\r\n\tby hop{hop + 1}.example.net"
                     f" (Postfix) with ESMTPS id 4X{hop:04}\r\n\tfor <alice@example.test>;\r\n\t"
                     f"Thu, 17 Sep 2026 11:{59 - hop:02}:00 +0000 (UTC)")
        for hop in range(40)
    ]  # fmt: skip
    references = "\r\n ".join(f"<{number:03}.thread@example.org>" for number in range(200))
    source = head(
        *hops,
        ("From", '"Bob (on the road)"\r\n <bob\r\n (this is a comment (in a comment))\r\n @example.org>'),
        ("To", "undisclosed-recipients:;"),
        ("Subject", "Re: Re[2]: RE: AW: Fwd: flush counts"),
        ("Date", "Thu, 17 Sep 2026 11:58:59 +0000"),
        ("Message-ID", "<200.thread@example.org>"),
        ("In-Reply-To", "<199.thread@example.org>"),
        ("References", references),
        ("X-Empty", ""),
        ("X-Folded-To-Nothing", "\r\n  \r\n \tx"),
    )
    return Mail(source + CRLF + text(POST, "us-ascii"), "Re: Re[2]: RE: AW: Fwd: flush counts", ["apples"])


def newsletter_with_attachments() -> Mail:
    """Three attachments of the kind that many people receive and forward."""
    parts = [
        part(f'application/pdf; name="volume-{number}.pdf"', base64_lines(b"%PDF-1.5\n" + noise(100 + number, 60_000)),
             ("Content-Transfer-Encoding", "base64"),
             ("Content-Disposition", f'attachment; filename="volume-{number}.pdf"'))
        for number in range(3)
    ]  # fmt: skip
    body = multipart("big-0007", part("text/plain; charset=utf-8", text(POST, "utf-8")), *parts)
    source = head(
        ("From", f"{word('Écritures', 'utf-8')} <press@example.com>"),
        ("To", "bob@example.test"),
        ("Subject", "Three volumes for review"),
        ("Date", "Fri, 18 Sep 2026 16:20:00 +0200"),
        ("Message-ID", "<volumes.20260918@example.com>"),
        ("MIME-Version", "1.0"),
        ("Content-Type", 'multipart/mixed; boundary="big-0007"'),
    )
    return Mail(source + CRLF + body, "Three volumes for review", ["flat"])


MAILS = {
    "digest-in-digest": nested_digest,
    "delivery-status": bounce,
    "invitation": invitation,
    "headers-8bit": eight_bit_headers,
    "headers-long-thread": long_thread,
    "attachments": newsletter_with_attachments,
}
