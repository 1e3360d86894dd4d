"""Pages of the explorer: templates, the plain modules of JavaScript beside them, and what templates are filled with."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from polysem.explorer.explorer import Explorer


def routes(explorer: Explorer) -> list[BaseRoute]:
    """All pages."""
    return [Route("/", first_page)]


async def first_page(request: Request) -> Response:
    """The models of the study."""
    return HTMLResponse("<!doctype html><title>polysem</title>")
