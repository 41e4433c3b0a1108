"""Requests and answers over the standard library's HTTP: time limits, what is tried again, what a failure is.

Called by `_caller` alone. Must never break:

- a token goes to the hub that it is for and is in no text; plain HTTP leaves this machine never;
- only what may be said twice is said twice: a request that changes something is tried again only if it cannot have
  arrived, or if the hub itself turned it away unread (429).
"""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import select
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import IO, TYPE_CHECKING, Any, Union, cast
from urllib.parse import urlencode, urlsplit

from . import errors

if TYPE_CHECKING:
    from .api import types as t

Content = Union[bytes, IO[bytes]]
"""Bytes to send. A file is sent as it is read, from where it stands to its end; it has to be one that can be rewound."""

Query = Mapping[str, "str | int | float | bool | None"]

CONNECT = 5.0
"""Seconds for connecting. A hub that is there accepts within milliseconds."""

ANSWER = 60.0
"""Seconds for an answer that needs only the hub's database."""

SLOW = 300.0
"""Seconds for an answer for which a model is loaded, run and measured. The hub's own limit is shorter."""

RETRIES = 3
"""How often a request is made again that may be."""

LONGEST_WAIT = 30.0
"""Seconds between two tries, at most, also if the hub asks for more."""

PROBLEM_BYTES = 1024 * 1024
"""A refusal, in bytes."""

PIECE = 256 * 1024
"""Bytes sent or read at once."""

_SAFE = {"GET", "HEAD", "PUT", "DELETE"}
"""What HTTP promises to be the same once and twice. All PUTs of this API are of that kind."""


@dataclass(frozen=True)
class Target:
    """A hub, and as whom it is asked. The token is in no `repr`."""

    url: str
    token: str | None = None
    ca: str | None = None
    """Authorities that vouch for the hub, as PEM; those that this machine trusts, if there is none."""

    def __repr__(self) -> str:
        return f"Target({self.url!r})"


def address(written: str) -> str:
    """`https://HOST:PORT` of what people write."""
    bare = written.strip().rstrip("/")
    scheme, separator, rest = bare.rpartition("://")
    if not separator:
        scheme = ""
    host = rest.rsplit("@", 1)[-1]
    if scheme not in ("", "http", "https") or not rest or "/" in rest or "@" in rest or "?" in rest \
            or " " in rest or rest.endswith(":"):
        raise errors.NoHub(f"`{written}` is not a hub's address; give one as https://HOST:PORT")
    local = _is_local(host)
    if scheme == "http" and not local:
        raise errors.NoHub(
            f"`{written}`: http:// goes to this machine only, others could read along; use https://")
    try:
        parts = urlsplit(f"http://{rest}")
        if not parts.hostname or (parts.port is not None and parts.port == 0):
            raise ValueError
    except ValueError:
        raise errors.NoHub(f"`{written}` is not a hub's address; give one as https://HOST:PORT") from None
    return f"{scheme or ('http' if local else 'https')}://{rest}"


def _is_local(authority: str) -> bool:
    host = authority.rsplit("]", 1)[0].lstrip("[") if authority.startswith("[") else authority.rsplit(":", 1)[0]
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Answer:
    """The beginning of an answer; its body is read by whoever asked."""

    def __init__(self, response: http.client.HTTPResponse, connection: http.client.HTTPConnection | None) -> None:
        self.response = response
        self.status = response.status
        self._connection = connection

    def header(self, name: str) -> str | None:
        return self.response.getheader(name)

    def read(self, size: int | None = None) -> bytes:
        return self.response.read() if size is None else self.response.read(size)

    def json(self) -> Any:
        body = self.read()
        try:
            return json.loads(body)
        except ValueError as err:
            raise errors.NotUnderstood(
                f"the hub answered {self.status} with what is no JSON ({err}); is it a tern-hub of this version?"
            ) from None

    def close(self) -> None:
        """Ends the answer. One that was not read to its end takes its connection with it."""
        self.response.close()
        if self._connection is not None:
            self._connection.close()


class Http:
    """Asks one hub. May be shared by threads: each has a connection of its own, which is kept open."""

    def __init__(self, target: Target, *, timeout: float = ANSWER, retries: int = RETRIES) -> None:
        self.base = address(target.url)
        self.timeout = timeout
        self.retries = retries
        self._token = target.token.strip() if target.token else None
        parts = urlsplit(self.base)
        self._host, self._port = parts.hostname or "", parts.port
        self._tls = _tls(target.ca) if parts.scheme == "https" else None
        self._own = threading.local()

    def __repr__(self) -> str:
        return f"Http({self.base!r})"

    def json(self, method: str, path: str, query: Query, body: Any, content: Content | None, kind: str | None,
             timeout: float | None, twice: bool = False) -> tuple[int, Any]:
        """Asks and reads the answer as JSON. `twice`: it may be said again although it is a POST."""
        answer = self.ask(method, path, query, body, content, kind, timeout=timeout, twice=twice)
        return answer.status, self._read(answer, answer.json)

    def text(self, method: str, path: str, query: Query, body: Any, content: Content | None, kind: str | None,
             timeout: float | None) -> tuple[int, bytes]:
        """Asks and reads the answer as it is."""
        answer = self.ask(method, path, query, body, content, kind, timeout=timeout)
        return answer.status, cast(bytes, self._read(answer, answer.read))

    def _read(self, answer: Answer, read: Any) -> Any:
        try:
            return read()
        except (OSError, http.client.HTTPException) as err:
            self._forget()
            raise self._failure(err) from err

    def ask(self, method: str, path: str, query: Query, body: Any = None, content: Content | None = None,
            kind: str | None = None, *, timeout: float | None = None, follow: bool = False,
            twice: bool = False) -> Answer:
        """Asks until there is an answer or no sense in asking again. What the hub refuses is raised.

        With `follow` the answer has a connection of its own and may go on for as long as it likes.
        """
        if body is not None:
            content, kind = json.dumps(body, allow_nan=False).encode(), "application/json"
        begin = None if content is None or isinstance(content, bytes) else content.tell()
        told = {name: _word(value) for name, value in query.items() if value is not None}
        where = f"{path}?{urlencode(told)}" if told else path
        safe = twice or method in _SAFE
        tries = 0
        while True:
            failure: errors.TernError
            try:
                return self._once(method, where, content, kind, timeout or self.timeout, follow)
            except errors.Busy as err:
                again = safe or err.status == 429
                wait, failure = err.retry_after, err
            except errors.Unreachable as err:
                again = safe or isinstance(err, _NotSent)
                wait, failure = None, err
            if not again or tries >= self.retries:
                raise failure
            time.sleep(min(LONGEST_WAIT, wait if wait is not None else random.uniform(0.5, 1.0) * 0.2 * 2**tries))
            tries += 1
            if begin is not None:
                cast("IO[bytes]", content).seek(begin)

    def _once(self, method: str, where: str, content: Content | None, kind: str | None, timeout: float,
              follow: bool) -> Answer:
        connection = self._connection(follow)
        try:
            response = self._send(connection, method, where, content, kind, timeout)
        except (OSError, http.client.HTTPException, errors.TernError) as err:
            self._forget()
            connection.close()
            raise self._failure(err) from err
        answer = Answer(response, connection if follow else None)
        if 200 <= answer.status < 300:
            return answer
        raise self._refusal(method, answer)

    def _send(self, connection: http.client.HTTPConnection, method: str, where: str, content: Content | None,
              kind: str | None, timeout: float) -> http.client.HTTPResponse:
        headers = {"User-Agent": "tern-python", "Accept": "application/json, */*;q=0.5"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if kind:
            headers["Content-Type"] = kind
        length = _length(content)
        if content is not None or method in ("POST", "PUT"):
            headers["Content-Length"] = str(length)
        if connection.sock is None:
            try:
                connection.timeout = min(CONNECT, timeout)
                connection.connect()
            except ssl.SSLError:
                raise
            except OSError as err:
                raise _NotSent(self._nobody(err)) from err
        cast(socket.socket, connection.sock).settimeout(timeout)
        broken: OSError | None = None
        try:
            connection.putrequest(method, where, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            _pour(connection, content)
        except (BrokenPipeError, ConnectionResetError) as err:
            # The hub may have refused before all was sent: what it said is read first.
            broken = err
        try:
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as err:
            raise broken or err from err

    def _connection(self, follow: bool) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = None if follow else getattr(self._own, "connection", None)
        if kept is not None and kept.sock is not None and not _ended(kept.sock):
            return kept
        made = self._new()
        if not follow:
            self._forget()
            self._own.connection = made
        return made

    def _new(self) -> http.client.HTTPConnection:
        proxy = None if _is_local(self._host) else _proxy(self._tls is not None, self._host)
        host, port = proxy or (self._host, self._port)
        if self._tls is None:
            return http.client.HTTPConnection(host, port)
        made = http.client.HTTPSConnection(host, port, context=self._tls)
        if proxy:
            made.set_tunnel(self._host, self._port)
        return made

    def _forget(self) -> None:
        kept: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if kept is not None:
            kept.close()
            self._own.connection = None

    def close(self) -> None:
        """Closes this thread's connection; the next request opens another."""
        self._forget()

    def _refusal(self, method: str, answer: Answer) -> errors.TernError:
        try:
            body = b"" if method == "HEAD" else answer.read(PROBLEM_BYTES)
        except (OSError, http.client.HTTPException):
            body = b""
        if not answer.response.isclosed() or answer.response.will_close:
            answer.close()
            self._forget()
        after = answer.header("retry-after")
        retry_after = float(after) if after and after.isdecimal() else None
        try:
            said = json.loads(body)
            if isinstance(said, dict) and {"type", "title", "status", "detail"} <= said.keys():
                return errors.problem(cast("t.Problem", said), retry_after)
        except ValueError:
            pass
        if method == "HEAD" and answer.status in (401, 403, 404):
            return errors.problem({"type": "about:blank", "title": answer.response.reason, "status": answer.status,
                                   "detail": ""})
        if answer.status in (502, 503, 504):
            # What a proxy says of a hub that is away.
            return errors.Unreachable(f"{self.base} is away ({answer.status}); try again later")
        first = " ".join(body[:200].decode("utf-8", "replace").split())[:80] or "no text"
        return errors.NotUnderstood(
            f"{self.base} answered {answer.status} with something that is not this API's ({first}); is it a tern-hub of "
            "this version?")

    def _failure(self, err: BaseException) -> errors.TernError:
        if isinstance(err, errors.TernError):
            return err
        if isinstance(err, ssl.SSLError) and not isinstance(err, ssl.SSLEOFError):
            return errors.NotTrusted(
                f"nobody that we trust vouches for {self.base} ({err.reason or err}); if it has an authority of its own, "
                "give its certificates: `tern ca export` writes them, `tern.connect(ca=…)` takes them")
        if isinstance(err, TimeoutError):
            return errors.Slow(f"{self.base} did not answer in time; it may be busy: look at its log, or try again")
        return errors.Unreachable(f"the connection to {self.base} broke ({type(err).__name__}); try again")

    def _nobody(self, err: OSError) -> str:
        return f"no hub answers at {self.base} ({err.strerror or err}); is it running?"


class _NotSent(errors.Unreachable):
    """Nothing of the request can have arrived."""


def _ended(sock: socket.socket) -> bool:
    """Whether the hub closed a connection that was idle. What is there to be read before anything was asked is the
    end, or nothing that we could use."""
    try:
        return bool(select.select([sock], [], [], 0)[0])
    except (OSError, ValueError):
        return True


def _tls(ca: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError):
        raise errors.NotTrusted(
            "what was given as the hub's authorities holds no certificate as PEM; `tern ca export` writes one") from None
    # The hub speaks nothing older.
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _proxy(secured: bool, host: str) -> tuple[str, int | None] | None:
    """The proxy of the environment, for the world outside."""
    found = urllib.request.getproxies().get("https" if secured else "http")
    if not found or urllib.request.proxy_bypass(host):
        return None
    parts = urlsplit(found if "://" in found else f"http://{found}")
    return (parts.hostname, parts.port) if parts.hostname else None


def _length(content: Content | None) -> int:
    if content is None:
        return 0
    if isinstance(content, bytes):
        return len(content)
    here = content.tell()
    end = content.seek(0, os.SEEK_END)
    content.seek(here)
    return end - here


def _pour(connection: http.client.HTTPConnection, content: Content | None) -> None:
    if content is None:
        return
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    while piece := source.read(PIECE):
        connection.send(piece)


def _word(value: str | int | float | bool) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
