"""The application: the API and the pages behind one check of who asks."""

from starlette.applications import Starlette
from starlette.middleware import Middleware

from polysem.explorer import api, pages
from polysem.explorer.explorer import Explorer
from polysem.explorer.security import Security


def create_app(explorer: Explorer) -> Starlette:
    """Everything that is served; handlers reach what they need as `request.app.state.explorer`."""
    app = Starlette(
        routes=[*api.routes(explorer), *pages.routes(explorer)],
        middleware=[
            Middleware(Security, hosts=explorer.hosts, is_open=explorer.is_open, token=explorer.token),
        ],
    )
    app.state.explorer = explorer
    return app
