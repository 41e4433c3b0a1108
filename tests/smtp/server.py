"""A mail server for tests, by aiosmtpd: takes all mail and prints each as a line of JSON.

    server.py plain|starttls|tls [CERTIFICATE KEY [USER PASSWORD]]

It prints `port N` once it listens on a free port of loopback.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Kept:
    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": server.transport.get_extra_info("cipher") is not None,
            "user": session.auth_data,
            "data": envelope.content.decode("utf-8", "replace"),
        }
        print(json.dumps(mail), flush=True)
        return "250 taken"


async def serve(mode, certificate=None, key=None, user=None, password=None):
    context = None
    if mode != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

    def known(server, session, envelope, mechanism, data):
        right = (data.login, data.password) == (user.encode(), password.encode())
        return AuthResult(success=right, handled=right, auth_data=user if right else None)

    def smtp():
        more = {}
        if user is not None:
            # Through TLS from the first byte the library does not see that there is TLS.
            more = dict(authenticator=known, auth_required=True, auth_require_tls=mode == "starttls")
        if mode == "starttls":
            more |= dict(tls_context=context, require_starttls=True)
        return SMTP(Kept(), hostname="localhost", **more)

    loop = asyncio.get_running_loop()
    implicit = context if mode == "tls" else None
    server = await loop.create_server(smtp, "127.0.0.1", 0, ssl=implicit)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve(*sys.argv[1:]))
