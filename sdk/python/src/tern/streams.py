"""Answers that go on: lists page by page, events as they happen, bytes as they come.

Must never break: none of them holds more than a page, an event or a piece; each ends its connection when it is done
with or closed.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from . import errors
from ._http import PIECE, Answer

T = TypeVar("T")

PAGES = 50_000
"""Pages of one list, at most: a hub that gives more goes round in circles."""

EVENT_BYTES = 16 * 1024 * 1024
"""One event, in bytes."""


class Pages(Generic[T]):
    """A long list, fetched page by page as it is asked for."""

    def __init__(self, fetch: Callable[[str | None], Any], after: str | None = None) -> None:
        self._fetch = fetch
        self._pages = self._all(after)
        self._here: list[T] = []

    def _all(self, after: str | None) -> Iterator[list[T]]:
        for _ in range(PAGES):
            page = self._fetch(after)
            yield cast("list[T]", page["items"])
            following = page.get("next")
            if following is None:
                return
            if following == after:
                break
            after = following
        raise errors.NotUnderstood("the list gives page after page without an end; the hub may be of another version")

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while not self._here:
            self._here = list(reversed(next(self._pages)))
        return self._here.pop()

    def all(self) -> list[T]:
        """What is left of it, at once."""
        return list(self)


class _Open:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def close(self) -> None:
        """Ends it; what has not come by now does not come."""
        self._answer.close()

    def __del__(self) -> None:
        self.close()


class Events(_Open, Generic[T]):
    """Server-sent events, as they happen. Use it with `with`, or close it."""

    def __enter__(self) -> Events[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Iterator[T]:
        data: list[str] = []
        size = 0
        try:
            while line := self._answer.response.readline(EVENT_BYTES + 1):
                size += len(line)
                if size > EVENT_BYTES:
                    raise errors.NotUnderstood(f"an event of more than {EVENT_BYTES} bytes")
                text = line.decode("utf-8").rstrip("\r\n")
                if text.startswith("data:"):
                    data.append(text[5:].removeprefix(" "))
                elif not text:
                    if data:
                        yield cast(T, json.loads("\n".join(data)))
                    data, size = [], 0
        except TimeoutError as err:
            raise errors.Slow("nothing was heard for longer than the time limit") from err
        except (OSError, http.client.HTTPException) as err:
            raise errors.Unreachable("the stream of events broke; begin another") from err


class Download(_Open):
    """Bytes as they come. Use it with `with`, or close it."""

    def __enter__(self) -> Download:
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def length(self) -> int | None:
        """How many bytes there are, if the hub says."""
        told = self._answer.header("content-length")
        return int(told) if told and told.isdecimal() else None

    def __iter__(self) -> Iterator[bytes]:
        try:
            while piece := self._answer.read(PIECE):
                yield piece
        except TimeoutError as err:
            raise errors.Slow("the download stalled; begin again") from err
        except (OSError, http.client.HTTPException) as err:
            raise errors.Unreachable("the download broke; begin again") from err

    def read(self) -> bytes:
        """All that is left."""
        return b"".join(self)

    def save(self, path: str | Path) -> int:
        """Writes all that is left to a file; how many bytes that were."""
        written = 0
        with open(path, "wb") as file:
            for piece in self:
                written += file.write(piece)
        return written
