"""How pages are made of templates, and what is answered where one cannot be."""

from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from polysem.explorer.api.errors import STATUSES, Handler
from polysem.explorer.api.questions import readable
from polysem.explorer.explorer import Explorer
from polysem.explorer.pages.shown import Shown
from polysem.report.numbers import in_words
from polysem.report.visible import visible

PACKAGE = Path(__file__).parents[1]
REPORT = PACKAGE.with_name("report")


@cache
def environment() -> Environment:
    """The explorer's templates, and the report's for those that extend one of them; text in them is escaped."""
    made = Environment(
        loader=FileSystemLoader([PACKAGE / "templates", REPORT]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["visible"] = visible
    made.filters["in_words"] = in_words
    made.globals["Markup"] = Markup
    return made


def rendered(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page."""
    explorer: Explorer = request.app.state.explorer
    shared = {"here": request.url.path, "token": explorer.token, "author": explorer.author, "further": ""}
    return HTMLResponse(environment().get_template(template).render(**shared | values), status)


TITLES = {404: "Not in this study", 400: "Cannot be shown", 503: "Not now", 500: "Broken"}


def answered(handler: Handler, current: Callable[[], Shown]) -> Handler:
    """The handler with what pages share, `request.state.shown`; what is not there, or cannot be read, is answered with
    a page that says so."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        request.state.shown = current()
        try:
            readable(request.url.query)
            return await handler(request)
        except tuple(STATUSES) as error:
            status = status_of(error)
            return rendered(request, "missing.html.j2", status, title=TITLES[status], said=str(error))

    return answer


def status_of(error: Exception) -> int:
    """Which status of HTTP says what an error does."""
    return next(status for kind, status in STATUSES.items() if isinstance(error, kind))
