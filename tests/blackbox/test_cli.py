"""`magpie domain`, `account`, `alias`, `group` and `app-password`: next to a running server and without one.

What is changed next to a running server holds from the next command or login on.
"""

import imaplib
import itertools
import json
import subprocess
from pathlib import Path

import pytest

from harness import giants, mailbox
from harness.mailbox import ok
from harness.server import BINARY, PASSWORD, Magpie, MagpieError, running
from harness.wire import SmtpWire

NOT_THERE, THERE_ALREADY, FAILED, SENSELESS = 5, 6, 1, 2
numbers = itertools.count(1)


@pytest.fixture
def account(magpie: Magpie) -> str:
    """The address of an account of the test's own, which the command line made while the server was running."""
    address = f"cli{next(numbers)}@example.test"
    magpie.cli("account", "create", address, "--password", PASSWORD)
    return address


def refused(server: Magpie, code: int, *arguments: str) -> str:
    """Runs a command that must end with this exit code; returns its complaint, which is the same in JSON."""
    plain = server.cli(*arguments, check=False)
    assert plain.returncode == code, plain
    assert plain.stderr.startswith("magpie: ") and not plain.stdout, plain
    told = server.cli(*arguments, "--json", check=False)
    assert told.returncode == code, told
    error = json.loads(told.stderr)["error"]
    assert error["message"] == plain.stderr.removeprefix("magpie: ").rstrip("\n")
    return error["message"]


def login(server: Magpie, address: str, password: str = PASSWORD) -> bool:
    client = server.imap()
    try:
        client.login(address, password)
    except imaplib.IMAP4.error:
        return False
    finally:
        client.logout()
    return True


def recipient(server: Magpie, address: str) -> int:
    """The code with which SMTP answers RCPT."""
    with server.smtp() as client:
        client.ehlo()
        client.mail("bob@example.com")
        return client.rcpt(address)[0]


def deliver(server: Magpie, address: str, mail: bytes) -> None:
    with server.smtp() as client:
        assert client.sendmail("bob@example.com", [address], mail) == {}


def mails(server: Magpie, address: str) -> int:
    client = server.imap()
    client.login(address, PASSWORD)
    with client:
        return mailbox.count(client)


# Whether a server runs or not. ------------------------------------------------------------------------


def test_domains(anyhow: Magpie, domain: str) -> None:
    made = anyhow.cli_json("domain", "show", domain)
    assert made["name"] == domain
    assert made in anyhow.cli_json("domain", "list")
    anyhow.cli("account", "create", f"all@{domain}", "--password", PASSWORD)
    changed = anyhow.cli_json("domain", "change", domain, "--catch-all", f"all@{domain}", "--separator", "_")
    assert changed == made | {"catch_all": f"all@{domain}", "separator": "_"}
    assert anyhow.cli_json("domain", "show", domain) == changed
    assert "all@" in refused(anyhow, FAILED, "domain", "delete", domain)
    anyhow.cli("domain", "change", domain, "--catch-all", "none")
    anyhow.cli("account", "delete", f"all@{domain}", "--yes")
    anyhow.cli("domain", "delete", domain)
    assert domain in refused(anyhow, NOT_THERE, "domain", "show", domain)


def test_accounts(anyhow: Magpie, domain: str) -> None:
    address = f"dora@{domain}"
    made = anyhow.cli_json("account", "create", address, "--password", PASSWORD, "--name", "도라 Dora", "--bytes", "1M")
    assert made["address"] == address
    assert made["display_name"] == "도라 Dora"
    assert made["state"] == "active"
    assert made["quota"] == {"bytes": 1 << 20, "messages": None}
    assert made["usage"] == {"bytes": 0, "messages": 0}
    assert PASSWORD not in json.dumps(made)
    assert anyhow.cli_json("account", "show", address) == made
    assert anyhow.cli_json("account", "list", "--domain", domain) == [made]
    changed = anyhow.cli_json("account", "quota", address, "--messages", "7", "--bytes", "none")
    assert changed["quota"] == {"bytes": None, "messages": 7}
    changed = anyhow.cli_json("account", "change", address, "--state", "receive-only", "--name", "")
    assert (changed["state"], changed["display_name"]) == ("receive-only", None)
    assert anyhow.cli_json("account", "show", address) == changed
    # Without --yes and without a terminal to ask on, nothing is deleted.
    refused(anyhow, FAILED, "account", "delete", address)
    anyhow.cli("account", "delete", address, "--yes")
    assert address in refused(anyhow, NOT_THERE, "account", "show", address)


def test_a_password_is_made_where_none_is_given(anyhow: Magpie, domain: str) -> None:
    made = [anyhow.cli_json("account", "create", f"{name}@{domain}")["password"] for name in ("one", "two")]
    assert made[0] != made[1]
    assert all(len(password) >= 16 for password in made)
    assert "password" not in anyhow.cli_json("account", "show", f"one@{domain}")


def test_aliases(anyhow: Magpie, domain: str) -> None:
    for name in ("one", "two"):
        anyhow.cli("account", "create", f"{name}@{domain}", "--password", PASSWORD)
    made = anyhow.cli_json("alias", "create", f"sales@{domain}", f"one@{domain}", f"two@{domain}")
    assert (made["address"], made["targets"]) == (f"sales@{domain}", [f"one@{domain}", f"two@{domain}"])
    assert anyhow.cli_json("alias", "list", "--domain", domain) == [made]
    changed = anyhow.cli_json("alias", "change", f"sales@{domain}", f"two@{domain}")
    assert changed == anyhow.cli_json("alias", "show", f"sales@{domain}") == made | {"targets": [f"two@{domain}"]}
    anyhow.cli("alias", "delete", f"sales@{domain}")
    assert anyhow.cli_json("alias", "list", "--domain", domain) == []


def test_groups(anyhow: Magpie, domain: str) -> None:
    members = [f"m{number}@{domain}" for number in range(3)]
    for member in members:
        anyhow.cli("account", "create", member, "--password", PASSWORD)
    made = anyhow.cli_json("group", "create", f"team@{domain}", members[0], "--description", "모두")
    assert (made["address"], made["description"], made["members"]) == (f"team@{domain}", "모두", members[:1])
    assert anyhow.cli_json("group", "add", f"team@{domain}", *members[1:])["members"] == members
    assert anyhow.cli_json("group", "remove", f"team@{domain}", members[1])["members"] == [members[0], members[2]]
    assert anyhow.cli_json("group", "show", f"team@{domain}")["members"] == [members[0], members[2]]
    assert [group["member_count"] for group in anyhow.cli_json("group", "list", "--domain", domain)] == [2]
    anyhow.cli("group", "delete", f"team@{domain}")
    refused(anyhow, NOT_THERE, "group", "show", f"team@{domain}")
    assert anyhow.cli_json("account", "show", members[0])["address"] == members[0]


def test_app_passwords(anyhow: Magpie, domain: str) -> None:
    address = f"dora@{domain}"
    anyhow.cli("account", "create", address, "--password", PASSWORD)
    made = anyhow.cli_json("app-password", "create", address, "--label", "내 전화", "--for", "imap,jmap")
    assert (made["label"], made["protocols"]) == ("내 전화", ["imap", "jmap"])
    other = anyhow.cli_json("app-password", "create", address)
    assert other["password"] != made["password"]
    listed = anyhow.cli_json("app-password", "list", address)
    assert [entry["id"] for entry in listed] == [made["id"], other["id"]]
    assert all("password" not in entry for entry in listed)
    anyhow.cli("app-password", "revoke", address, str(made["id"]))
    assert [entry["id"] for entry in anyhow.cli_json("app-password", "list", address)] == [other["id"]]
    refused(anyhow, NOT_THERE, "app-password", "revoke", address, str(made["id"]))


def test_what_is_there_cannot_be_made_again(anyhow: Magpie, domain: str) -> None:
    """An address is one thing: account, alias or group."""
    address = f"dora@{domain}"
    anyhow.cli("account", "create", address, "--password", PASSWORD)
    refused(anyhow, THERE_ALREADY, "domain", "create", domain.upper())
    for command in (["account", "create", address.upper()], ["alias", "create", address, address],
                    ["group", "create", address]):  # fmt: skip
        refused(anyhow, THERE_ALREADY, *command)


@pytest.mark.parametrize(
    ("code", "command"),
    [
        (FAILED, ["account", "create", "no-address"]),
        (FAILED, ["account", "create", "two@at@example.test"]),
        (FAILED, ["account", "create", "line\nbreak@example.test"]),
        (FAILED, ["domain", "create", "bad..example"]),
        (FAILED, ["domain", "create", "x" * 64 + ".example"]),
        (NOT_THERE, ["account", "create", "dora@unknown.example", "--password", PASSWORD]),
        (NOT_THERE, ["account", "password", "nobody@example.test", "--password", PASSWORD]),
        (NOT_THERE, ["alias", "create", "a@example.test", "nobody@example.test"]),
        (NOT_THERE, ["group", "create", "g@example.test", "nobody@example.test"]),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(anyhow: Magpie, code: int, command: list[str]) -> None:
    assert len(refused(anyhow, code, *command)) > 15


def test_a_command_line_that_cannot_be_read(anyhow: Magpie) -> None:
    for command in (["account", "frobnicate"], ["account", "quota", "alice", "--bytes", "many"], ["alias", "create"]):
        done = anyhow.cli(*command, check=False)
        assert done.returncode == SENSELESS, done


def test_a_password_from_a_file(anyhow: Magpie, domain: str, tmp_path: Path) -> None:
    """So that it does not stand in the list of processes."""
    path = tmp_path / "password"
    path.write_text("from-a-file \n")
    anyhow.cli("account", "create", f"dora@{domain}", "--password-file", str(path))
    command = [str(BINARY), "account", "password", f"dora@{domain}", "--password-file", "-"]
    subprocess.run(command, env=anyhow.environment(), input=b"from-standard-input\n", check=True, capture_output=True)
    if anyhow.running:
        assert login(anyhow, f"dora@{domain}", "from-standard-input")
        assert not login(anyhow, f"dora@{domain}", "from-a-file ")


def test_no_data_directory(tmp_path: Path) -> None:
    """A command that would answer from an empty store says instead that there is none, and makes none."""
    nowhere = Magpie(tmp_path / "nowhere")
    assert str(nowhere.data) in refused(nowhere, NOT_THERE, "account", "list")
    assert not nowhere.data.exists()


def test_offline_changes_are_there_when_the_server_starts(data: Path) -> None:
    server = Magpie(data, users=0).start()
    server.stop()
    server.cli("domain", "create", "later.example")
    server.cli("account", "create", "dora@later.example", "--password", PASSWORD)
    server.cli("alias", "create", "sales@later.example", "dora@later.example")
    server.cli("account", "delete", "carol@example.test", "--yes")
    with running(data, users=0) as server:
        deliver(server, "sales@later.example", giants.letter(1))
        assert mails(server, "dora@later.example") == 1
        assert login(server, "dora@later.example")
        server.cli("verify")


# Next to a running server. ----------------------------------------------------------------------------


def test_a_new_account_is_there_at_once(magpie: Magpie) -> None:
    address = f"new{next(numbers)}@example.test"
    assert recipient(magpie, address) == 550
    assert not login(magpie, address)
    magpie.cli("account", "create", address, "--password", PASSWORD)
    deliver(magpie, address, giants.letter(1))
    assert mails(magpie, address) == 1
    magpie.cli("account", "delete", address, "--yes")
    assert recipient(magpie, address) == 550
    assert not login(magpie, address)


def test_a_new_account_of_an_old_name_holds_nothing_of_it(magpie: Magpie, account: str) -> None:
    deliver(magpie, account, giants.letter(1))
    assert mails(magpie, account) == 1
    magpie.cli("account", "delete", account, "--yes")
    magpie.cli("account", "create", account, "--password", PASSWORD)
    assert mails(magpie, account) == 0


def test_a_new_password_takes_effect(magpie: Magpie, account: str) -> None:
    assert login(magpie, account)
    magpie.cli("account", "password", account, "--password", "another-horse-battery")
    assert not login(magpie, account)
    assert login(magpie, account, "another-horse-battery")


def test_an_app_password_opens_what_it_is_for(magpie: Magpie, account: str) -> None:
    for_imap = magpie.cli_json("app-password", "create", account, "--for", "imap")
    for_jmap = magpie.cli_json("app-password", "create", account, "--for", "jmap")
    assert login(magpie, account, for_imap["password"])
    assert not login(magpie, account, for_jmap["password"])
    assert login(magpie, account)
    used, unused = magpie.cli_json("app-password", "list", account)
    assert used["last_used"] and not unused["last_used"]
    magpie.cli("app-password", "revoke", account, str(for_imap["id"]))
    assert not login(magpie, account, for_imap["password"])


def test_states(magpie: Magpie, account: str) -> None:
    magpie.cli("account", "change", account, "--state", "disabled")
    assert recipient(magpie, account) == 550
    assert not login(magpie, account)
    magpie.cli("account", "change", account, "--state", "receive-only")
    assert recipient(magpie, account) == 250
    assert login(magpie, account)


def test_aliases_groups_and_catch_all_deliver_once(magpie: Magpie) -> None:
    """An account that is reached in several ways gets one copy."""
    domain = f"d{next(numbers)}.example"
    magpie.cli("domain", "create", domain)
    for name in ("one", "two"):
        magpie.cli("account", "create", f"{name}@{domain}", "--password", PASSWORD)
    magpie.cli("alias", "create", f"sales@{domain}", f"one@{domain}")
    magpie.cli("group", "create", f"all@{domain}", f"one@{domain}", f"two@{domain}", f"sales@{domain}")
    assert recipient(magpie, f"unknown@{domain}") == 550
    deliver(magpie, f"all@{domain}", giants.letter(1))
    assert (mails(magpie, f"one@{domain}"), mails(magpie, f"two@{domain}")) == (1, 1)
    magpie.cli("domain", "change", domain, "--catch-all", f"two@{domain}")
    deliver(magpie, f"unknown@{domain}", giants.letter(2))
    assert (mails(magpie, f"one@{domain}"), mails(magpie, f"two@{domain}")) == (1, 2)
    deliver(magpie, f"one+shopping@{domain}", giants.letter(3))
    assert (mails(magpie, f"one@{domain}"), mails(magpie, f"two@{domain}")) == (2, 2)
    magpie.cli("domain", "change", domain, "--separator", "none", "--catch-all", "none")
    assert recipient(magpie, f"one+shopping@{domain}") == 550


def test_a_deleted_account_leaves_its_aliases_and_groups(magpie: Magpie, account: str) -> None:
    """What leads to others still does; what leads nowhere is answered like a name that does not exist."""
    alias, group = (f"{kind}{next(numbers)}@example.test" for kind in ("alias", "group"))
    magpie.cli("alias", "create", alias, account)
    magpie.cli("group", "create", group, account, "alice@example.test")
    magpie.cli("account", "delete", account, "--yes")
    assert recipient(magpie, alias) == 550
    assert recipient(magpie, group) == 250


def test_42_a_quota_of_messages(magpie: Magpie, account: str) -> None:
    magpie.cli("account", "quota", account, "--messages", "2")
    for number in (1, 2):
        deliver(magpie, account, giants.letter(number))
    assert recipient(magpie, account) == 452
    over_quota(magpie, account, giants.letter(3))
    usage = magpie.cli_json("account", "show", account)["usage"]
    assert usage["messages"] == 2
    magpie.cli("account", "quota", account, "--messages", "none")
    deliver(magpie, account, giants.letter(3))
    assert mails(magpie, account) == 3


def test_42_a_quota_of_bytes(magpie: Magpie, account: str) -> None:
    """Refused at RCPT where the sender has said the size, otherwise at the end; small mail still fits."""
    magpie.cli("account", "quota", account, "--bytes", "50K")
    large = giants.letter(1, 100_000)
    with SmtpWire(magpie) as wire:
        assert wire.command(b"MAIL FROM:<bob@example.com> SIZE=%d" % len(large))[0] == 250
        code, text = wire.command(b"RCPT TO:<%s>" % account.encode())
        assert code in (452, 552) and text[1:5] == b".2.2", (code, text)
        assert wire.command(b"RSET")[0] == 250
        wire.begin(account.encode())
        wire.send(large + b".\r\n")
        code, text = wire.reply()
        assert code in (452, 552) and text[1:5] == b".2.2", (code, text)
    over_quota(magpie, account, large)
    deliver(magpie, account, giants.letter(2))
    assert mails(magpie, account) == 1
    usage = magpie.cli_json("account", "show", account)["usage"]
    assert usage["messages"] == 1
    assert 2_000 < usage["bytes"] < 5_000


def test_42_a_quota_of_a_domain_is_not_announced(magpie: Magpie) -> None:
    """Nobody counts what the accounts of a domain hold together: so it cannot be limited, nor seem to be."""
    done = magpie.cli("domain", "change", "example.test", "--messages", "2", check=False)
    assert done.returncode == SENSELESS, done
    assert "quota" not in magpie.cli_json("domain", "show", "example.test")


def over_quota(magpie: Magpie, address: str, mail: bytes) -> None:
    """APPEND is refused with its code, stores nothing, and the session goes on (RFC 9051 §7.1)."""
    client = magpie.imap()
    client.login(address, PASSWORD)
    with client:
        before = mailbox.count(client)
        kind, data = client.append("INBOX", "", None, mail)
        assert kind == "NO" and b"[OVERQUOTA]" in data[0], data
        ok(client.noop())
        assert mailbox.count(client) == before


def test_many_commands_at_once(magpie: Magpie) -> None:
    """Of ten that make the same account, one does; none fails in any other way."""
    address = f"race{next(numbers)}@example.test"
    command = [str(BINARY), "account", "create", address, "--password", PASSWORD]
    processes = [
        subprocess.Popen(command, env=magpie.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(10)
    ]
    codes = sorted(process.wait(60) for process in processes)
    assert codes == [0] + [THERE_ALREADY] * 9


def test_commands_while_the_server_comes_and_goes(data: Path) -> None:
    """Each answers from the server or from the files, or says that it cannot; none spoils anything."""
    server = Magpie(data, users=0).start()
    try:
        made = 0
        for _ in range(4):
            process = subprocess.Popen(
                [str(BINARY), "domain", "create", f"d{made}.example"],
                env=server.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            server.stop()
            _, said = process.communicate(timeout=60)
            assert b"panicked" not in said, said
            if process.returncode == 0:
                made += 1
                assert server.cli_json("domain", "show", f"d{made - 1}.example")
            server.start()
        server.cli("verify")
        server.stop()
    except MagpieError:
        server.kill()
        raise
