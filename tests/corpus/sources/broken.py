"""Mail that breaks the rules in the ways that faults 23 to 27 and daily life list. Servers keep it as it came."""

from .letter import CRLF, Mail, base64_lines, head, multipart, noise, part, text

LETTER = "The minutes of the meeting are below.\n\nKind regards\n"


def common(subject: str, content_type: str | None, *more: tuple[str, str | bytes]) -> bytes:
    """The headers that all of these share; the breakage is in what follows."""
    fields: list[tuple[str, str | bytes]] = [
        ("From", "bob@example.com"),
        ("To", "alice@example.test"),
        ("Subject", subject),
        ("Date", "Mon, 19 Oct 2026 10:00:00 +0000"),
        ("Message-ID", f"<{subject.replace(' ', '.')}@example.com>"),
        ("MIME-Version", "1.0"),
    ]
    if content_type:
        fields.append(("Content-Type", content_type))
    return head(*fields, *more)


def mixed(subject: str, body: bytes, boundary: str = "b1") -> Mail:
    return Mail(common(subject, f"multipart/mixed; boundary={boundary}") + CRLF + body, subject)


def no_closing_boundary() -> Mail:
    body = multipart("b1", part("text/plain", text(LETTER, "ascii")), part("text/html", b"<p>minutes</p>"))
    return mixed("no closing boundary", body[: -len(b"--b1--\r\n")])


def boundary_never_appears() -> Mail:
    return mixed("boundary never appears", text(LETTER, "ascii"), "never-there")


def boundary_missing() -> Mail:
    body = multipart("b1", part("text/plain", text(LETTER, "ascii")))
    return Mail(common("boundary parameter missing", "multipart/mixed") + CRLF + body, "boundary parameter missing")


def boundaries_are_prefixes() -> Mail:
    """Fault 26: the inner boundary begins with the outer one; a line of the one must not end the other."""
    inner = multipart("edge-edge", part("text/plain", text(LETTER, "ascii")), part("text/plain", b"inner two\r\n"))
    body = multipart("edge", part("multipart/mixed; boundary=edge-edge", inner), part("text/plain", b"outer two\r\n"))
    return mixed("boundaries are prefixes", body, "edge")


def ends_inside_headers() -> Mail:
    return mixed("ends inside the headers of a part", b"--b1\r\nContent-Type: text/plain; char")


def comment_ends_in_backslash() -> Mail:
    """Fault 27: a comment and a quoted string whose last byte escapes what is no longer there."""
    source = head(
        ("From", "alice@example.com (not closed \\"),
        ("To", '"quoted and not closed \\'),
        ("Subject", "comment ends in a backslash"),
        ("Date", "Mon, 19 Oct 2026 10:00:00 +0000 (\\"),
        ("Content-Type", 'text/plain; charset="utf-8\\'),
        ("Content-Disposition", "attachment; filename=(((((\\"),
    )
    return Mail(source + CRLF + text(LETTER, "ascii"), "comment ends in a backslash")


def cut_utf8() -> Mail:
    """Fault 27: bytes that stop in the middle of a character, in the body, in a header, in an encoded word."""
    cut = "잘린 글자".encode()[:-1]
    source = common("=?utf-8?B?7J6Y66aw?= =?utf-8?B?IOq4gOyekA==?= =?utf-8?Q?=EA=B8?=", "text/plain; charset=utf-8",
                    ("X-Cut", cut))  # fmt: skip
    return Mail(source + CRLF + cut + CRLF + b"\xf0\x9f\x92")


def many_parameters() -> Mail:
    """Fault 24, small: RFC 2231 continuations out of order, doubled, with gaps and huge numbers."""
    names = [5, 3, 3, 0, 1, 99999999999999999999, 7, 2, *range(10, 400)]
    parameters = "".join(f';\r\n filename*{number}="piece{number}"' for number in names)
    body = text(LETTER, "ascii")
    source = common("many parameters", "application/octet-stream", ("Content-Disposition", "attachment" + parameters))
    return Mail(source + CRLF + body, "many parameters")


def deep() -> Mail:
    """Fault 25, just past the limit of 100: multiparts and messages inside one another."""
    body = b"--d0\r\n\r\nthe core\r\n--d0--\r\n"
    for level in range(1, 130):
        kind = f"multipart/mixed; boundary=d{level - 1}"
        body = f"--d{level}\r\nContent-Type: {kind}\r\n\r\n".encode() + body + f"--d{level}--\r\n".encode()
    return mixed("a hundred and thirty levels", body, "d129")


def base64_with_rubbish() -> Mail:
    body = base64_lines(noise(9, 3000)).replace(b"\r\n", b"\r\n! not base64 *\r\n", 3)[:-7] + b"=A==\r\n=\r\n"
    return Mail(common("base64 with rubbish", "application/zip", ("Content-Transfer-Encoding", "base64")) + CRLF + body)


def quoted_printable_cut() -> Mail:
    body = b"soft =\r\nbreak =3D =3 =ZZ = trailing \r\n caf=C3=A9 =E\r\n="
    source = common(
        "quoted printable cut", "text/plain; charset=utf-8", ("Content-Transfer-Encoding", "quoted-printable")
    )
    return Mail(source + CRLF + body, "quoted printable cut")


def unknown_names() -> Mail:
    source = common("unknown names", "text/plain; charset=x-mac-klingon; charset=utf-9",
                    ("Content-Transfer-Encoding", "x-uuencode-ish"))  # fmt: skip
    return Mail(source + CRLF + bytes(range(1, 10)) + bytes(range(128, 256)) + CRLF, "unknown names")


def multipart_in_base64() -> Mail:
    """Forbidden by RFC 2045 §6.4 and sent all the same."""
    inner = multipart("b1", part("text/plain", text(LETTER, "ascii")))
    source = common("multipart in base64", "multipart/mixed; boundary=b1", ("Content-Transfer-Encoding", "base64"))
    return Mail(source + CRLF + base64_lines(inner), "multipart in base64")


def wrong_headers() -> Mail:
    """Lines without a colon, names with spaces, two of everything, a date from nowhere."""
    source = (
        b"this line has no colon\r\nSubject : space before the colon\r\n\tand folded\r\n: no name\r\n"
        b"From: \r\nFrom: <<>>@\r\nTo: ,,,;;<>@@\r\nDate: yesterday, around tea time\r\nSubject: second subject\r\n"
        b'Content-Type: ;;;="\r\nContent-Type: text/plain\r\nMessage-ID: no brackets at all\r\n'
        b"References: <<a@b> <c@d>> ((<e@f>\r\nMIME-Version: 17\r\n"
    )
    return Mail(source + CRLF + text(LETTER, "ascii"))


def no_headers() -> Mail:
    return Mail(CRLF + text(LETTER, "ascii"))


def no_body() -> Mail:
    return Mail(common("no body and no empty line", None), "no body and no empty line")


def headers_cut() -> Mail:
    return Mail(common("headers cut", None) + b"X-Cut: in the mid")


def control_characters() -> Mail:
    source = common("control \x01 characters \x7f and \x1b[31m escapes", "text/plain")
    return Mail(source + CRLF + bytes(byte for byte in range(1, 32) if byte not in (10, 13)) + b"\x7f\r\n")


def tnef() -> Mail:
    """winmail.dat: the stream's signature, a key, then attributes whose lengths lie."""
    stream = b"\x78\x9f\x3e\x22\x01\x00" + b"\x01\x06\x90\x08\x00\xff\xff\xff\x7f" + noise(10, 600)
    body = multipart(
        "b1",
        part("text/plain; charset=us-ascii", text(LETTER, "ascii")),
        part('application/ms-tnef; name="winmail.dat"', base64_lines(stream), ("Content-Transfer-Encoding", "base64")),
    )
    return mixed("winmail", body)


def uuencoded() -> Mail:
    body = (
        text(LETTER, "ascii")
        + b"begin 644 report.txt\r\nM5&AE(')E<&]R=\"!I<R!A='1A8VAE9\"!T;R!T:&ES(&UA:6P@:6X@86X@;VQD\r\n `\r\nend\r\n"
    )
    return Mail(common("uuencoded in the text", None) + CRLF + body, "uuencoded in the text")


def dots() -> Mail:
    """Lines that begin with dots: SMTP doubles them on the way, nobody may see that."""
    body = b".\r\n..\r\n...\r\n.leading\r\nmiddle.\r\n. \r\n\r\n.\r\nend\r\n"
    return Mail(common("dots at line starts", "text/plain") + CRLF + body, "dots at line starts")


def long_lines() -> Mail:
    """Lines past the 998 bytes of RFC 5321: programs send them, readers expect them whole."""
    body = b"<html>" + b"x" * 1500 + b"\r\n" + b"<p>word </p>" * 4000 + b"\r\n</html>\r\n"
    return Mail(common("long lines", "text/html") + CRLF + body, "long lines")


def from_lines() -> Mail:
    """Body lines that an mbox must quote, and that must come back unquoted where they were not."""
    body = b"From here on it gets hard.\r\n>From there it was easy.\r\n\r\nFrom alice@example.test Mon Oct 19 10:00:00 2026\r\n"
    return Mail(common("From at line starts", "text/plain") + CRLF + body, "From at line starts")


MAILS = {
    function.__name__.replace("_", "-"): function
    for function in (
        no_closing_boundary, boundary_never_appears, boundary_missing, boundaries_are_prefixes, ends_inside_headers,
        comment_ends_in_backslash, cut_utf8, many_parameters, deep, base64_with_rubbish, quoted_printable_cut,
        unknown_names, multipart_in_base64, wrong_headers, no_headers, no_body, headers_cut, control_characters,
        tnef, uuencoded, dots, long_lines, from_lines,
    )
}  # fmt: skip
