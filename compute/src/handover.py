"""Runs the command of a job where its hub has no files, and hands over to the hub what the command made.

    python3 -c SCRIPT SETTINGS PROGRAM ARGUMENT...

SETTINGS is JSON: which files are artifacts, and where the command runs. Whose attempt it is, where the hub is and who it is
to the hub stand in the environment. It ends as the command ended, whatever becomes of the artifacts; what is not kept is
said in the log, and to the hub. Nothing but Python 3.6 and its standard library.

Must never break: nothing outside of the working directory is sent, whatever links a job makes in it; the token goes to
the hub and to nobody that the hub names.
"""

import http.client
import json
import os
import re
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

# Bytes that are read and sent at once.
PIECE = 256 * 1024
# How long one step of a request may take, in seconds.
STEP = 60
# How long the hub may be away before the rest is given up, in seconds: it is started again, say.
AWAY = 600
# Longest pause between two tries, in seconds.
PAUSE = 15
# How often one file breaks off at a hub that is there before it is left out, and how often all of them together.
BREAKS = 5
ALL_BREAKS = 4 * BREAKS
# With what a program that cannot be started ends, as a shell says it.
NOT_STARTED = 127


class Refused(Exception):
    """The hub does not take this one."""


class Over(Exception):
    """The hub takes nothing more of this attempt, or is away for too long."""


def say(text):
    print("[tern] " + text, file=sys.stderr, flush=True)


class Stay(urllib.request.HTTPRedirectHandler):
    """Nobody is followed elsewhere: the token is for the hub."""

    def redirect_request(self, *_):
        return None


class Hub:
    def __init__(self):
        self.base = os.environ["TERN_URL"].rstrip("/")
        job = (os.environ["TERN_WORKSPACE"], os.environ["TERN_JOB"])
        self.job = self.base + "/api/v1/w/%s/jobs/%s" % job
        self.attempt = os.environ["TERN_ATTEMPT"]
        self.token = os.environ.get("TERN_TOKEN")
        self.breaks = 0
        context = ssl.create_default_context()
        if os.environ.get("TERN_CA_PEM"):
            context.load_verify_locations(cadata=os.environ["TERN_CA_PEM"])
        self.opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), Stay())

    def send(self, method, url, body=None, length=0):
        headers = {"Content-Length": str(length), "Content-Type": "application/octet-stream"}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        with self.opener.open(request, timeout=STEP) as answer:
            answer.read()

    def is_there(self):
        try:
            with self.opener.open(self.base + "/healthz", timeout=STEP) as answer:
                return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False

    def until_taken(self, send):
        """Sends, again and again while the hub is away."""
        pause, breaks, until = 1, 0, time.monotonic() + AWAY
        while True:
            try:
                return send()
            except urllib.error.HTTPError as err:
                why = said(err)
                if err.code in (401, 403, 404):
                    raise Over(why)
                if err.code < 500 and err.code not in (408, 429):
                    raise Refused(why)
            except (OSError, http.client.HTTPException) as err:
                why = str(err) or type(err).__name__
                # It may have refused it in the middle, with nobody listening.
                if self.is_there():
                    breaks += 1
                    self.breaks += 1
                if self.breaks >= ALL_BREAKS:
                    raise Over(why)
                if breaks >= BREAKS:
                    raise Refused(why)
            if time.monotonic() + pause > until:
                raise Over(why)
            time.sleep(pause)
            pause = min(pause * 2, PAUSE)

    def hand_over(self, work, path):
        """Sends a file, as long as it is now."""
        query = urllib.parse.urlencode({"attempt": self.attempt, "path": path.decode()})

        def send():
            # A link that took its place meanwhile is not followed.
            number = os.open(os.path.join(work, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(number, "rb") as file:
                length = os.fstat(number).st_size
                self.send("PUT", self.job + "/artifact?" + query, pieces(file, length), length)

        self.until_taken(send)

    def all_there(self, left_out):
        query = {"attempt": self.attempt, "left_out": "true" if left_out else "false"}
        url = self.job + "/artifacts?" + urllib.parse.urlencode(query)
        self.until_taken(lambda: self.send("POST", url, b""))


def said(err):
    """What the hub says of why not: a problem in JSON, usually."""
    text = err.read(4000).decode(errors="replace")
    try:
        text = json.loads(text)["detail"]
    except (ValueError, KeyError, TypeError):
        pass
    return "%d %s" % (err.code, text)


def pieces(file, left):
    while left > 0:
        piece = file.read(min(PIECE, left))
        if not piece:
            raise http.client.HTTPException("it became shorter meanwhile")
        left -= len(piece)
        yield piece


def find(work, told):
    """Files that are artifacts, by name, and whether there may be more. Links are neither followed nor named."""
    patterns = [re.compile(one.encode(), re.DOTALL) for one in told["patterns"]]
    found, left_out, looked_at, following = [], False, 0, [(b"", 0)]
    while following:
        below, depth = following.pop()
        try:
            with os.scandir(os.path.join(work, below)) as entries:
                for entry in entries:
                    looked_at += 1
                    if looked_at > told["looked_at"]:
                        left_out, following = True, []
                        break
                    path = os.path.join(below, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        if depth < told["depth"]:
                            following.append((path, depth + 1))
                        else:
                            left_out = True
                    elif entry.is_file(follow_symlinks=False) and any(one.fullmatch(path) for one in patterns):
                        found.append(path)
        except OSError:
            # A directory that its job closed to us.
            left_out = True
    found.sort()
    return found[: told["most"]], left_out or len(found) > told["most"]


def hand_over(work, told):
    hub = Hub()
    found, left_out = find(work, told)
    try:
        for path in found:
            name = path.decode(errors="replace")
            try:
                path.decode()
                hub.hand_over(work, path)
            except (Refused, OSError, UnicodeDecodeError) as err:
                left_out = True
                say("not kept: %s: %s" % (name, err))
        hub.all_there(left_out)
    except (Refused, Over) as err:
        say("not all artifacts were kept: %s" % err)


def place(told):
    """Where the command runs, and what of it is ours to take away."""
    if told["work"] == "here":
        return os.getcwd(), None
    own = tempfile.mkdtemp(prefix="tern-")
    work = os.path.join(own, "work")
    if told["work"] == "copy":
        shutil.copytree(os.getcwd(), work, symlinks=True)
    else:
        os.mkdir(work)
    return work, own


def run(words, work):
    """How the command ended, as `subprocess` says it. Whoever asks us to end asks the command."""
    child, asked = None, []

    def ask(number, _):
        asked.append(number)
        if child is not None:
            child.send_signal(number)

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, ask) for number in numbers]
    environment = {name: value for name, value in os.environ.items() if name != "TERN_HANDOVER"}
    try:
        child = subprocess.Popen(words, cwd=work, env=environment)
    except OSError as err:
        say("it cannot be started: %s" % err)
        return NOT_STARTED
    if asked:
        child.send_signal(asked[0])
    code = child.wait()
    for number, handler in zip(numbers, before):
        signal.signal(number, handler)
    return code


def end(code):
    """Ends as the command did."""
    sys.stdout.flush()
    if code >= 0:
        os._exit(code)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if -code not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    # The first process of a container ends by no signal of its own.
    os._exit(128 - code)


def main():
    told = json.loads(sys.argv[1])
    work, own = place(told)
    code = run(sys.argv[2:], work)
    try:
        hand_over(os.fsencode(work), told)
    except Exception as err:  # Whatever it is, the command ended as it ended.
        say("its artifacts were not kept: %s: %s" % (type(err).__name__, err))
    if own is not None:
        shutil.rmtree(own, ignore_errors=True)
    end(code)


main()
