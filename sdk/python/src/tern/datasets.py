"""Dataset versions at the hub: made, listed, and written out as a directory.

What is in such a directory is read by `tern.dataset`. Must never break: `dataset.json` is written last, so a directory that
has one is whole.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from . import errors
from .api import types as t
from .api.calls import Calls
from .streams import Pages

LOOK = 1.0
"""Seconds between two looks of `make`."""

MANIFEST = "dataset.json"


class Datasets:
    """Datasets of the workspace."""

    def __init__(self, api: Calls) -> None:
        self._api = api

    def list(self, name: str | None = None) -> Pages[t.DatasetView]:
        """Of each dataset the newest version, or all versions of one."""
        return self._api.list_datasets(name=name)

    def get(self, which: str | int) -> t.DatasetDetail:
        """A version: `digits@3`, `digits` for the newest that is done, or its number in the hub."""
        return self._api.show_dataset(str(which))

    def make(self, name: str, order: t.DatasetOrder, *, key: str | None = None,
             timeout: float | None = None) -> t.DatasetView:
        """Has a version made, of labelled captures, of files or of another version, and waits until it is done.

        The same `key` gives the version that was begun with it. A version that cannot be made is an error with the reason;
        `errors.TimeUp` after `timeout` seconds, while the hub goes on.
        """
        new: t.NewDataset = {"name": name, "order": order}
        if key is not None:
            new["key"] = key
        view = self._api.make_dataset(new)
        end = None if timeout is None else time.monotonic() + timeout
        while view["state"] == "running":
            if end is not None and time.monotonic() >= end:
                raise errors.TimeUp(f"{name}@{view['number']} is not made after {timeout} s; the hub goes on")
            time.sleep(LOOK if end is None else max(0.0, min(LOOK, end - time.monotonic())))
            view = self.get(view["id"])["dataset"]
        if view["state"] != "done":
            raise errors.TernError(f"{name}@{view['number']} was not made: {view.get('reason') or view['state']}")
        return view

    def check_out(self, which: str | int, to: str | os.PathLike[str]) -> Path:
        """Writes a version as a directory, as a job finds it. Each file is compared with its digest."""
        manifest = self.get(which).get("manifest")
        if manifest is None:
            raise errors.TernError(f"{which} is not done, or its files were removed")
        place = Path(to)
        place.mkdir(parents=True, exist_ok=True)
        (place / MANIFEST).unlink(missing_ok=True)
        for file, facts in manifest["files"].items():
            path = place / file
            if not path.resolve().is_relative_to(place.resolve()):
                raise errors.BadDataset(f"the manifest of {which} names {file}, which is not in a directory of its own")
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._api.get_dataset_file(str(which), file) as download:
                download.save(path)
            if hashlib.sha256(path.read_bytes()).hexdigest() != facts["digest"]:
                raise errors.BadDataset(f"{file} of {which} is not what its digest names; fetch it again")
        with self._api.get_dataset_file(str(which), MANIFEST) as download:
            download.save(place / f"{MANIFEST}.new")
        (place / f"{MANIFEST}.new").replace(place / MANIFEST)
        return place
