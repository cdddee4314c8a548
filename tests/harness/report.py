"""A delivery status notification, read as RFC 3464 defines it, and nothing more lenient."""

import email
import email.policy
import email.utils
import re
from email.message import EmailMessage

STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
ACTIONS = {"failed", "delayed", "delivered", "relayed", "expanded"}
TYPED = re.compile(r"[A-Za-z0-9-]+ *; *\S")


class Report:
    """Its parts, after a look whether it has those that RFC 3464 wants."""

    def __init__(self, source: bytes):
        self.source = source
        self.message: EmailMessage = email.message_from_bytes(source, policy=email.policy.default)
        assert not self.message.defects, self.message.defects
        assert self.message.get_content_type() == "multipart/report", source
        assert self.message.get_param("report-type") == "delivery-status", source
        parts = list(self.message.iter_parts())
        assert 2 <= len(parts) <= 3, [part.get_content_type() for part in parts]
        self.text = parts[0].get_content()
        status = parts[1]
        assert status.get_content_type() in ("message/delivery-status", "message/global-delivery-status"), source
        self.whole, *self.recipients = groups(raw_part(source, self.message, 1))
        self.returned = parts[2] if len(parts) == 3 else None
        self.returned_source = raw_part(source, self.message, 2) if len(parts) == 3 else b""
        self._check()

    def _check(self) -> None:
        """What RFC 3464 §2.2 and §2.3 demand."""
        assert TYPED.match(self.whole["reporting-mta"]), self.whole
        assert self.recipients, "a report on nobody"
        for field in ("arrival-date", *(["last-attempt-date"] if "last-attempt-date" in self.whole else [])):
            if field in self.whole:
                assert email.utils.parsedate_to_datetime(self.whole[field]), self.whole
        for one in self.recipients:
            assert TYPED.match(one["final-recipient"]), one
            assert one["action"].lower() in ACTIONS, one
            assert STATUS.fullmatch(one["status"]), one
            classes = {"failed": "5", "delayed": "4", "delivered": "2", "relayed": "2", "expanded": "2"}
            # RFC 3464 §2.3.4: a failure may have had a temporary reason for too long.
            allowed = classes[one["action"].lower()] + ("4" if one["action"].lower() == "failed" else "")
            assert one["status"][0] in allowed, one
            for field in ("diagnostic-code", "remote-mta", "original-recipient"):
                assert field not in one or TYPED.match(one[field]), one
            for field in ("last-attempt-date", "will-retry-until"):
                assert field not in one or email.utils.parsedate_to_datetime(one[field]), one
            assert "will-retry-until" not in one or one["action"].lower() == "delayed", one
        # RFC 3834 §3.1.7 and RFC 3464 §2: nobody answers it by itself.
        assert self.message["Auto-Submitted"].lower().startswith(("auto-replied", "auto-generated")), self.source
        assert self.message["Return-Path"] is None or self.message["Return-Path"].strip() == "<>", self.source

    @property
    def about(self) -> list[str]:
        """The recipients that it tells of."""
        return [one["final-recipient"].partition(";")[2].strip() for one in self.recipients]

    def on(self, address: str) -> dict[str, str]:
        [found] = [one for one in self.recipients if one["final-recipient"].endswith(address)]
        return found


def groups(part: bytes) -> list[dict[str, str]]:
    """The groups of fields of a `message/delivery-status`: split at empty lines, with CRLF and nothing else."""
    content = part.partition(b"\r\n\r\n")[2].decode()
    assert "\n" not in content.replace("\r\n", ""), "bare line ends in a report"
    found = []
    for text in re.split(r"(?:\r\n){2,}", content.strip("\r\n")):
        fields: dict[str, str] = {}
        for line in re.sub(r"\r\n[ \t]+", " ", text).split("\r\n"):
            name, colon, value = line.partition(":")
            assert colon and re.fullmatch(r"[!-9;-~]+", name), line
            assert name.lower() not in fields, f"{name} twice"
            fields[name.lower()] = value.strip()
        found.append(fields)
    return found


def raw_part(source: bytes, message: EmailMessage, number: int) -> bytes:
    """A part as its octets stand in the message."""
    boundary = b"\r\n--" + message.get_boundary().encode()
    return source.split(boundary)[number + 1].removeprefix(b"\r\n")
