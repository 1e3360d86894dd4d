"""Pages of the explorer: what the templates are filled with. Modules of JavaScript in `static` ask for parts of the
same pages, so all text is escaped here, in one place."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from polysem.explorer.explorer import Explorer
from polysem.explorer.pages.browse import browse_page, dictionary_page
from polysem.explorer.pages.feature import feature_page, tried_text
from polysem.explorer.pages.noted import notes_page
from polysem.explorer.pages.rendering import answered
from polysem.explorer.pages.search import lucky, search_page
from polysem.explorer.pages.shown import Shown
from polysem.explorer.pages.static import static_file
from polysem.study.names import UnknownNameError


async def missing_page(request: Request) -> Response:
    """Any other address."""
    raise UnknownNameError(f"there is no page {request.url.path!r}")


PAGES = {
    "/": search_page,
    "/lucky": lucky,
    "/browse": browse_page,
    "/notes": notes_page,
    "/{model}/{site}/{dictionary}": dictionary_page,
    "/{model}/{site}/{dictionary}/{feature}": feature_page,
    "/{model}/{site}/{dictionary}/{feature}/tried": tried_text,
    "/{rest:path}": missing_page,
}
"""The first that fits answers."""


def routes(explorer: Explorer) -> list[BaseRoute]:
    """All pages, with what they share."""
    current = Current(explorer)
    return [
        Route("/static/{name}", static_file),
        *(Route(path, answered(handler, current)) for path, handler in PAGES.items()),
    ]


class Current:
    """What pages show, opened anew when a run made other results."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._shown = Shown(explorer.study)

    def __call__(self) -> Shown:
        """What there is now."""
        if self._shown.study is not (study := self._explorer.study):
            self._shown = Shown(study)
        return self._shown
