"""What is passed on to the inference process, and how it is."""

import json
from typing import Any, get_args, get_origin
from urllib.parse import parse_qs

from pydantic.fields import FieldInfo
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from polysem.explorer.explorer import Explorer
from polysem.explorer.inference.jobs import ActivationsJob, Job, SearchJob, checked
from polysem.io.errors import InputError
from polysem.params.explain import nearest

JSON = "application/json"
MOST_PARAMETERS = 4000


async def search(request: Request) -> Response:
    """The features that are strongest on a text."""
    explorer: Explorer = request.app.state.explorer
    job = checked(SearchJob, parameters(request, SearchJob), "search")
    explorer.require_model(job.model)
    return JSONResponse(explorer.labelled(await explorer.inference.search(job)))


async def activations(request: Request) -> Response:
    """Activations of some features of a dictionary on some texts."""
    explorer: Explorer = request.app.state.explorer
    parameters(request, None)
    job = checked(ActivationsJob, await body(request), "activations")
    explorer.require_place(job.place)
    return Response(await explorer.inference.activations(job), media_type=JSON)


async def health(request: Request) -> Response:
    """Whether the server is there, and what the inference process does; answered at once."""
    explorer: Explorer = request.app.state.explorer
    parameters(request, None)
    return JSONResponse({"server": "ready", "study": explorer.study.name, **explorer.inference.health()})


def parameters(request: Request, job: type[Job] | None) -> dict[str, Any]:
    """The parameters in the address of a request as values of a job; lists are named once for each of their members.

    InputError for a parameter that the job has not, for one that is named twice and is no list, and for no text."""
    fields = {} if job is None else job.model_fields
    found: dict[str, Any] = {}
    for name, values in readable(request.url.query).items():
        if name not in fields:
            allowed = f"allowed here: {', '.join(fields)}" if fields else f"{request.url.path} takes none"
            raise InputError(f"there is no parameter {name!r}{nearest(name, list(fields))}; {allowed}")
        several = is_list(fields[name])
        if not several and len(values) > 1:
            raise InputError(f"the parameter {name!r} is named {len(values)} times; name it once")
        found[name] = values if several else values[0]
    return found


def readable(query: str) -> dict[str, list[str]]:
    """All values of an address's query by name. InputError for one that is no UTF-8, as its text would be another one,
    and for too many."""
    try:
        given = query.encode("ascii").decode()
        return parse_qs(given, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except UnicodeError:
        raise InputError("the parameters are no UTF-8; encode them as UTF-8, each byte as % and two digits") from None
    except ValueError:
        raise InputError(f"there are more than {MOST_PARAMETERS} parameters; leave some out") from None


def is_list(field: FieldInfo) -> bool:
    """Whether a field holds several values."""
    return any(get_origin(kind) is tuple for kind in (field.annotation, *get_args(field.annotation)))


async def body(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings; InputError for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise InputError(f"the Content-Type is {kind or 'missing'}; {request.url.path} takes {JSON}")
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InputError(f"the request is no JSON ({error}); send an object") from None
    if not isinstance(found, dict):
        raise InputError(f"the request holds {type(found).__name__}; send a JSON object")
    return found
