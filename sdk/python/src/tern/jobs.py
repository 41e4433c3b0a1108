"""Jobs: a command with an environment, data and limits, run where the hub says.

Must never break: a folder is sent as it is, and the same folder is the same archive.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import errors
from .api import types as t
from .api.calls import Calls
from .streams import Download, Pages

LOOK = 1.0
"""Seconds between two looks of `wait`."""

WAIT_LOG = 20
"""Seconds that the hub waits for more of a log before it answers."""

NOT_SENT = {".git", ".venv", "__pycache__", "mlruns", "node_modules"}
"""Directories that hold no part of a project and much else."""


class NotSucceeded(errors.TernError):
    """A job is over and did not do what it should."""

    def __init__(self, view: t.JobDetail) -> None:
        self.view = view
        ended = view.get("ended")
        super().__init__(f"job {view['id']} ({view['name']}) {view['state']}" + (f": {ended['text']}" if ended else ""))


class Jobs:
    """Jobs of the workspace."""

    def __init__(self, api: Calls) -> None:
        self._api = api

    def list(self, *, open: bool = False, state: t.JobState | None = None) -> Pages[t.JobView]:
        """The newest first; with `open` only those that are not over."""
        return self._api.list_jobs(open=open or None, state=state)

    def get(self, id: int) -> Job:
        """One that was submitted before."""
        return Job(self._api, self._api.show_job(id))

    def submit(self, asked: t.JobAsked, *, folder: str | os.PathLike[str] | None = None, key: str | None = None) -> Job:
        """Runs a job. What is wrong with it is told field by field.

        - folder: its project, which is packed and sent along.
        - key: the same key gives the job that has it already, so that what broke off may be submitted again.
        """
        if folder is not None:
            packed = _packed(Path(folder))
            digest = hashlib.sha256(packed).hexdigest()
            if not self._api.head_blob(digest):
                self._api.put_blob(digest, packed)
            asked = {**asked, "project": {"archive": digest}}
        return Job(self._api, self._api.submit_job(asked, key=key))


class Job:
    """One job."""

    def __init__(self, api: Calls, view: t.JobDetail) -> None:
        self._api = api
        self.view = view
        """As it stood at the last look."""

    def __repr__(self) -> str:
        return f"Job({self.id}, {self.view['name']}, {self.state})"

    @property
    def id(self) -> int:
        """Its number."""
        return self.view["id"]

    @property
    def state(self) -> t.JobState:
        """What it was in one word at the last look."""
        return self.view["state"]

    def refresh(self) -> t.JobDetail:
        """Looks again."""
        self.view = self._api.show_job(self.id)
        return self.view

    def wait(self, timeout: float | None = None) -> t.JobDetail:
        """Waits until it has succeeded. Any other end is `NotSucceeded`; `errors.TimeUp` after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            view = self.refresh()
            if view["state"] == "succeeded":
                return view
            if view["state"] in ("failed", "cancelled"):
                raise NotSucceeded(view)
            if end is not None and time.monotonic() >= end:
                raise errors.TimeUp(f"{self!r} is not over after {timeout} s: {view.get('waits') or view['state']}")
            time.sleep(LOOK if end is None else max(0.0, min(LOOK, end - time.monotonic())))

    def log(self, *, follow: bool = False) -> Iterator[str]:
        """What it wrote, piece by piece; with `follow` until its attempt is over."""
        offset = 0
        while True:
            part = self._api.job_log(self.id, offset=offset, wait_s=WAIT_LOG if follow else None)
            if part["text"]:
                yield part["text"]
            moved, offset = part["next"] > offset, part["next"]
            if part["over"] and not moved or not follow and not moved:
                return

    def artifact(self, path: str) -> Download:
        """A file that it made, by its place below the working directory."""
        return self._api.job_artifact(self.id, path=path)

    def cancel(self) -> t.JobDetail:
        """Has it end."""
        self.view = self._api.cancel_job(self.id)
        return self.view


def _packed(folder: Path) -> bytes:
    """A folder as `tar.gz`, without what is no part of it, and without times and owners."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            parts = path.relative_to(folder).parts
            if NOT_SENT.isdisjoint(parts) and (path.is_file() or path.is_symlink()):
                about = tar.gettarinfo(path, "/".join(parts))
                about.mtime, about.uid, about.gid, about.uname, about.gname = 0, 0, 0, "", ""
                with open(path, "rb") as file:
                    tar.addfile(about, file if about.isreg() else None)
    return out.getvalue()
