"""The rows of the comparison: what each server is made to do, and what Magpie aims at."""

from collections.abc import Callable
from dataclasses import dataclass, field

MAGPIE = "Magpie"
DOVECOT = "Dovecot"
DURABLE_DOVECOT = "Dovecot, mail_fsync=always"
POSTFIX = "Postfix"
CYRUS = "Cyrus"
PAIR = "Postfix and Dovecot in a row"

# The accounts: one has a large mailbox, eight have small ones, and many are written to.
READER = 1
VISITORS = range(2, 10)
RECIPIENTS = range(10, 110)
IDLERS = range(110, 160)
WAITER = 160
ACCOUNTS = 160
# The accounts of the servers that send.
SENDERS = 20

# The accounts of the servers that speak JMAP: one for each number of emails, and those whose clients wait.
WEBMAIL = {1_000: 1, 100_000: 2, 1_000_000: 3}
LISTENERS = range(10, 260)

MESSAGES = 10_000
SMALL = 500
# A word that few messages have.
RARE = "xylographer"


@dataclass(frozen=True)
class Aim:
    """What a figure of Magpie's should come to: so many times a peer's, or an absolute value."""

    figure: str  # rate, p50_ms, p99_ms, cpu_ms, syncs, memory_kib
    least: float | None = None
    most: float | None = None
    of: str | None = None

    def __str__(self) -> str:
        bound = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"
        name, unit = FIGURES[self.figure]
        return f"{name} {bound}" + (f" times {self.of}" if self.of else f" {unit}".rstrip())

    def verdict(self, figures: dict[str, dict]) -> tuple[float, bool] | None:
        """What it came to, and whether that is enough; None where it was not measured."""
        own = figures.get(MAGPIE, {}).get(self.figure)
        peer = figures.get(self.of, {}).get(self.figure) if self.of else 1
        if own is None or not peer:
            return None
        came_to = own / peer
        return came_to, (came_to >= self.least if self.least is not None else came_to <= self.most)


FIGURES = {
    "rate": ("rate", "/s"),
    "p50_ms": ("time", "ms"),
    "p99_ms": ("p99", "ms"),
    "cpu_ms": ("CPU", "ms"),
    "syncs": ("syncs", ""),
    "mb_s": ("speed", "MB/s"),
    "memory_kib": ("memory", "KiB"),
    "rate_kept": ("rate for others, of that without", ""),
}


@dataclass(frozen=True)
class Row:
    """One kind of work, and who does it. `load` makes the arguments of the load generator for a server."""

    key: str
    title: str
    unit: str
    subjects: tuple[str, ...]
    load: Callable[[dict[str, int]], list[str]]
    aims: tuple[Aim, ...]
    # Work that changes nothing makes no sync; work that takes seconds is not measured by its rate.
    writes: bool = False
    # The pair is through when the queue between them is empty, so its work is counted and not timed.
    pair_count: int = 0
    shows: tuple[str, ...] = ("rate", "p50_ms", "p99_ms")
    protocol: str = "imap"
    longest: float = field(default=60)
    # Mail that goes on to smtp-sink: done when the sink has it all.
    relays: bool = False
    # Requests of JMAP on an account of so many emails.
    emails: int = 0
    # What is done instead while it is counted what the work costs in the store, where that would count something else as well.
    counts: Callable[[dict[str, int]], list[str]] | None = None


def common(port: int, connections: int, accounts: range) -> list[str]:
    return ["--address", f"127.0.0.1:{port}", "--connections", str(connections),
            "--user", str(accounts.start), "--users", str(len(accounts))]  # fmt: skip


def deliver(connections: int, *message: str) -> Callable[[dict[str, int]], list[str]]:
    def load(ports: dict[str, int]) -> list[str]:
        # Whoever speaks SMTP gets it, and the others LMTP.
        protocol = "smtp" if "smtp" in ports else "lmtp"
        return ["deliver", "--protocol", protocol, *message, *common(ports[protocol], connections, RECIPIENTS)]

    return load


def imap(work: str, *options: str, connections: int = 1, accounts: range = range(READER, READER + 1)):
    def load(ports: dict[str, int]) -> list[str]:
        return [work, *options, *common(ports["imap"], connections, accounts)]

    return load


def pop3(ports: dict[str, int]) -> list[str]:
    return ["pop3", *common(ports["pop3"], len(VISITORS), VISITORS)]


def submit(connections: int, domain: str):
    def load(ports: dict[str, int]) -> list[str]:
        return ["submit", "--to", domain, *common(ports["submission"], connections, range(1, SENDERS + 1))]

    return load


def news(ports: dict[str, int]) -> list[str]:
    return ["news", "--lmtp", f"127.0.0.1:{ports['lmtp']}", *common(ports["imap"], 1, range(WAITER, WAITER + 1))]


def jmap(asked: str, emails: int, connections: int = 1):
    def load(ports: dict[str, int]) -> list[str]:
        account = WEBMAIL[emails]
        return ["jmap", "--asked", asked, *common(ports["http"], connections, range(account, account + 1))]

    return load


PAGE = "first page by JMAP (50 threads), {:,} emails, {}"


def short(emails: int) -> str:
    return f"{emails // 1_000_000}m" if emails >= 1_000_000 else f"{emails // 1_000}k"


def page(emails: int, connections: int, *aims: Aim) -> Row:
    """The first page of an account's inbox: how long it takes, and how many the server makes."""
    number = f"{connections} connection{'s' if connections > 1 else ''}"
    return Row(
        f"jmap-page-{short(emails)}-{connections}", PAGE.format(emails, number), "page", (MAGPIE, CYRUS),
        jmap("page", emails, connections), aims, emails=emails, protocol="http",
    )  # fmt: skip


def changes(emails: int) -> Row:
    """What has changed after one change."""
    return Row(
        f"jmap-changes-{short(emails)}", f"Email/changes after one change, {emails:,} emails", "call", (MAGPIE, CYRUS),
        jmap("changes", emails), (), emails=emails, protocol="http", shows=("p50_ms", "p99_ms"),
        counts=jmap("changed", emails),
    )  # fmt: skip


ROWS = [
    Row(
        "deliver-10k", "durable delivery of 10 KB, 20 connections", "message",
        (MAGPIE, POSTFIX, DOVECOT, PAIR), deliver(20, "--size", "10000"),
        (Aim("rate", least=10, of=PAIR), Aim("cpu_ms", most=0.4), Aim("syncs", most=0.2)),
        writes=True, pair_count=400,
    ),
    Row(
        "deliver-100k", "durable delivery of 100 KB, most of it an attachment, 50 connections", "message",
        (MAGPIE, POSTFIX, DOVECOT, PAIR), deliver(50, "--size", "100000", "--kind", "attachment"),
        (Aim("rate", least=5, of=PAIR),),
        writes=True, pair_count=300,
    ),
    Row(
        "login", "connect, LOGIN, SELECT, LOGOUT, 8 clients", "session",
        (MAGPIE, DOVECOT), imap("login", connections=8, accounts=VISITORS),
        (Aim("rate", least=10, of=DOVECOT),),
    ),
    Row(
        "fetch-envelope", "FETCH 1:* (FLAGS UID RFC822.SIZE ENVELOPE), 10,000 messages", "command",
        (MAGPIE, DOVECOT), imap("fetch", "--items", "(FLAGS UID RFC822.SIZE ENVELOPE)"),
        (Aim("p50_ms", most=0.25, of=DOVECOT),),
    ),
    Row(
        "fetch-flags", "FETCH 1:* (UID FLAGS), 10,000 messages", "command",
        (MAGPIE, DOVECOT), imap("fetch", "--items", "(UID FLAGS)"),
        (Aim("p50_ms", most=0.5, of=DOVECOT),),
    ),
    Row(
        "fetch-bodies", "all bodies of 10,000 messages (95 MB)", "command",
        (MAGPIE, DOVECOT), imap("fetch", "--items", "(BODY.PEEK[])"),
        (Aim("mb_s", least=3, of=DOVECOT),),
        shows=("mb_s", "p50_ms"),
    ),
    Row(
        "append-1", "APPEND of 10 KB, 1 connection", "message",
        (MAGPIE, DOVECOT), imap("append", accounts=range(RECIPIENTS.start, RECIPIENTS.start + 1)),
        (Aim("rate", least=2, of=DOVECOT),), writes=True,
    ),
    Row(
        "append-20", "APPEND of 10 KB, 20 connections", "message",
        (MAGPIE, DOVECOT), imap("append", connections=20, accounts=RECIPIENTS),
        (Aim("rate", least=4, of=DOVECOT),), writes=True,
    ),
    Row(
        "store-one", "STORE of one flag, 1 connection", "command",
        (MAGPIE, DURABLE_DOVECOT, DOVECOT), imap("store"),
        (Aim("rate", least=1, of=DURABLE_DOVECOT),), writes=True,
    ),
    Row(
        "store-all", "STORE 1:* of one flag, 10,000 messages", "command",
        (MAGPIE, DURABLE_DOVECOT, DOVECOT), imap("store", "--all"),
        (Aim("p50_ms", most=100),), writes=True,
    ),
    Row(
        "search", "SEARCH TEXT of a rare word, 10,000 messages", "command",
        (MAGPIE, DOVECOT), imap("search", "--word", RARE),
        (Aim("p50_ms", most=1 / 3, of=DOVECOT),),
    ),
    Row(
        "news", "new mail to a client in IDLE, from the 250 to EXISTS", "message",
        (MAGPIE, DOVECOT), news,
        (Aim("p99_ms", most=10),), shows=("p50_ms", "p99_ms"),
    ),
    Row(
        "pop3", "POP3 RETR of 10 KB, 8 connections", "message",
        (MAGPIE, DOVECOT), pop3,
        (Aim("rate", least=3, of=DOVECOT),), protocol="pop3",
    ),
    Row(
        "relay", "through the queue to smtp-sink, 10 KB, submitted over 20 connections", "message",
        (MAGPIE, POSTFIX), submit(20, "alive.example"),
        (Aim("rate", least=2, of=POSTFIX),),
        writes=True, pair_count=400, shows=("rate",), relays=True,
    ),
    page(1_000, 1),
    page(100_000, 1),
    page(1_000_000, 1, Aim("p50_ms", most=5)),
    page(1_000, 4),
    page(100_000, 4, Aim("rate", least=20, of=CYRUS)),
    page(1_000_000, 4),
    *(changes(emails) for emails in WEBMAIL),
    Row(
        "jmap-flags", "Email/set of one flag of 10,000 of 100,000 emails", "request", (MAGPIE, CYRUS),
        jmap("flags", 100_000), (), writes=True, emails=100_000, protocol="http",
    ),
    Row(
        "jmap-emails", "Email/get of what a list shows, 10,000 of 100,000 emails", "10,000 emails", (MAGPIE, CYRUS),
        jmap("emails", 100_000), (), emails=100_000, protocol="http", shows=("mb_s", "p50_ms"),
    ),
]  # fmt: skip

# What waits for a server that is down: what it takes, and what it does to mail for others.
BACKLOG = 100_000
# Seconds until it is measured once more what it costs that so much waits.
BACKLOG_REST = 30
BACKLOG_TITLE = "{:,} messages wait for a server that is down"
BACKLOG_AIM = Aim("rate_kept", least=0.9)

# Not a rate but a state: how much memory sessions take that do nothing.
IDLE_SESSIONS = (1_000, 5_000)
IDLE_TITLE = "an IDLE session's memory, {:,} of them"
IDLE_AIM = Aim("memory_kib", most=16)

# Clients that wait to be told of new mail, and how they are told.
PUSH = {"event-source": "EventSource", "websocket": "WebSocket", "long-poll": "long poll", "idle": "IDLE"}
# One, and so many: 20 to an account, as many as a user may have.
PUSH_CLIENTS = 5_000
PUSH_TITLE = "new mail to {:,} clients by {}"
