"""What is tried again and what is not, against a server that misbehaves on purpose; and where a hub is found."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import given

import tern
from tern._http import Http, Target, address

Reply = tuple[int, dict[str, str], bytes]
BROKEN: Reply = (0, {}, b"")
BUSY: Reply = (429, {"Retry-After": "0"}, json.dumps(
    {"type": "urn:tern:problem:busy", "title": "Busy", "status": 429, "detail": "later"}).encode())
AWAY: Reply = (503, {}, b"upstream is away")
GOOD: Reply = (200, {}, b'{"items": []}')


class Heard(list[tuple[str, str, bytes]]):
    """Method, path and body of each request."""

    headers: list[dict[str, str]]


@contextmanager
def misbehaving(*replies: Reply) -> Iterator[tuple[str, Heard]]:
    left, heard = list(replies), Heard()
    heard.headers = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            heard.append((self.command, self.path, body))
            heard.headers.append({name.lower(): value for name, value in self.headers.items()})
            status, headers, said = left.pop(0) if left else GOOD
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def hub(url: str) -> tern.Hub:
    return tern.Hub(Http(Target(url, "tern_pat_planted"), timeout=5), "default")


@pytest.mark.parametrize("trouble", [BROKEN, BUSY, AWAY])
def test_what_only_asks_is_asked_again(trouble: Reply) -> None:
    with misbehaving(trouble, trouble) as (url, heard):
        assert hub(url).api.list_models().all() == []
    assert len(heard) == 3


def test_what_changes_something_is_said_once_unless_it_was_turned_away_unread() -> None:
    with misbehaving(BUSY, (200, {}, b'{"id": 7}')) as (url, heard):
        assert hub(url).api.pause_rollout(7)["id"] == 7
    assert [one[:2] for one in heard] == [("POST", "/api/v1/w/default/rollouts/7/pause")] * 2
    for trouble in (BROKEN, AWAY):
        with misbehaving(trouble) as (url, heard):
            with pytest.raises(tern.errors.Unreachable):
                hub(url).api.pause_rollout(7)
        assert len(heard) == 1, "nobody knows whether it arrived"


def test_labels_that_may_have_arrived_are_sent_again() -> None:
    said = {"added": 1, "changed": 0, "unchanged": 0, "refused": []}
    with misbehaving(BROKEN, (200, {}, json.dumps(said).encode())) as (url, heard):
        assert hub(url).labels.send([("a", "1-1", "7")]).added == 1
    assert len(heard) == 2 and heard[0] == heard[1]


def test_an_upload_is_streamed_and_begun_again_from_its_begin() -> None:
    content = bytes(range(256)) * 4_000
    file = io.BytesIO(b"before" + content)
    file.seek(6)
    answer = json.dumps({"digest": "00", "len": len(content)}).encode()
    with misbehaving(BROKEN, (201, {}, answer)) as (url, heard):
        _, fresh = hub(url).api.put_blob("00", file)
    assert fresh and [body == content for _, _, body in heard] == [True, True]
    assert heard.headers[0]["content-length"] == str(len(content))


def test_who_gives_up_says_why_and_shows_no_token() -> None:
    with misbehaving(*[BUSY] * 9) as (url, heard):
        asked = hub(url)
        with pytest.raises(tern.errors.Busy, match="later"):
            asked.api.list_models().all()
    assert len(heard) == 4
    with pytest.raises(tern.errors.Unreachable, match="is it running") as nobody:
        hub(url).api.pause_rollout(7)
    with misbehaving((200, {}, b"<html>")) as (url, _), pytest.raises(tern.errors.NotUnderstood):
        hub(url).me()
    with misbehaving((404, {}, b"<html>")) as (url, _), pytest.raises(tern.errors.NotUnderstood, match="<html>"):
        hub(url).me()
    with misbehaving(*[(200, {}, b'{"items": [1], "next": "1"}')] * 3) as (url, _):
        with pytest.raises(tern.errors.NotUnderstood, match="without an end"):
            hub(url).api.list_devices().all()
    assert "planted" not in f"{nobody.value!s}{nobody.value!r}{asked!r}{asked._http!r}{Target(url, 'planted')!r}"


def test_a_connection_is_kept_and_another_made_when_it_ended() -> None:
    with misbehaving(GOOD, GOOD, (200, {"Connection": "close"}, GOOD[2])) as (url, heard):
        asked = hub(url)
        for _ in range(4):
            asked.api.list_models().all()
    assert len(heard) == 4


def test_a_silent_hub_is_slow() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = Http(Target(f"http://127.0.0.1:{silent.getsockname()[1]}"), timeout=0.2)
        with pytest.raises(tern.errors.Slow):
            tern.Hub(asked, "default").me()


def test_addresses_as_people_write_them() -> None:
    for written, meant in [("127.0.0.1:8080", "http://127.0.0.1:8080"), ("https://hub.example/", "https://hub.example"),
                           ("hub.example:8443", "https://hub.example:8443"), ("http://localhost:1", "http://localhost:1"),
                           (" http://[::1]:80 ", "http://[::1]:80")]:
        assert address(written) == meant
    for wrong in ["", "http://", "ftp://x", "http://x", "https://x/api", "https://a@x", "a b", "https://x:y"]:
        with pytest.raises(tern.errors.NoHub):
            address(wrong)


VARIABLES = ["TERN_HUB", "TERN_TOKEN", "TERN_CA", "TERN_WORKSPACE", "TERN_URL", "TERN_CONFIG_DIR", "XDG_CONFIG_HOME",
             "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD",
             "MLFLOW_TRACKING_SERVER_CERT_PATH"]


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], None]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch.setenv


def sent_token(asked: tern.Hub) -> str | None:
    return asked._http._token


def test_a_hub_is_found_as_the_command_line_finds_it(
        nothing_set: Callable[[str, str], None], tmp_path: Path) -> None:
    with pytest.raises(tern.errors.NoHub, match="tern login"):
        tern.connect()
    folder = tmp_path / ".config" / "tern"
    folder.mkdir(parents=True)
    stored = {"url": "https://hub.example:8443", "workspace": "optics", "token": "stored", "user": "ada",
              "expires_at": 4_000_000_000_000}
    (folder / "credentials.json").write_text(json.dumps({"hubs": [stored, {**stored, "url": "https://other.example",
                                                                           "expires_at": 1}]}), "utf-8")
    for written in [None, "hub.example:8443", "https://hub.example:8443/"]:
        found = tern.connect(written)
        assert (found.url, found.workspace, sent_token(found)) == ("https://hub.example:8443", "optics", "stored")
    assert tern.connect(workspace="labs").in_workspace("more").workspace == "more"
    # A token goes only to the hub that it is for.
    assert sent_token(tern.connect("third.example")) is None
    assert sent_token(tern.connect("third.example", token="mine")) == "mine"
    with pytest.raises(tern.errors.NoHub, match="expired"):
        tern.connect("other.example")
    nothing_set("TERN_TOKEN", "of-the-environment")
    assert sent_token(tern.connect()) == "of-the-environment"
    (folder / "credentials.json").write_text("{", "utf-8")
    with pytest.raises(tern.errors.NoHub, match="damaged"):
        tern.connect()


def test_a_job_and_mlflows_client_know_the_hub_too(nothing_set: Callable[[str, str], None]) -> None:
    nothing_set("MLFLOW_TRACKING_URI", "https://hub.example:8443")
    nothing_set("MLFLOW_TRACKING_TOKEN", "of-mlflow")
    found = tern.connect()
    assert (found.url, sent_token(found)) == ("https://hub.example:8443", "of-mlflow")
    assert sent_token(tern.connect("https://elsewhere.example")) is None
    nothing_set("TERN_URL", "https://hub.example:8443")
    assert sent_token(tern.connect()) == "of-mlflow"
    nothing_set("MLFLOW_TRACKING_URI", "file:///tmp/mlruns")
    assert sent_token(tern.connect()) is None


def test_nobody_vouches_for_a_stranger(hub: tern.Hub) -> None:
    if not hub.url.startswith("https"):
        pytest.skip("the hub speaks without TLS")
    with pytest.raises(tern.errors.NotTrusted, match="vouches"):
        tern.connect(hub.url, given("TERN_TOKEN"), ca=_another_authority()).me()
    with pytest.raises(tern.errors.NotTrusted, match="PEM"):
        tern.connect(hub.url, ca="-----BEGIN nothing").me()
    with pytest.raises(tern.errors.NotTrusted, match="cannot be read"):
        tern.connect(hub.url, ca="/no/such/file")
    assert hub.api.bundle().startswith("-----BEGIN CERTIFICATE")


def _another_authority() -> str:
    """Any certificate that this machine's Python trusts: it did not sign the hub's."""
    import ssl

    for der in ssl.create_default_context().get_ca_certs(binary_form=True):
        return ssl.DER_cert_to_PEM_cert(der)
    pytest.skip("this machine trusts nobody")
