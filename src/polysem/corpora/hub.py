"""Rows of data sets on the Hugging Face hub, streamed; a hub that cannot be reached is found out within seconds."""

from collections.abc import Iterator
from typing import Any

from polysem.io.disk import disk_problem
from polysem.io.errors import InputError
from polysem.io.network import network_errors

TIMEOUT = 10
"""Seconds that the hub has for its first answer."""
RETRIES = 3
"""How often a stream that breaks off is taken up again; the library's own choice is 20 with pauses."""


def require_hub(dataset: str, revision: str, advice: str) -> None:
    """One question to the hub before anything is streamed: the library itself would retry for minutes.

    Raises InputError where the hub cannot be reached, ending in `advice`, or does not know the data set or revision.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    try:
        HfApi().dataset_info(dataset, revision=revision, timeout=TIMEOUT)
    except HFValidationError as error:
        raise InputError(f"`{dataset}` is no data set id: {error}; write `owner/name`") from None
    except RepositoryNotFoundError:
        raise InputError(
            f"the hub has no data set `{dataset}` that you may read; check the id, or log in with `hf auth login`"
        ) from None
    except HfHubHTTPError as error:
        raise InputError(f"the hub refused data set `{dataset}` at revision `{revision}`: {error}") from None
    except network_errors() as error:
        raise InputError(
            f"data set `{dataset}`: the Hugging Face hub cannot be reached ({type(error).__name__}: {error}); {advice}"
        ) from None


def stream(dataset: str, config: str | None, split: str, revision: str | None) -> Iterator[dict[str, Any]]:
    """Rows of one split, in order; `dataset` may be a local folder, too.

    Raises InputError where the data set has no such configuration or split, and where the stream breaks off for good.
    """
    import datasets

    datasets.config.STREAMING_READ_MAX_RETRIES = RETRIES
    try:
        rows = datasets.load_dataset(dataset, config, split=split, streaming=True, revision=revision)
    except ValueError as error:
        raise InputError(f"data set `{dataset}`: {error}; check `config`, `split` and `eval_split`") from None
    try:
        yield from rows
    except network_errors() as error:
        if said := disk_problem(error):
            raise InputError(f"data set `{dataset}`: {said}") from error
        raise InputError(
            f"data set `{dataset}`: the stream of `{split}` broke off ({type(error).__name__}: {error}); run again"
        ) from None
