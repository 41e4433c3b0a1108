"""Rollouts: devices are moved to a version, by a share or by a plan that decides by evidence."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from . import errors
from .api import types as t
from .api.calls import Calls
from .models import Models
from .streams import Pages

LOOK = 1.0
"""Seconds between two looks of `wait`."""

AWAY = 60.0
"""Seconds for which the hub may be away before `wait` gives up: a restart takes a few."""


class NotComplete(errors.TernError):
    """A rollout has come to an end that is not the one that it is for, or goes no further without a person."""

    def __init__(self, view: t.RolloutView, why: str) -> None:
        self.view = view
        super().__init__(f"rollout {view['id']} of {view['model']}@{view['version']}: {why}")

    @property
    def waits(self) -> bool:
        """Whether it goes on as soon as a person agrees: `Rollout.approve`."""
        return self.view["state"] == "waiting"


class Rollouts:
    """Rollouts of the workspace."""

    def __init__(self, api: Calls) -> None:
        self._api = api

    def list(self) -> Pages[t.RolloutView]:
        """The newest thousand, the newest first, without their devices."""
        return self._api.list_rollouts(limit=1_000)

    def get(self, id: int) -> Rollout:
        """One that was started before."""
        return Rollout(self._api, self._api.show_rollout(id))

    def start(
        self,
        target: str,
        *,
        slot: str | None = None,
        percent: int = 100,
        sites: Sequence[str] = (),
        devices: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        select: str | None = None,
    ) -> Rollout:
        """Moves a share of the devices that match to `target`, written `MODEL@VERSION` or `MODEL@latest`.

        - slot: which place on a device is filled; by default the one with the model's name.
        - sites, devices, labels, select: which devices; all of the workspace if nothing is said. `select` is an
          expression such as `site in (harbour, hill) and not label.fragile`.
        """
        version = Models(self._api).version(target)
        selector: t.Selector = {"sites": [*sites], "devices": [*devices], "labels": {**(labels or {})}}
        if select is not None:
            selector["expression"] = select
        new: t.NewRollout = {"slot": slot or version["model"], "model": version["model"], "version": version["version"],
                             "selector": selector, "percent": percent}
        return Rollout(self._api, self._api.start_rollout(new))

    def start_plan(
        self,
        plan: t.Plan | Mapping[str, Any] | str | os.PathLike[str],
        *,
        target: str | None = None,
        slot: str | None = None,
    ) -> Rollout:
        """Starts a rollout that decides by evidence.

        `plan` is what a plan says, or a file of it: JSON, or YAML if PyYAML is installed. `target` (`MODEL@VERSION`)
        and `slot` stand instead of what the plan says, or for what it leaves out.
        """
        meant = cast(t.Plan, {**(_file(Path(plan)) if isinstance(plan, (str, os.PathLike)) else plan)})
        if target is not None:
            version = Models(self._api).version(target)
            if meant.setdefault("model", version["model"]) != version["model"]:
                raise errors.TernError(f"the plan is for {meant['model']}, and you name {version['model']}")
            meant["version"] = version["version"]
        if slot is not None:
            meant["slot"] = slot
        if meant.get("version") is None:
            raise errors.TernError("say which version: `target=\"MODEL@VERSION\"`, or write it into the plan")
        return Rollout(self._api, self._api.start_plan(meant))

    def start_template(self, name: str, target: str, *, slot: str | None = None) -> Rollout:
        """The same by a plan that is kept as a template of the model."""
        model = target.split("@", 1)[0]
        for template in self._api.list_templates(model):
            if template["name"] == name:
                return self.start_plan(template["plan"], target=target, slot=slot)
        raise errors.TernError(f"model {model} has no template `{name}`")

    def check(self, plan: t.Plan) -> t.PlanCheck:
        """What is wrong with a plan, and what would come of it."""
        return self._api.check_plan(plan)


class Rollout:
    """One rollout."""

    def __init__(self, api: Calls, view: t.RolloutView) -> None:
        self._api = api
        self.view = view
        """As it stood at the last look."""

    def __repr__(self) -> str:
        view = self.view
        return f"Rollout({view['id']}, {view['model']}@{view['version']}, {view['state']})"

    @property
    def id(self) -> int:
        """Its number."""
        return self.view["id"]

    @property
    def state(self) -> t.RolloutState:
        """How it stood at the last look."""
        return self.view["state"]

    def refresh(self) -> t.RolloutView:
        """Looks again."""
        self.view = self._api.show_rollout(self.id)
        return self.view

    def wait(self, timeout: float | None = None, *, keep_going: bool = False) -> t.RolloutView:
        """Waits until every device of it serves the version for good.

        Any other end is `NotComplete`, and so is a rollout that waits for a person; `errors.TimeUp` after `timeout`
        seconds. Of a rollout without a plan the first device that refuses the version is an end, unless `keep_going`.
        A hub that is restarted meanwhile is waited for.
        """
        end = None if timeout is None else time.monotonic() + timeout
        away: float | None = None
        while True:
            try:
                view = self.refresh()
                away = None
            except (errors.Unreachable, errors.Slow, errors.Busy):
                away = away or time.monotonic()
                if time.monotonic() - away > AWAY:
                    raise
            else:
                if (why := _ended(view, keep_going)) is not None:
                    if why:
                        raise NotComplete(view, why)
                    return view
            if end is not None and time.monotonic() >= end:
                counts = self.view["counts"]
                raise errors.TimeUp(f"{self!r} did not end within {timeout} s: {counts['serving']} of "
                                    f"{counts['selected']} devices serve the version")
            time.sleep(LOOK if end is None else max(0.0, min(LOOK, end - time.monotonic())))

    def approve(self) -> t.RolloutView:
        """Lets the next stage begin, although a person was to be asked or nothing is proven."""
        return self._seen(self._api.approve_rollout(self.id))

    def pause(self) -> t.RolloutView:
        """Assigns the version to no more devices until it is resumed."""
        return self._seen(self._api.pause_rollout(self.id))

    def resume(self) -> t.RolloutView:
        """Goes on."""
        return self._seen(self._api.resume_rollout(self.id))

    def widen(self, percent: int) -> t.RolloutView:
        """Raises its share; devices that are in stay in."""
        return self._seen(self._api.widen_rollout(self.id, {"percent": percent}))

    def stop(self, *, moved: t.Moved = "back") -> t.RolloutView:
        """Ends it. Devices that were moved go `back` to what they had, or `stay`."""
        return self._seen(self._api.abort_rollout(self.id, {"moved": moved}))

    def _seen(self, view: t.RolloutView) -> t.RolloutView:
        self.view = view
        return view


def _ended(view: t.RolloutView, keep_going: bool) -> str | None:
    """Whether this is an end: nothing while it goes on, no words if it is the one that it is for, else why not."""
    state, failed, planned = view["state"], view["counts"]["failed"], view.get("plan") is not None
    refused = f"{failed} devices refused it"
    if state == "complete":
        # With a plan, how many may fail is said by its gates.
        return refused if failed and not planned else ""
    if state in ("running", "paused"):
        return refused if failed and not planned and not keep_going else None
    words = {"stopped": "it was stopped", "waiting": "it waits for a person", "aborted": "it was aborted",
             "superseded": "a newer rollout took its devices"}
    reason = f": {view['reason']}" if state in ("stopped", "waiting") else ""
    return words.get(state, state) + reason


def _file(path: Path) -> Mapping[str, Any]:
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        read = json.loads(text)
    else:
        try:
            import yaml
        except ImportError:
            raise errors.TernError(f"{path}: a plan as YAML needs PyYAML; write it as .json, or give a dict") from None
        read = yaml.safe_load(text)
    if not isinstance(read, dict):
        raise errors.TernError(f"{path} holds no plan")
    return read
