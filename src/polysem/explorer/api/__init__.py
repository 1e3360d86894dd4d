"""JSON below `/api`: addresses, what they take and give, and the schema that is made from both.

An answer to a bad question is `{"error": sentence}` with the status of HTTP that fits.
"""

from starlette.routing import BaseRoute, Route

from polysem.explorer.api.errors import as_json, no_route
from polysem.explorer.api.features import feature, note
from polysem.explorer.api.questions import activations, health, search
from polysem.explorer.api.schema import schema
from polysem.explorer.explorer import Explorer

ADDRESSES = {
    "/api/search": ("GET", search),
    "/api/feature/{model}/{site}/{dictionary}/{feature}": ("GET", feature),
    "/api/activations": ("POST", activations),
    "/api/notes": ("POST", note),
    "/api/health": ("GET", health),
    "/api/schema": ("GET", schema),
}


METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
"""All are routed, so that each is answered as JSON."""


def routes(explorer: Explorer) -> list[BaseRoute]:
    """All addresses of the API."""
    known = [Route(path, as_json(handler, method), methods=METHODS) for path, (method, handler) in ADDRESSES.items()]
    return [*known, Route("/api/{rest:path}", as_json(no_route), methods=METHODS)]
