"""The real `magpie` binary as a process that a test starts, talks to, kills and starts again."""

import contextlib
import imaplib
import json
import os
import poplib
import random
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("MAGPIE_BINARY", ROOT / "target" / "debug" / "magpie"))
DOMAIN = "example.test"
PASSWORD = "correct-horse-battery"

# Each port is the base plus the protocol's own; see `magpie dev --help`.
OFFSETS = {
    "lmtp": 24, "smtp": 25, "http": 80, "pop3": 110, "imap": 143, "https": 443, "submissions": 465,
    "submission": 587, "imaps": 993, "pop3s": 995, "managesieve": 4190,
}  # fmt: skip

# Below the range that the kernel hands to outgoing connections, so that none of those takes a port of ours.
PORT_BASES = range(10_000, 27_000, 10)


class MagpieError(AssertionError):
    """The process did not do what a test needs in order to go on; carries the end of its log."""


class Magpie:
    """One data directory, and the server that runs on it from `start` to `stop` or `kill`.

    `wrapper` is put before the command line (for example `eatmydata`), `options` behind it.
    """

    def __init__(self, data: Path, users: int = 2, wrapper: tuple[str, ...] = (), options: tuple[str, ...] = ()):
        self.data = data
        self.users = users
        self.wrapper = wrapper
        self.options = options
        self.log = data.parent / f"{data.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.base = 0

    # Life. ---------------------------------------------------------------------------------------------

    def start(self, timeout: float = 120) -> "Magpie":
        """Starts the server and waits for its line `ready`."""
        assert self.process is None, "already running"
        for _ in range(5):
            self.base = free_port_base()
            if self._try_to_start(timeout):
                return self
        raise MagpieError(f"five port bases in a row were taken\n{self.log_tail()}")

    def _try_to_start(self, timeout: float) -> bool:
        log = self.log.open("ab")
        begin = log.tell()
        self.process = subprocess.Popen(
            self._command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
        ready = threading.Event()
        threading.Thread(target=self._follow, args=(self.process, log, ready), daemon=True).start()
        deadline = time.monotonic() + timeout
        while not ready.wait(0.02):
            if self.process.poll() is not None:
                self.process = None
                if b"in use" in self.log.read_bytes()[begin:]:
                    return False
                raise MagpieError(f"the server ended instead of getting ready\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise MagpieError(f"the server was not ready after {timeout} s\n{self.log_tail()}")
        return True

    def _command(self) -> list[str]:
        return [*self.wrapper, str(BINARY), "dev", "--data", str(self.data), "--port-base", str(self.base),
                "--password", PASSWORD, "--users", str(self.users), *self.options]  # fmt: skip

    @staticmethod
    def _follow(process: subprocess.Popen[bytes], log, ready: threading.Event) -> None:
        """Copies the server's output into the log, and notices the line `ready`."""
        with log:
            for line in process.stdout:
                log.write(line)
                log.flush()
                if line.strip() == b"ready":
                    ready.set()

    def stop(self, timeout: float = 30) -> None:
        """Asks the server to end, as an operator would, and insists that it does so cleanly."""
        process, self.process = self.process, None
        assert process, "not running"
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise MagpieError(f"the server did not end within {timeout} s of SIGTERM\n{self.log_tail()}") from None
        if code != 0:
            raise MagpieError(f"the server ended with {code} after SIGTERM\n{self.log_tail()}")

    def kill(self) -> None:
        """SIGKILL: nothing gets the chance to tidy up."""
        process, self.process = self.process, None
        if process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def kill_while_starting(self, after: float) -> None:
        """Starts the server and kills it so many seconds later, ready or not."""
        assert self.process is None, "already running"
        self.base = free_port_base()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        time.sleep(after)
        self.kill()

    def pause(self) -> None:
        """Stops every thread of the server where it stands, and waits until the last one does."""
        assert self.process
        pause(self.process.pid)

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def memory(self) -> int:
        """Resident bytes of the server process."""
        assert self.process
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise MagpieError("the server has no resident memory: it is not running")

    def log_tail(self, lines: int = 40) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "--- end of the server's log\n" + "\n".join(text.splitlines()[-lines:])

    # Clients. ------------------------------------------------------------------------------------------

    def port(self, protocol: str) -> int:
        return self.base + OFFSETS[protocol]

    def smtp(self, protocol: str = "smtp", timeout: float = 60) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port(protocol), local_hostname="client.example.com", timeout=timeout)

    def deliver(self, address: str, *mails: bytes) -> None:
        """Sends mails to one address over one connection."""
        with self.smtp() as client:
            for mail in mails:
                client.sendmail("bob@example.com", [address], mail)

    def imap(self, user: str | None = None, timeout: float = 60) -> imaplib.IMAP4:
        """An IMAP connection; with a user, logged in."""
        client = imaplib.IMAP4("127.0.0.1", self.port("imap"), timeout=timeout)
        if user:
            client.login(user, PASSWORD)
        return client

    def imaps(self, user: str | None = None, timeout: float = 60) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL("127.0.0.1", self.port("imaps"), ssl_context=any_certificate(), timeout=timeout)
        if user:
            client.login(user, PASSWORD)
        return client

    def pop3(self, user: str | None = None, timeout: float = 60) -> poplib.POP3:
        """A POP3 connection; with a user, logged in."""
        return self._enter(poplib.POP3("127.0.0.1", self.port("pop3"), timeout=timeout), user)

    def pop3s(self, user: str | None = None, timeout: float = 60) -> poplib.POP3_SSL:
        client = poplib.POP3_SSL("127.0.0.1", self.port("pop3s"), context=any_certificate(), timeout=timeout)
        return self._enter(client, user)

    @staticmethod
    def _enter(client, user: str | None):
        if user:
            client.user(user)
            client.pass_(PASSWORD)
        return client

    # The command line. ---------------------------------------------------------------------------------

    def cli(self, *arguments: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Runs `magpie ARGUMENTS` on this data directory."""
        done = subprocess.run(
            [str(BINARY), *arguments], env=self.environment(), capture_output=True, text=True, timeout=timeout
        )
        if check and done.returncode != 0:
            raise MagpieError(
                f"magpie {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.log_tail()}"
            )
        return done

    def cli_json(self, *arguments: str):
        """Runs `magpie ARGUMENTS --json` and reads its answer."""
        done = self.cli(*arguments, "--json")
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError as error:
            raise MagpieError(
                f"magpie {' '.join(arguments)} --json printed no JSON ({error}):\n{done.stdout}"
            ) from error

    def environment(self) -> dict[str, str]:
        """The environment in which the command line finds this data directory."""
        return dict(os.environ, MAGPIE_DATA=str(self.data))


@contextlib.contextmanager
def running(data: Path, **options) -> Iterator[Magpie]:
    """A server for the length of a `with`: stopped cleanly where the test has not stopped it itself."""
    server = Magpie(data, **options).start()
    try:
        yield server
    except BaseException:
        server.kill()
        raise
    if server.process:
        server.stop()


def pause(pid: int) -> None:
    """Stops a process group. A thread inside a system call stops when the call returns: waits for that as well."""
    os.killpg(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 30
    while any(thread_state(task) != "T" for task in Path(f"/proc/{pid}/task").iterdir()):
        if time.monotonic() > deadline:
            raise MagpieError("a thread does not stop")
        time.sleep(0.005)


def thread_state(task: Path) -> str:
    try:
        return (task / "stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return "T"  # it has ended since


def free_port_base() -> int:
    """A base for which every port is free now."""
    generator = random.SystemRandom()
    for _ in range(1000):
        base = generator.choice(PORT_BASES)
        if all(is_free(base + offset) for offset in OFFSETS.values()):
            return base
    raise MagpieError("no free range of ports was found")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def any_certificate() -> ssl.SSLContext:
    """TLS with a server whose certificate it signed itself."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
