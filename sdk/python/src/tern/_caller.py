"""What the generated calls are made of: one word for each kind of answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from . import errors
from ._http import SLOW, Content, Http, Query
from .streams import Download, Events, Pages

_NONE: Query = {}


class Caller:
    """A hub, seen from one workspace."""

    def __init__(self, http: Http, workspace: str) -> None:
        self._http = http
        self._workspace = self._segment(workspace)
        self.workspace = workspace
        """What all calls that are about a workspace speak about."""

    @property
    def url(self) -> str:
        """The hub's address."""
        return self._http.base

    @staticmethod
    def _segment(value: str | int) -> str:
        """A value as one part of a path, whatever is in it."""
        text = quote(str(value), safe="")
        if text in ("", ".", ".."):
            raise ValueError(f"{value!r} names nothing")
        return text

    @classmethod
    def _rest(cls, value: str) -> str:
        """A value as the end of a path: parts with slashes between them."""
        return "/".join(cls._segment(part) for part in value.split("/"))

    def _limit(self, timeout: float | None, slow: bool) -> float | None:
        return max(SLOW, self._http.timeout) if timeout is None and slow else timeout

    def _json(self, method: str, path: str, *, query: Query = _NONE, body: Any = None, content: str | Content | None = None,
              kind: str | None = None, slow: bool = False, twice: bool = False, timeout: float | None = None) -> Any:
        return self._http.json(method, path, query, body, _encoded(content), kind, self._limit(timeout, slow), twice)[1]

    def _made(self, method: str, path: str, *, query: Query = _NONE, body: Any = None, content: Content | None = None,
              kind: str | None = None, slow: bool = False, twice: bool = False,
              timeout: float | None = None) -> tuple[Any, bool]:
        """What there is now, and whether it is new."""
        status, said = self._http.json(method, path, query, body, content, kind, self._limit(timeout, slow), twice)
        return said, status == 201

    def _tell(self, method: str, path: str, *, query: Query = _NONE, body: Any = None, timeout: float | None = None) -> None:
        self._http.text(method, path, query, body, None, None, timeout)

    def _text(self, method: str, path: str, *, query: Query = _NONE, body: Any = None, timeout: float | None = None) -> str:
        return self._http.text(method, path, query, body, None, None, timeout)[1].decode("utf-8")

    def _exists(self, method: str, path: str, *, query: Query = _NONE, timeout: float | None = None) -> bool:
        try:
            self._http.text(method, path, query, None, None, None, timeout)
        except errors.NotFound:
            return False
        return True

    def _pages(self, method: str, path: str, *, query: Mapping[str, Any], timeout: float | None = None) -> Pages[Any]:
        first = query.get("after")

        def fetch(after: str | None) -> Any:
            return self._json(method, path, query={**query, "after": after}, timeout=timeout)

        return Pages(fetch, None if first is None else str(first))

    def _list(self, method: str, path: str, *, query: Query = _NONE, body: Any = None, timeout: float | None = None) -> Pages[Any]:
        return Pages(lambda _: self._json(method, path, query=query, body=body, timeout=timeout))

    def _bytes(self, method: str, path: str, *, query: Query = _NONE, timeout: float | None = None) -> Download:
        return Download(self._http.ask(method, path, query, timeout=timeout, follow=True))

    def _events(self, method: str, path: str, *, query: Query = _NONE, timeout: float | None = None) -> Events[Any]:
        return Events(self._http.ask(method, path, query, timeout=timeout, follow=True))


def _encoded(content: str | Content | None) -> Content | None:
    return content.encode("utf-8") if isinstance(content, str) else content
