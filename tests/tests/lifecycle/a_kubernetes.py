"""Stands in for the API of a Kubernetes cluster: it takes Jobs and Secrets as the API does, checks what the API checks,
and runs each Job's container as a process of this machine."""

import json
import os
import re
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CERTIFICATE, KEY = sys.argv[1:3]
# What it takes, whatever the file says later.
TOKEN = open(sys.argv[3]).read().strip()
NAMES = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
jobs, secrets, lock = {}, {}, threading.Lock()


class Job:
    def __init__(self, manifest):
        self.manifest = manifest
        container = manifest["spec"]["template"]["spec"]["containers"][0]
        env = {"PATH": os.environ["PATH"]}
        for one in container["env"]:
            if "value" in one:
                env[one["name"]] = one["value"].replace("$$", "$")
            else:
                key = one["valueFrom"]["secretKeyRef"]
                env[one["name"]] = secrets[key["name"]]["stringData"][key["key"]]
        command = [word.replace("$$", "$") for word in container["command"]]
        self.output = b""
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.output += line

    def answer(self):
        code = self.process.poll()
        if code is None:
            status = {"active": 1, "ready": 1}
        else:
            kind = "Complete" if code == 0 else "Failed"
            status = {"conditions": [{"type": kind, "status": "True", "reason": "BackoffLimitExceeded"}]}
        return {**self.manifest, "status": status}

    def pod(self):
        code = self.process.poll()
        state = {"running": {}} if code is None else {"terminated": {"exitCode": code % 256, "reason": "Error"}}
        name = self.manifest["metadata"]["name"] + "-x7k2p"
        return {"metadata": {"name": name}, "status": {"containerStatuses": [{"state": state}]}}


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def say(self, status, body):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_all(self):
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length) or b"null")
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            return self.say(401, {"kind": "Status", "reason": "Unauthorized"})
        url = urlsplit(self.path)
        found = re.match(r"^/(?:apis/batch/v1|api/v1)/namespaces/training/(jobs|secrets|pods)(?:/([^/]+))?(/log)?$", url.path)
        if not found:
            return self.say(404, {"kind": "Status", "reason": "NotFound"})
        kind, name, log = found.groups()
        with lock:
            return self.act(kind, name, log, body, parse_qs(url.query))

    def act(self, kind, name, log, body, query):
        missing = {"kind": "Status", "reason": "NotFound"}
        if self.command == "POST":
            new, all_ = body["metadata"]["name"], jobs if kind == "jobs" else secrets
            labels = {**body["metadata"]["labels"]}
            if not NAMES.match(new) or not all(NAMES.match(value) for value in labels.values()):
                return self.say(422, {"kind": "Status", "reason": "Invalid"})
            if new in all_:
                return self.say(409, {"kind": "Status", "reason": "AlreadyExists"})
            all_[new] = Job(body) if kind == "jobs" else body
            return self.say(201, body)
        if kind == "pods" and log:
            job = jobs.get(name.removesuffix("-x7k2p"))
            return self.say(200, job.output) if job else self.say(404, missing)
        if kind == "pods":
            wanted = query["labelSelector"][0].removeprefix("tern/name=")
            return self.say(200, {"items": [jobs[wanted].pod()] if wanted in jobs else []})
        all_ = jobs if kind == "jobs" else secrets
        if name not in all_:
            return self.say(404, missing)
        if self.command == "DELETE":
            gone = all_.pop(name)
            if kind == "jobs":
                gone.process.kill()
            return self.say(200, {"kind": "Status"})
        return self.say(200, all_[name].answer())

    do_GET = do_POST = do_DELETE = handle_all


server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
for job in jobs.values():
    job.process.kill()
