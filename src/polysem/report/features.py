"""Features that have a sheet, or of which people said something."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polysem.io.errors import InputError
from polysem.layout.annotations import FeatureAnnotations


@dataclass(frozen=True)
class Feature:
    """A feature that can be searched for; `page` is empty where people said something of it and it has no sheet."""

    number: int
    page: str
    tokens: list[str]
    said: FeatureAnnotations


def read_features(receipt: Path | None, said: Mapping[int, FeatureAnnotations]) -> list[Feature]:
    """Features of a dictionary that have a sheet, in the order of their receipt, then others of which people `said`
    something.

    `receipt` is that of its folder of sheets, if it has one. Raises InputError for a receipt that is missing or none.
    """
    sheets = [] if receipt is None else _sheets(receipt)
    features = [
        Feature(number, page, tokens, said.get(number, FeatureAnnotations())) for number, page, tokens in sheets
    ]
    numbers = {feature.number for feature in features}
    others = [(number, own) for number, own in said.items() if own.is_there and number not in numbers]
    return features + [Feature(number, "", [], own) for number, own in others]


def _sheets(path: Path) -> list[tuple[int, str, list[str]]]:
    """Number, page and tokens of each feature with a sheet."""
    again = f"write the sheets again: snakemake --cores all --force {path.as_posix()}"
    try:
        receipt = json.loads(path.read_text(encoding="utf-8"))
        return [
            (int(sheet["feature"]), str(sheet["page"]), [str(token) for token in sheet["tokens"]])
            for sheet in receipt["sheets"]
        ]
    except OSError as error:
        raise InputError(f"{path}, the receipt of sheets, cannot be read ({error.strerror}); {again}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is no receipt of sheets ({error!r}); {again}") from error
