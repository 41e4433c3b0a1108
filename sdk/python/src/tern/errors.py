"""What goes wrong, as exceptions whose text says what a person can do.

Raised by every call. What the hub refused is a `Problem` with the hub's own words; all else is about the way to it.

Must never break: no token is in a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import types as t


class TernError(Exception):
    """Anything that this package raises about a hub, a dataset or a package."""


class NoHub(TernError):
    """Nobody said where the hub is, or what was said cannot be an address."""


class Unreachable(TernError):
    """Nothing listens there, or the connection broke."""


class Slow(TernError):
    """The hub did not answer in time."""


class NotTrusted(TernError):
    """Nobody that we trust vouches for whoever answers there."""


class NotUnderstood(TernError):
    """Something answered that does not speak this API."""


class TimeUp(TernError):
    """What was waited for did not come in time."""


class BadPackage(TernError):
    """A directory or an array that no package can be made of."""


class BadDataset(TernError):
    """A directory that holds no dataset version, or a damaged one."""


class Problem(TernError):
    """The hub said no, in its own words (`application/problem+json`)."""

    def __init__(self, problem: t.Problem, retry_after: float | None = None) -> None:
        self.problem = problem
        self.retry_after = retry_after
        """Seconds after which the hub may be asked again, if it said so."""
        super().__init__(self._text())

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem["status"]

    @property
    def kind(self) -> str:
        """Names the kind of problem, for programs: `urn:tern:problem:not-vetted`."""
        return self.problem["type"]

    @property
    def findings(self) -> Sequence[t.Finding]:
        """Single findings, where there are several: what vetting found, say."""
        return self.problem.get("findings", [])

    def _text(self) -> str:
        said = self.problem["detail"] or self.problem["title"] or f"the hub refused ({self.problem['status']})"
        told = [f"{one['subject']}: {one['message']}; {one['remedy']}" for one in self.findings]
        return "\n  - ".join([said, *told])


class BadRequest(Problem):
    """400: not a request of this API."""


class LogIn(Problem):
    """401: the hub does not know who asks, or no longer takes the token."""

    def _text(self) -> str:
        return f"{super()._text().rstrip('.')}; log in again with `tern login`, or give another token"


class Forbidden(Problem):
    """403: known, and not allowed."""


class NotFound(Problem):
    """404: there is no such thing."""


class Conflict(Problem):
    """409: it cannot be done as things stand."""


class Refused(Problem):
    """422: understood, and refused: `findings` say why."""


class Busy(Problem):
    """429 or 503: later, perhaps."""


_BY_STATUS: dict[int, type[Problem]] = {
    400: BadRequest,
    401: LogIn,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Refused,
    429: Busy,
    503: Busy,
}


def problem(said: t.Problem, retry_after: float | None = None) -> Problem:
    """The exception for what the hub said."""
    return _BY_STATUS.get(said["status"], Problem)(said, retry_after)
