"""The tokenizer that a GGUF file describes: a byte-level BPE with its own vocabulary and merges, as a `tokenizer.json`.

The header names the rule by which text is cut before merges apply. Another rule gives other tokens than the model was
trained on, so one that is not known is refused.
"""

from collections.abc import Callable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from polysem.io.errors import InputError
from polysem.io.gguf_files import GgufFile

KIND, RULE = "tokenizer.ggml.model", "tokenizer.ggml.pre"
TOKENS, MERGES, TYPES = "tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.token_type"
BYTE_LEVEL = "gpt2"
CONTROL, USER_DEFINED = 3, 4
"""Types of tokens that are found in a text as they are, before it is cut: `<|endoftext|>`, and others."""
OTHERWISE = "set tokenizer to the model's own tokenizer.json, or to the hub id of a repository that has one"
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _as_gpt2(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)


def _single_digits(tokenizer: Tokenizer) -> None:
    digits, rest = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, rest])


def _as_qwen2(tokenizer: Tokenizer) -> None:
    cut = pre_tokenizers.Split(Regex(QWEN2), behavior="isolated")
    rest = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, rest])
    tokenizer.normalizer = normalizers.NFC()


RULES: dict[str, Callable[[Tokenizer], None]] = {"gpt-2": _as_gpt2, "smollm": _single_digits, "qwen2": _as_qwen2}


def gguf_tokenizer(file: GgufFile) -> Tokenizer:
    """The tokenizer of a file; InputError if the file has none, or one of another kind than those that are known."""
    kind, rule = file.value(KIND), file.value(RULE)
    if kind != BYTE_LEVEL:
        found = "no tokenizer" if kind is None else f"a tokenizer of the kind {kind!r}"
        raise InputError(f"{file.path} has {found}; of GGUF files byte-level BPE ({BYTE_LEVEL!r}) is read: {OTHERWISE}")
    if rule not in RULES:
        raise InputError(
            f"{file.path}: its tokenizer cuts text by the rule {rule!r}; known are {', '.join(RULES)}: {OTHERWISE}"
        )
    tokens, pairs = _texts(file, TOKENS), [merge.partition(" ") for merge in _texts(file, MERGES)]
    merges = [(left, right) for left, _, right in pairs]
    try:
        tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    except Exception as error:  # the library raises bare Exceptions
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{file.path}: its merges are not those of its tokens ({said}): {OTHERWISE}") from None
    tokenizer.decoder = decoders.ByteLevel()
    RULES[rule](tokenizer)
    kinds = file.value(TYPES) or []
    for number, token in enumerate(tokens[: len(kinds)]):
        if kinds[number] in (CONTROL, USER_DEFINED):
            tokenizer.add_tokens([AddedToken(token, normalized=False, special=kinds[number] == CONTROL)])
    _check_numbers(file, tokenizer, tokens)
    return tokenizer


def _texts(file: GgufFile, key: str) -> list[str]:
    found = file.value(key)
    if not isinstance(found, list) or not found or not all(isinstance(text, str) for text in found):
        raise InputError(f"{file.path} has no list of texts under {key}: {OTHERWISE}")
    return found


def _check_numbers(file: GgufFile, tokenizer: Tokenizer, tokens: list[str]) -> None:
    """InputError if a token has not the number that it has in the file: two of them may be spelled alike."""
    known = tokenizer.get_vocab(with_added_tokens=True)
    for number, token in enumerate(tokens):
        if known.get(token) != number:
            raise InputError(
                f"{file.path}: its token {token!r} is number {number} and number {known.get(token)}: {OTHERWISE}"
            )
