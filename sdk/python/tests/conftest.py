"""A real hub with one device, which whoever runs the tests started (`tests/tests/lifecycle/sdk.rs`).

`TERN_HUB`, `TERN_TOKEN` (of an admin) and `TERN_CA` are what a person sets; `TERN_TEST_PACKAGE` is a digit reader,
`TERN_TEST_AGENT` where the device answers, `TERN_TEST_VIEWER` the token of somebody who may only look.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tern

MODEL = "digit-reader"


def given(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        pytest.skip(f"{name} is not set: there is no hub to speak to")
    return value


@pytest.fixture(scope="session")
def hub() -> tern.Hub:
    given("TERN_HUB")
    return tern.connect()


@pytest.fixture(scope="session")
def digits() -> Path:
    return Path(given("TERN_TEST_PACKAGE"))


@pytest.fixture(scope="session")
def infer() -> Callable[[list[float]], str]:
    """Asks the device about an image; the prediction's id."""
    agent = given("TERN_TEST_AGENT")

    def infer(image: list[float]) -> str:
        asked = {"inputs": [{"name": "image", "shape": [1, 64], "datatype": "FP32", "data": image}]}
        request = urllib.request.Request(f"{agent}/v2/models/{MODEL}/infer", json.dumps(asked).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            told = json.load(answer)
        return str(told["parameters"]["predictions"][0])

    return infer


@pytest.fixture(scope="session")
def serving(hub: tern.Hub, digits: Path) -> tern.Published:
    """The digit reader, published and proven to serve on the device."""
    published = hub.models.publish(MODEL, digits, note="by the SDK")
    hub.rollouts.start(published.name).wait(timeout=60)
    return published


def until(what: str, look: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `look` finds, as soon as it is something."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.1)
    return found
