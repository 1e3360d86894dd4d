"""Train and eval by a hash of the text, so that the same text is never in both."""

import hashlib
from collections.abc import Callable, Collection, Iterable

import pyarrow as pa

from polysem.io.errors import InputError


def is_eval(text: str, eval_share: float) -> bool:
    """Whether a text belongs to the eval split: its SHA-256, read as a number in [0, 1), is below `eval_share`."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < eval_share


def split_by_hash(
    texts: Iterable[str],
    eval_share: float,
    limit: int | None,
    origin: str,
    advice: Callable[[], str] = str,
) -> pa.Table:
    """Columns `text` and `split` in the order met, exact duplicates dropped, at most `limit` documents.

    Reads no further than the limit. Raises InputError, naming `origin` and ending in `advice`, when a split is empty.
    """
    distinct = list(first_distinct(texts, limit, set()))
    splits = ["eval" if is_eval(text, eval_share) else "train" for text in distinct]
    require_both(splits, origin, advice())
    return documents_table(distinct, splits, origin)


def require_both(splits: Collection[str], origin: str, advice: str = "") -> None:
    """InputError, naming `origin` and ending in `advice`, where one of the two splits has no document."""
    for split in ("train", "eval"):
        if split not in splits:
            raise InputError(
                f"{origin} gave {len(splits):,} distinct document{'s' * (len(splits) != 1)} and none of them is in the "
                f"{split} split; give more documents, raise `limit`, or choose another `eval_share`{advice}"
            )


def first_distinct(texts: Iterable[str], limit: int | None, seen: set[bytes]) -> Iterable[str]:
    """Texts that are not in `seen`, at most `limit` of them; `seen` grows by their digests."""
    count = 0
    for text in texts:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        if digest in seen:
            continue
        seen.add(digest)
        yield text
        count += 1
        if count == limit:
            return


def documents_table(texts: list[str], splits: list[str], origin: str) -> pa.Table:
    """Columns `text` and `split`; raises InputError, naming `origin`, when a split is empty."""
    require_both(splits, origin)
    return pa.table({"text": pa.array(texts, pa.string()), "split": pa.array(splits, pa.string())})
