"""Clients that others have written. The Rust crate `jmap-client` is driven by crates/server/tests/jmap_client.rs."""

from harness.corpus import written
from harness.jmap import Server
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
