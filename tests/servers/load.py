"""A bounded load on the chat example: threads with a browser each, which count what was acknowledged to them."""

from __future__ import annotations

import http.client
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any, NamedTuple

#: What a request is, and how often in a hundred.
MIX = {"post": 45, "answer": 10, "messages": 20, "talks": 12, "usage": 5, "page": 6, "health": 2}
_RETRIES_SECONDS = 20.0
NAME = re.compile(r"project-\d+")  # the projects under load are called so, and nothing else is


class Account(NamedTuple):
    """Somebody who is signed in, with one conversation."""

    project: str
    cookie: str
    token: str
    talk: str


class Report:
    """What a load came to; threads add to it.

    :ivar stored: for each project the texts whose storing was acknowledged.
    :ivar finished: for each project the number of answers that came to their end.
    :ivar refused: answers with a status of 400 or more, by status.
    :ivar broken: connections that ended without an answer.
    :ivar wrong: what should never be seen, in words.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.stored: dict[str, set[str]] = {}
        self.finished: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self.broken = 0
        self.wrong: list[str] = []
        self.latencies: list[float] = []
        self.seconds = 0.0

    def answered(self, status: int, seconds: float) -> None:
        """Count an answer."""
        with self._lock:
            self.requests += 1
            self.latencies.append(seconds)
            if status >= 400:
                self.refused[status] += 1

    def acknowledged(self, project: str, text: str) -> None:
        """Note a message that must be there from now on."""
        with self._lock:
            self.stored.setdefault(project, set()).add(text)

    def ended(self, project: str) -> None:
        """Count an answer that came to its end."""
        with self._lock:
            self.finished[project] += 1

    def lost(self) -> None:
        """Count a connection that ended without an answer."""
        with self._lock:
            self.requests += 1
            self.broken += 1

    def complain(self, text: str) -> None:
        """Note what should never be seen."""
        with self._lock:
            self.wrong.append(text)

    def percentile(self, percent: float) -> float:
        """Return the time below which so many answers came, in milliseconds."""
        ordered = sorted(self.latencies) or [0.0]
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    def __str__(self) -> str:
        stored = sum(map(len, self.stored.values()))
        return (
            f"{self.requests} requests in {self.seconds:.1f} s ({self.requests / max(self.seconds, 0.001):.0f}/s),"
            f" p50 {self.percentile(50):.1f} ms, p99 {self.percentile(99):.1f} ms, {stored} messages acknowledged,"
            f" {self.finished.total()} answers finished, refused {dict(self.refused)}, {self.broken} connections broken"
        )


class Browser:
    """One connection that is kept alive, used by one thread for one account after the other."""

    def __init__(self, port: int, report: Report) -> None:
        self._port, self._report = port, report
        self._connection: HTTPConnection | None = None

    def ask(self, account: Account, method: str, path: str, body: Any = None) -> tuple[int, bytes] | None:
        """Send a request and return status and body, or ``None`` where the connection broke."""
        headers = {"Cookie": f"chat_session={account.cookie}", "X-CSRF-Token": account.token}
        if body is not None:
            headers["Content-Type"] = "application/json"
        start = time.perf_counter()
        try:
            if self._connection is None:
                self._connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
            self._connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self._connection.getresponse()
            found = answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            self._report.lost()
            return None
        self._report.answered(found[0], time.perf_counter() - start)
        return found

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Client(threading.Thread):
    """One thread of the load.

    :param take: says whether there is one more request to make.
    """

    def __init__(
        self, number: int, port: int, accounts: list[Account], report: Report, take: Callable[[], bool]
    ) -> None:
        super().__init__(name=f"client-{number}")
        self._number, self._accounts, self._report, self._take = number, accounts, report, take
        self._browser = Browser(port, report)
        self._random = random.Random(number)
        self._sent = 0

    def run(self) -> None:
        """Make requests until there are enough."""
        kinds, weights = list(MIX), list(MIX.values())
        try:
            while self._take():
                account = self._random.choice(self._accounts)
                (kind,) = self._random.choices(kinds, weights)
                getattr(self, f"_{kind}")(account)
        finally:
            self._browser.close()

    def _get(self, account: Account, path: str) -> Any:
        found = self._browser.ask(account, "GET", f"/p/{account.project}/api{path}")
        return json.loads(found[1]) if found is not None and found[0] == 200 else None

    def _post(self, account: Account) -> None:
        self._sent += 1
        text = f"{account.project} {self._number}.{self._sent} says hello"
        body = {"content": text, "external_id": f"{self._number}.{self._sent}"}
        path = f"/p/{account.project}/api/talks/{account.talk}/messages"
        deadline = time.monotonic() + _RETRIES_SECONDS
        while time.monotonic() < deadline:
            found = self._browser.ask(account, "POST", path, body)
            if found is not None:
                break
            time.sleep(0.02)  # a killed worker: the same message again, with the same external id
        else:
            self._report.complain(f"no answer for {_RETRIES_SECONDS:.0f} s")
            return
        if found[0] == 201:
            self._report.acknowledged(account.project, text)

    def _answer(self, account: Account) -> None:
        found = self._browser.ask(account, "POST", f"/p/{account.project}/api/talks/{account.talk}/answer", {})
        if found is None or found[0] != 200:
            return
        if b"event: done\n" not in found[1]:
            self._report.complain(f"an answer without an end: {found[1][-200:]!r}")
            return
        self._check(account, found[1].decode())
        self._report.ended(account.project)

    def _messages(self, account: Account) -> None:
        found = self._get(account, f"/talks/{account.talk}/messages?after={self._random.randrange(20)}")
        if found is not None:
            self._check(account, json.dumps([message["content"] for message in found["messages"]]))

    def _talks(self, account: Account) -> None:
        found = self._get(account, "/talks")
        if found is not None and [talk["id"] for talk in found["talks"]] != [account.talk]:
            self._report.complain(f"{account.project} has other conversations: {found}")

    def _usage(self, account: Account) -> None:
        self._get(account, "/usage")

    def _page(self, account: Account) -> None:
        found = self._browser.ask(account, "GET", f"/p/{account.project}/talks/{account.talk}")
        if found is not None and found[0] == 200:
            self._check(account, found[1].decode())

    def _health(self, account: Account) -> None:
        self._browser.ask(account, "GET", "/health")

    def _check(self, account: Account, text: str) -> None:
        """Every content says which project it is from."""
        others = set(NAME.findall(text)) - {account.project}
        if others:
            self._report.complain(f"{account.project} shows content of {others}")


def sign_in(port: int, project: str) -> Account:
    """Sign a new user in and make a conversation."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    cookies: dict[str, str] = {}
    base = f"/p/{project}/api"

    def ask(method: str, path: str, body: Any = None, token: str = "") -> Any:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), "X-CSRF-Token": token}
        sent = None if body is None else json.dumps(body)
        connection.request(method, base + path, sent, {**headers, "Content-Type": "application/json"})
        answer = connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            cookies[name] = value
        text = answer.read()
        assert answer.status < 300, (answer.status, text)
        return json.loads(text) if text else None

    try:
        token = ask("GET", "/me")["csrf_token"]
        ask("POST", "/sign-in", {"email": f"user@{project}.example"}, token)
        token = ask("GET", "/me")["csrf_token"]
        talk = ask("POST", "/talks", {}, token)["id"]
    finally:
        connection.close()
    return Account(project, cookies["chat_session"], token, talk)


def run(
    port: int,
    accounts: list[Account],
    *,
    clients: int = 12,
    requests: int | None = None,
    seconds: float | None = None,
) -> Report:
    """Put a load on the server until so many *requests* are made, or so many *seconds* are over."""
    report, lock = Report(), threading.Lock()
    left = [requests if requests is not None else 10**12]
    start = time.monotonic()

    def take() -> bool:
        with lock:
            left[0] -= 1
            return left[0] >= 0 and (seconds is None or time.monotonic() - start < seconds)

    threads = [Client(number, port, accounts, report, take) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report.seconds = time.monotonic() - start
    return report
