"""Questions of retraining. How one comes to be is a story of hours; that is told in `lifecycle/retraining`."""

from __future__ import annotations

import pytest

import tern


def test_what_nobody_asked_is_not_answered(hub: tern.Hub) -> None:
    assert hub.proposals.list().all() == [] and hub.proposals.list("digit-reader", all=True).all() == []
    for answer in (hub.proposals.agree, hub.proposals.decline, hub.proposals.again, hub.proposals.cancel):
        with pytest.raises(tern.errors.NotFound):
            answer(1, "who asked?")
    with pytest.raises(tern.errors.NotFound):
        hub.proposals.get(1)
