"""Style sheets and scripts: the explorer's own, and those of the sheets."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from polysem.explorer.pages.rendering import PACKAGE, REPORT

KINDS = {".js": "text/javascript", ".css": "text/css"}
FILES = {
    file.name: file
    for folder, names in ((PACKAGE / "static", "*"), (REPORT, "sheet.*s"))
    for file in sorted(folder.glob(names))
    if file.suffix in KINDS
}
"""What can be asked for, by name."""


async def static_file(request: Request) -> Response:
    """One of the files, which browsers ask about again each time: an upgrade shows at once."""
    file = FILES.get(request.path_params["name"])
    if file is None:
        raise HTTPException(404)
    return FileResponse(file, media_type=KINDS[file.suffix], headers={"Cache-Control": "no-cache"})
