"""Regular expressions that stand in for the truth about real text."""

import re
import warnings
from typing import Annotated

from pydantic import AfterValidator

from polysem.params.time_limit import time_limit

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

DEFAULT_PROXIES = {
    "arabic": (
        r"[\u0600-\u06FF\u0750-\u077F\u08A0-\u08FF\uFB50-\uFDFF\uFE70-\uFEFC]"
        r"(?:[\u0600-\u06FF\u0750-\u077F\u08A0-\u08FF\uFB50-\uFDFF\uFE70-\uFEFC\W\d]*"
        r"[\u0600-\u06FF\u0750-\u077F\u08A0-\u08FF\uFB50-\uFDFF\uFE70-\uFEFC])?"
    ),
    "hebrew": r"[\u0590-\u05FF\uFB1D-\uFB4F](?:[\u0590-\u05FF\uFB1D-\uFB4F\W\d]*[\u0590-\u05FF\uFB1D-\uFB4F])?",
    "base64": (
        r"(?<![A-Za-z0-9+/=_.:-])(?=[a-z0-9+/]*[A-Z])(?=[A-Z0-9+/]*[a-z])(?=[A-Za-z+/]*[0-9])"
        r"[A-Za-z0-9+/]{24,}={0,2}(?![A-Za-z0-9+/=_-])"
    ),
    "dna": r"(?<![A-Za-z])(?:[ACGTN]{12,}|[acgtn]{12,})(?![A-Za-z])",
    "code": (
        r"(?m)^[ \t]*+(?:"
        r"(?:def|class|for|if|elif|else|while|with|try|except)\b[^\n]*:"
        r"|(?:from [\w.]+ )?import [\w.]+(?:(?:, | as )[\w.]+)*"
        r"|#include[^\n]*"
        r"|return\b[^\n]*"
        r"|\w[\w.\[\]]* [-+*/|&]?= [^\n]+"
        r"|\w[\w.]*\([^\n]*\)"
        r"|[^\n={(]*(?:[{(]|[={(][^\n]*[;{(\[])"
        r"|[\w-]+: [^\n]+;"
        r"|[})\]]+[;,]?"
        r")[ \t]*$\n?"
    ),
}
"""Contexts of document S1, and code, by what their characters look like. They err on both sides: a name of 24 letters
and digits passes for base64, a line of prose behind a return for code."""

PROBES = ("", "a", "A1 b\n", "\n\n")
PROBE_SECONDS = 1.0
"""Processor time for one of them."""


def check_proxies(proxies: dict[str, str]) -> dict[str, str]:
    """The same; ValueError, as a sentence for the user, for the first name or expression that cannot serve."""
    for name, expression in proxies.items():
        if not NAME.fullmatch(name):
            raise ValueError(f"the name {name!r} is not allowed; names consist of letters, digits, '-' and '_'")
        compiled = compiled_proxy(name, expression)
        for probe in PROBES:
            if _matches_nothing(name, compiled, probe):
                raise ValueError(
                    f"the expression of {name!r} matches the empty string, so it would tag nothing or everything; "
                    "put + in place of *, or leave out what is optional"
                )
    return proxies


def _matches_nothing(name: str, compiled: re.Pattern[str], probe: str) -> bool:
    try:
        with time_limit(PROBE_SECONDS):
            return any(match.start() == match.end() for match in compiled.finditer(probe))
    except TimeoutError:
        raise ValueError(
            f"the expression of {name!r} does not come to an end on {probe!r}; repetitions of repetitions, such as "
            "(a{99}){99}, try every way to divide what they match: leave one out"
        ) from None


def compiled_proxy(name: str, expression: str) -> re.Pattern[str]:
    """The expression in Python's syntax; ValueError where it has none, or one that Python warns of."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(expression)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ValueError(
            f"the expression of {name!r} is no regular expression of Python: {error}; write it in single quotes in "
            "YAML, where a backslash is a backslash"
        ) from None


Proxies = Annotated[dict[str, str], AfterValidator(check_proxies)]
