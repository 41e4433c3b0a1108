"""Jobs on the hub's own machine: sent with their folder, waited for, read, and cancelled."""

from __future__ import annotations

from pathlib import Path

import pytest

import tern


def test_a_job_is_sent_with_its_folder_and_gives_what_it_made(hub: tern.Hub, tmp_path: Path) -> None:
    (tmp_path / "make.sh").write_text("echo making; echo made > out.txt\n", "utf-8")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "left-out").write_text("no part of it", "utf-8")
    asked: tern.types.JobAsked = {"name": "makes", "command": ["sh", "make.sh"], "artifacts": ["out.txt"]}
    job = hub.jobs.submit(asked, folder=tmp_path, key="once")
    assert hub.jobs.submit(asked, folder=tmp_path, key="once").id == job.id
    assert "making" in "".join(job.log(follow=True))
    assert job.wait(timeout=60)["state"] == "succeeded"
    with job.artifact("out.txt") as made:
        assert made.read() == b"made\n"
    assert [one["path"] for one in job.view["artifacts"]] == ["out.txt"]
    assert job.id in {one["id"] for one in hub.jobs.list()}
    with pytest.raises(tern.errors.NotFound):
        job.artifact("none.txt")


def test_a_job_that_does_not_succeed_says_how_it_ended(hub: tern.Hub) -> None:
    with pytest.raises(tern.NotSucceeded, match="3") as failed:
        hub.jobs.submit({"command": ["sh", "-c", "exit 3"]}).wait(timeout=60)
    assert failed.value.view["state"] == "failed"
    sleeps = hub.jobs.submit({"command": ["sleep", "600"]})
    with pytest.raises(tern.errors.TimeUp):
        sleeps.wait(timeout=0.1)
    sleeps.cancel()
    with pytest.raises(tern.NotSucceeded, match="cancelled"):
        sleeps.wait(timeout=60)
    with pytest.raises(tern.errors.Problem, match="command"):
        hub.jobs.submit({"command": []})
