"""What corpora, models, recipes and toys may be called: their names become folders, beside which other files stand."""

from collections.abc import Iterable

from polysem.io.errors import InputError
from polysem.params.base import FILE_ENDINGS, INDEX, LONGEST_NAME, NAME, NEURONS, TOGETHER

TAKEN = (NEURONS, TOGETHER, INDEX)


def check_name(key: str, name: object) -> None:
    """InputError for a name under `key` that is no folder of its own on every file system."""
    if isinstance(name, str):
        check_length(key, name)
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.casefold() in TAKEN:
        raise InputError(
            f"{key}: the name {name!r} is not allowed; names consist of letters, digits, '-', '+' and inner dots "
            f"(they become folders), and {', '.join(map(repr, TAKEN))} are taken"
        )
    ending = name.rpartition(".")[2] if "." in name else ""
    if ending.casefold() in FILE_ENDINGS:
        raise InputError(
            f"{key}: the name {name!r} ends in '.{ending}', as files do that stand beside the folders of other names; "
            f"rename it, for example to {name.replace('.', '-')!r}"
        )


def check_length(key: str, name: str) -> None:
    """InputError for a name that file systems would not take with the endings that follow."""
    if len(name) > LONGEST_NAME:
        raise InputError(
            f"{key}: the name {name[:30]}… has {len(name)} characters, and folders are called so; "
            f"{LONGEST_NAME} are allowed"
        )


def check_distinct(key: str, names: Iterable[object]) -> None:
    """InputError for two names that are one folder where file systems do not tell A from a."""
    seen: dict[str, object] = {}
    for name in names:
        twin = seen.setdefault(str(name).casefold(), name)
        if twin != name:
            raise InputError(
                f"{key}: {twin!r} and {name!r} differ in case alone and become folders, which are one on file systems "
                "that do not tell A from a; rename one"
            )
