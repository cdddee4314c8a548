"""Mails too large or too strange to keep in files; made while the tests run, the same every time."""

import random

CRLF = b"\r\n"


def letter(number: int, size: int = 2_000, seed: int = 1, text: bool = True) -> bytes:
    """An ordinary mail of about `size` bytes whose subject and Message-ID hold `number`."""
    generator = random.Random(f"{seed}/{number}/{size}")
    head = (
        f"From: Bob <bob@example.com>\r\nTo: alice@example.test\r\nSubject: letter {seed}-{number}\r\n"
        f"Date: Mon, 19 Oct 2026 10:00:00 +0000\r\nMessage-ID: <{seed}.{number}.{size}@example.com>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    ).encode()
    vocabulary = [
        "mail",
        "server",
        "delivers",
        "every",
        "message",
        "once",
        "and",
        "keeps",
        "우편",
        "배달",
        "never",
        "loses",
    ]
    lines, length = [], len(head)
    while length < size:
        if text:
            line = " ".join(generator.choices(vocabulary, k=9)).encode() + CRLF
        else:
            line = generator.randbytes(36).hex().encode() + CRLF
        lines.append(line)
        length += len(line)
    return head + b"".join(lines)


def with_attachment(number: int, attachment: bytes, seed: int = 1) -> bytes:
    """A mail with one attachment in base64; many mails may carry the same one."""
    import base64

    encoded = base64.encodebytes(attachment).replace(b"\n", CRLF)
    return (
        f"From: carol@example.com\r\nTo: alice@example.test\r\nSubject: attachment {seed}-{number}\r\n"
        f"Message-ID: <{seed}.{number}.attachment@example.com>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="edge"\r\n\r\n--edge\r\nContent-Type: text/plain\r\n\r\n'
        f"This is number {number}.\r\n--edge\r\nContent-Type: application/octet-stream; name=data.bin\r\n"
        "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=data.bin\r\n\r\n"
    ).encode() + encoded + b"--edge--\r\n"  # fmt: skip


def exactly(size: int) -> bytes:
    """A mail of exactly `size` bytes."""
    head = b"From: bob@example.com\r\nTo: alice@example.test\r\nSubject: exactly\r\n\r\n"
    line = b"x" * 76 + CRLF
    body = line * ((size - len(head)) // len(line))
    rest = size - len(head) - len(body)
    return head + body + (b"y" * max(rest - 2, 0) + CRLF if rest >= 2 else b"y" * rest)


def huge_header(size: int) -> bytes:
    """Fault 23: one mail whose header block is `size` bytes of ordinary-looking fields."""
    field = b"X-Spam-Report: " + b"score=0.1 tests=NONE " * 40 + CRLF
    head = b"From: bob@example.com\r\nTo: alice@example.test\r\nSubject: huge header\r\n"
    return head + field * ((size - len(head)) // len(field)) + CRLF + b"body\r\n"


def many_addresses(count: int) -> bytes:
    """Fault 23: `count` addresses in one To field."""
    addresses = b",\r\n ".join(b"user%d@example.com" % number for number in range(count))
    return b"From: bob@example.com\r\nTo: " + addresses + b"\r\nSubject: many addresses\r\n\r\nbody\r\n"


def many_parameters(count: int) -> bytes:
    """Fault 24: `count` RFC 2231 continuations of one parameter."""
    parameters = b"".join(b";\r\n filename*%d=a" % number for number in range(count))
    return (
        b"From: bob@example.com\r\nTo: alice@example.test\r\nSubject: many parameters\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=edge\r\n\r\n--edge\r\nContent-Type: text/plain\r\n"
        b"Content-Disposition: attachment" + parameters + b"\r\n\r\nbody\r\n--edge--\r\n"
    )


def deep(levels: int) -> bytes:
    """Fault 25: multiparts inside one another."""
    opening = b"".join(
        b"--d%d\r\nContent-Type: multipart/mixed; boundary=d%d\r\n\r\n" % (level, level - 1)
        for level in range(levels, 0, -1)
    )
    closing = b"".join(b"--d%d--\r\n" % level for level in range(levels + 1))
    return (
        b"From: bob@example.com\r\nTo: alice@example.test\r\nSubject: deep\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=d%d\r\n\r\n" % levels
        + opening + b"--d0\r\n\r\nthe core\r\n" + closing
    )  # fmt: skip


def deep_messages(levels: int) -> bytes:
    """Fault 25 again: messages inside messages."""
    return b"".join(
        b"From: bob@example.com\r\nSubject: level %d\r\nContent-Type: message/rfc822\r\n\r\n" % level
        for level in range(levels)
    ) + b"Subject: core\r\n\r\nthe core\r\n"  # fmt: skip


def many_parts(count: int) -> bytes:
    """Fault 26: `count` empty parts, and boundary lines that only begin like the boundary."""
    parts = b"--edge\r\n\r\nx\r\n--edgy\r\n" * count
    return (
        b"From: bob@example.com\r\nTo: alice@example.test\r\nSubject: many parts\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=edge\r\n\r\n" + parts + b"--edge--\r\n"
    )
