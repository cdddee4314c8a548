"""imapflow and nodemailer, the libraries behind many web applications that read and send mail."""

import email.policy

import pytest

from harness import giants, mailbox
from harness.node import node
from harness.server import PASSWORD, Magpie


@pytest.mark.parametrize("secure", [True, False])
def test_imapflow(magpie: Magpie, user: str, address: str, secure: bool) -> None:
    magpie.deliver(address, *(giants.letter(number) for number in range(5)))
    with magpie.imap(user) as client:
        first, *_ = mailbox.fetch_all(client).values()
    seen = node("imapflow.mjs", port=magpie.port("imaps" if secure else "imap"), secure=secure, user=user,
                password=PASSWORD, message=giants.letter(9).decode())  # fmt: skip
    assert {"INBOX", "여행", "여행/2026"} <= set(seen["folders"])
    assert seen["exists"] == 5
    assert [message["uid"] for message in seen["messages"]] == [1, 2, 3, 4, 5]
    assert [message["subject"] for message in seen["messages"]] == [f"letter 1-{n}" for n in range(5)]
    assert seen["source"].encode("latin-1") == first
    assert seen["flagged"] == [1, 2] and seen["moved"] == 1 and seen["deleted"] is True
    assert seen["news"] == 4
    assert (seen["status"]["messages"], seen["status"]["unseen"], seen["status"]["uidNext"]) == (2, 1, 3)


@pytest.mark.parametrize("tls", [True, False])
def test_nodemailer(magpie: Magpie, user: str, address: str, tls: bool) -> None:
    subjects = [f"편지 {number} – façade" for number in range(10)]
    sent = node("nodemailer.mjs", port=magpie.port("smtp"), tls=tls, to=[address], subjects=subjects)
    assert all(mail["accepted"] == [address] and mail["response"].startswith("250") for mail in sent)
    with magpie.imap(user) as client:
        stored = [email.message_from_bytes(mail, policy=email.policy.default)
                  for mail in mailbox.fetch_all(client).values()]  # fmt: skip
    assert sorted(mail["Subject"] for mail in stored) == subjects
    for mail in stored:
        (attachment,) = mail.iter_attachments()
        assert attachment.get_filename() == "첨부.bin" and len(attachment.get_content()) == 100_000
        text = mail.get_body(("plain",)).get_content()
        assert text.splitlines() == [mail["Subject"], ".a line with a dot"]
