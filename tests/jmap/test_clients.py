"""Clients that others have written: jmap-jam for Node.js, jmapc for Python."""

from pathlib import Path

import jmapc
from jmapc import methods
from jmapc.session import Session

from harness.corpus import crlf, written
from harness.jmap import MAIL, Jmap, Server, letter
from harness.node import node
from harness.server import ROOT

JAM = ROOT / ".cache" / "jmap-jam"


def test_jmap_jam(server: Server) -> None:
    login = server.account()
    (mail,) = [sample for sample in written("korean") if sample.name == "korean/utf-8-nfd"]
    message = mail.source.decode()
    seen = node("jam.mjs", scripts=ROOT / "tests" / "jmap" / "node", modules=JAM / "node_modules",
                url=f"{login.url}.well-known/jmap", user=login.user, password=login.password, message=message)  # fmt: skip
    assert seen["echo"] == {"hello": "Grüße"}
    assert seen["uploaded"] == len(mail.source) and seen["downloaded"] == message
    assert seen["total"] == 1 and seen["subjects"] == ["여름 휴가 사진과 숙소 예약 확인서"]
    assert seen["thread"] and seen["sessionState"] and seen["updated"] and seen["changes"] and seen["destroyed"]
    assert seen["draft"] == ["초안", "봉투", "본문\n"]
    assert seen["errors"] == ["accountNotFound", "urn:ietf:params:jmap:error:unknownCapability", "stateMismatch"]


def test_jmapc(server: Server, tmp_path: Path) -> None:
    own = Jmap(server.account())
    (mail,) = [sample for sample in written("korean") if sample.name == "korean/euc-kr-attachments"]
    own.store(crlf(mail.source), letter("Another"))
    # Its events come from what it has missed: it listens no earlier than it asks.
    client = jmapc.Client.create_with_password("unused", own.login.user, own.login.password, last_event_id=own.state())
    # It would look for the session by HTTPS, and with a certificate that everybody trusts.
    answer = client.requests_session.get(f"{own.login.url}.well-known/jmap", timeout=60)
    client.jmap_session = Session.from_dict(answer.json())
    assert client.jmap_session.capabilities.urns >= {MAIL}
    mailboxes = client.request(methods.MailboxGet(ids=None)).data
    inbox = next(mailbox for mailbox in mailboxes if mailbox.role == "inbox")
    assert (inbox.id, inbox.total_emails) == (own.inbox, 2)

    query, emails, threads = client.request([
        methods.EmailQuery(filter=jmapc.EmailQueryFilterCondition(in_mailbox=inbox.id, has_attachment=True),
                           limit=5),
        methods.EmailGet(ids=jmapc.Ref("/ids"), fetch_text_body_values=True,
                         properties=["subject", "from", "attachments", "threadId", "bodyValues", "textBody"]),
        methods.ThreadGet(ids=jmapc.Ref("/list/*/threadId")),
    ], raise_errors=True)  # fmt: skip
    (email,) = emails.response.data
    assert query.response.ids == [email.id] and threads.response.data[0].email_ids == [email.id]
    assert email.subject == "10월 급여명세서 및 연차 사용 계획서 제출 안내"
    assert email.mail_from == [jmapc.EmailAddress(name="인사총무팀", email="hr@example.test")]
    assert "고객지원센터" in email.body_values[email.text_body[0].part_id].value.replace("\n", "")
    attachment = email.attachments[0]
    client.download_attachment(attachment, tmp_path / "attachment")
    assert (tmp_path / "attachment").stat().st_size == attachment.size
    uploaded = client.upload_blob(tmp_path / "attachment")
    assert uploaded.size == attachment.size

    client.request(methods.EmailSet(update={email.id: {"keywords/$seen": True}}), raise_errors=True)
    refused = client.request(methods.EmailGet(ids=[email.id], properties=["unheardOf"]))
    assert isinstance(refused, jmapc.errors.InvalidArguments)
    made = client.request(methods.MailboxSet(create={"m": jmapc.Mailbox(name="여행")}), raise_errors=True)
    assert own.look(made.created["m"].id)["name"] == "여행"

    changed = next(client.events).data.changed[own.account]
    assert changed.mailbox == own.state("Mailbox")
    own.close()
