"""Errors of the API: one sentence as JSON, with a status of HTTP."""

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from polysem.explorer.inference.client import BrokenError, BusyError
from polysem.io.errors import InputError
from polysem.study.names import UnknownNameError

STATUSES: dict[type[Exception], int] = {UnknownNameError: 404, InputError: 400, BusyError: 503, BrokenError: 500}
"""What a client is told by the status; the first that fits."""
Handler = Callable[[Request], Awaitable[Response]]


def as_json(handler: Handler, method: str = "") -> Handler:
    """The handler with its errors as JSON. With a `method`, another one is refused with 405."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        if method and request.method not in (method, "HEAD" if method == "GET" else method):
            error = f"{request.url.path} is asked with {method}, not with {request.method}"
            return JSONResponse({"error": error}, 405, headers={"Allow": method})
        try:
            return await handler(request)
        except tuple(STATUSES) as error:
            status = next(status for kind, status in STATUSES.items() if isinstance(error, kind))
            headers = {"Retry-After": str(error.retry_after)} if isinstance(error, BusyError) else None
            return JSONResponse({"error": str(error)}, status, headers=headers)

    return answer


async def no_route(request: Request) -> Response:
    """What is below `/api` and none of its addresses."""
    raise UnknownNameError(f"there is no {request.url.path}; /api/schema describes what there is")
