"""JSON below `/api`: addresses, what they take and give, and the schema that is made from both."""

from starlette.routing import BaseRoute

from polysem.explorer.explorer import Explorer


def routes(explorer: Explorer) -> list[BaseRoute]:
    """All addresses of the API."""
    return []
