"""Tokenizers, always read from `tokenizer.json` itself.

AutoTokenizer rewrites some of them on loading and then gives other ids than the model was trained on; the file read
by the tokenizers library gives the model's own.
"""

from pathlib import Path

from tokenizers import Tokenizer

from polysem.io.errors import InputError

SAMPLING = ("dropout", "alpha", "nbest_size")
"""Settings of the library's models (BPE, Unigram) that make the ids of a text random; None turns them off."""


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`, without truncation, padding and sampling; InputError if it cannot be read.

    Sampling (BPE dropout) is for training: text gets the ids that a model is given afterwards, the same every time.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exceptions
        raise InputError(f"{path} is no tokenizer.json that the tokenizers library reads ({error})") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for setting in SAMPLING:
        if getattr(tokenizer.model, setting, None) is not None:
            setattr(tokenizer.model, setting, None)
    return tokenizer


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """Id of a token by its text; InputError with the special tokens there are if it is unknown."""
    found = tokenizer.token_to_id(token)
    if found is None:
        special = sorted(added.content for added in tokenizer.get_added_tokens_decoder().values())
        raise InputError(f"the tokenizer has no token {token!r}; its special tokens are {', '.join(special) or 'none'}")
    return int(found)


def check_vocabulary(tokenizer: Tokenizer, known: int, path: Path) -> None:
    """InputError, with the first one, if the tokenizer has tokens behind those that a model knows."""
    beyond = {number: text for text, number in tokenizer.get_vocab(with_added_tokens=True).items() if number >= known}
    if beyond:
        first = min(beyond)
        raise InputError(
            f"{path} has the token {beyond[first]!r} of number {first}, but the model knows {known:,} tokens, 0 to "
            f"{known - 1}; take the tokenizer that belongs to the model, or remove the tokens that it lacks"
        )
