"""The versions that a study outside of the repository is made with: those of the lock, of what polysem needs."""

from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from polysem.params.addons import PACKAGE


def pinned(lock: str) -> str:
    """Those lines of a `requirements.lock` that an installed polysem needs without its extras; of sources that are not
    installed, all of them."""
    try:
        needed = _needed(PACKAGE)
    except PackageNotFoundError:
        return lock
    return "".join(f"{line}\n" for line in lock.splitlines() if (pin := _requirement(line)) and pin[0] in needed)


def _needed(package: str) -> set[str]:
    """All packages that one needs, whatever the system, as far as they are installed here."""
    found: set[str] = set()
    queue = [(package, frozenset[str]())]
    while queue:
        name, extras = queue.pop()
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            if name == package:
                raise
            continue
        for requirement in map(Requirement, lines):
            marker = str(requirement.marker or "")
            asked = "extra" not in marker or any(
                requirement.marker is not None and requirement.marker.evaluate({"extra": extra}) for extra in extras
            )
            known = canonicalize_name(requirement.name)
            if asked and known not in found:
                found.add(known)
                queue.append((known, frozenset(requirement.extras)))
    return found


def _requirement(line: str) -> tuple[str] | None:
    try:
        return (canonicalize_name(Requirement(line.partition(" #")[0].strip()).name),)
    except InvalidRequirement:
        return None
