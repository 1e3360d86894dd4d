"""Work for a client ends when the client is gone, and nobody sends more than a question needs."""

import asyncio
import json
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 2**20
"""Bytes of what a client may send."""
SLOWEST_BODY = 30.0
"""Seconds in which it has to be sent."""


@dataclass(frozen=True)
class Attended:
    """ASGI middleware that reads the body of a request at once, and cancels the handler when its client goes away."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as `app` does; 413 for a body that is too long, 408 for one that is too slow."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(SLOWEST_BODY):
                body = await _body(receive)
        except TimeoutError:
            await _refused(send, 408, f"the request was not sent within {SLOWEST_BODY:g} seconds; send it again")
            return
        except ValueError:
            await _refused(send, 413, f"the request has more than {LARGEST_BODY:,} bytes; send a shorter one")
            return
        if body is None:
            return
        gone, sent = asyncio.Event(), False

        async def received() -> Message:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": body, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        handling = asyncio.ensure_future(self.app(scope, received, send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({handling, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if handling.done():
                handling.result()
        finally:
            gone.set()
            for task in (handling, leaving):
                task.cancel()
            await asyncio.wait({handling, leaving})


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if the client is gone before its end. ValueError if it is too long."""
    parts, length, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        more = message.get("more_body", False)
        if length > LARGEST_BODY:
            raise ValueError
    return b"".join(parts)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refused(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
