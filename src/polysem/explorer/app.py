"""The application: the API and the pages behind one check of who asks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from polysem.explorer import api, pages
from polysem.explorer.attended import Attended
from polysem.explorer.explorer import Explorer
from polysem.explorer.security import Security


def create_app(explorer: Explorer) -> Starlette:
    """Everything that is served; handlers reach what they need as `request.app.state.explorer`. The inference process
    begins and ends with it."""

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        await explorer.inference.start()
        yield
        await explorer.inference.stop()

    app = Starlette(
        routes=[*api.routes(explorer), *pages.routes(explorer)],
        middleware=[
            Middleware(Security, hosts=explorer.hosts, is_open=explorer.is_open, token=explorer.token),
            Middleware(Attended),
        ],
        lifespan=life,
    )
    app.state.explorer = explorer
    app.state.shown = pages.Current(explorer)
    return app
