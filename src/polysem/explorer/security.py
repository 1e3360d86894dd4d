"""Who may ask: checks of every request before any route sees it, and the headers of every answer.

A page of another site, opened in the same browser, must neither read nor write here; so the `Host` has to be this
server's (a rebound name is not), `Origin` and `Sec-Fetch-Site` are checked wherever they are sent, and a write needs
both and the token that only this server's own pages know.
"""

import hmac
import ipaddress
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "X-Polysem-Token"
READING = ("GET", "HEAD")
ASKING = ("/api/activations",)
"""Addresses whose POST writes nothing: the question is too long for an address."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Security:
    """ASGI middleware around everything that the server answers.

    Attributes:
        app: What answers requests that pass.
        hosts: Names, without ports, that the server is called by; addresses that are numbers are allowed beside them
            where the server listens to others than this machine, as no name was looked up to get there.
        is_open: Whether it listens to others than this machine.
        token: What a write has to bring in the header `X-Polysem-Token`.
    """

    app: ASGIApp
    hosts: frozenset[str]
    is_open: bool
    token: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse with 403 and a sentence."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if reason := self.refusal(scope["method"], scope["path"], Headers(scope=scope)):
            await _refused(with_headers, reason)
        else:
            await self.app(scope, receive, with_headers)

    def refusal(self, method: str, path: str, headers: Headers) -> str:
        """Why a request is not answered, as a sentence; '' if it is."""
        host = headers.getlist("host")
        if len(host) != 1 or not self._is_ours(_name(host[0])):
            found = host[0] if host else "none"
            return f"the Host header is {found!r}, which is not this server; open it by the address that it printed"
        writes = method not in READING and path not in ASKING
        origin, site = headers.getlist("origin"), headers.getlist("sec-fetch-site")
        if any(found != f"http://{host[0]}" for found in origin):
            return f"the Origin is {origin[0]!r}, another page than this server's; open the explorer itself"
        if any(found not in ("same-origin", "none") for found in site) and not _is_link(method, path, headers):
            return f"Sec-Fetch-Site is {site[0]!r}: another page asked; open the explorer itself"
        if writes and (not origin or "same-origin" not in site):
            return "a write needs the headers Origin and Sec-Fetch-Site: same-origin, which the explorer's pages send"
        if writes and not hmac.compare_digest(headers.get(TOKEN_HEADER, "").encode(), self.token.encode()):
            return f"a write needs the page's token in {TOKEN_HEADER}; reload the page, the server has started anew"
        return ""

    def _is_ours(self, name: str) -> bool:
        if name in self.hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self.is_open or address.is_loopback


def _name(host: str) -> str:
    """The name in a `Host` header, lower case and without its port; '' for what is none."""
    try:
        found = urlsplit(f"//{host}")
        return "" if found.username is not None or found.path or found.query else (found.hostname or "")
    except ValueError:
        return ""


def _is_link(method: str, path: str, headers: Headers) -> bool:
    """Whether somebody followed a link to a page, from a report on disk or a message: nobody else reads the answer."""
    return (
        method in READING
        and not path.startswith("/api/")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


async def _refused(send: Send, reason: str) -> None:
    body = json.dumps({"error": reason}, ensure_ascii=False).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
