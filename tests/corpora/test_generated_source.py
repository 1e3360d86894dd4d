import base64
import re
from collections import Counter

import pyarrow as pa
import pytest

from polysem.corpora.sources.generated.make import OTHER_KINDS, distinct_documents, kind_of_row, make
from polysem.corpora.tagged import TAGS_TYPE, TaggedText
from polysem.io.errors import InputError


def corpus(**params) -> pa.Table:
    return make({"source": "generated", "train_documents": 400, "eval_documents": 100, **params})


def texts(table: pa.Table, split: str) -> list[str]:
    return [text for text, of in zip(table["text"].to_pylist(), table["split"].to_pylist(), strict=True) if of == split]


def documents_of(kind: str) -> list[str]:
    table = corpus(train_documents=500, eval_documents=60, other_kinds=1.0)
    rows = zip(table["text"].to_pylist(), table["tags"].to_pylist(), strict=True)
    return [text for text, tags in rows if tags[0]["tag"] == f"kind:{kind}"]


def test_the_columns_are_text_split_and_tags():
    table = corpus()
    assert table.schema.names == ["text", "split", "tags"]
    assert table.schema.field("tags").type == TAGS_TYPE
    assert Counter(table["split"].to_pylist()) == {"train": 400, "eval": 100}


def test_train_and_eval_share_no_document_and_none_comes_twice():
    table = corpus(train_documents=2000, eval_documents=2000, other_kinds=0.5)
    assert len(set(table["text"].to_pylist())) == 4000


def test_the_same_params_give_the_same_table_and_another_seed_gives_another():
    assert corpus().equals(corpus())
    assert not set(texts(corpus(), "train")) & set(texts(corpus(seed=1), "train"))


def test_more_documents_leave_the_first_ones_as_they_are():
    small, large = corpus(), corpus(train_documents=700, eval_documents=150)
    assert texts(large, "train")[:400] == texts(small, "train")
    assert texts(large, "eval")[:100] == texts(small, "eval")


@pytest.mark.parametrize(("share", "each"), [(0.0, 0), (0.07, 10), (0.35, 50), (0.7, 100)])
def test_other_kinds_have_their_share_in_equal_parts(share, each):
    counts = Counter(kind_of_row(row, share) for row in range(1000))
    assert all(counts[kind] == each for kind in OTHER_KINDS)
    assert counts["story"] == 1000 - len(OTHER_KINDS) * each


def test_the_whole_document_is_tagged_with_its_kind():
    for text, tags in zip(corpus()["text"].to_pylist(), corpus()["tags"].to_pylist(), strict=True):
        whole = {"start": 0, "end": len(text)}
        assert [tag for tag in tags if tag["tag"].startswith("kind:")] == [whole | {"tag": tags[0]["tag"]}]


def test_offsets_cut_out_names_and_pronouns():
    pronouns = Counter()
    table = corpus()
    for text, tags in zip(table["text"].to_pylist(), table["tags"].to_pylist(), strict=True):
        for tag in tags:
            if tag["tag"] == "pronoun:she":
                pronouns[text[tag["start"] : tag["end"]].lower()] += 1
    assert set(pronouns) == {"she", "her", "herself"} or set(pronouns) == {"she", "her"}


def test_a_generator_that_runs_dry_is_an_error_that_says_how_far_it_came():
    with pytest.raises(InputError, match=r"found only 2 distinct documents and 3 more are wanted"):
        list(distinct_documents(lambda row, attempt: TaggedText("ab"[attempt % 2], []), 5, set(), attempts=10))


def test_a_text_that_has_been_seen_is_drawn_again():
    drawn = list(distinct_documents(lambda row, attempt: TaggedText(str(attempt), []), 3, set()))
    assert [document.text for document in drawn] == ["0", "1", "2"]


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_documents_of_other_kinds_are_longer_than_their_first_tokens_and_no_longer_than_stories(kind):
    documents = documents_of(kind)
    assert len(documents) >= 79
    lengths = sorted(map(len, documents))
    assert lengths[0] >= 160 and lengths[-1] <= 1000


def test_base64_documents_decode_and_often_end_in_padding():
    documents = documents_of("base64")
    assert all(len(base64.b64decode(text.replace("\n", ""), validate=True)) >= 180 for text in documents)
    assert 0.4 < sum(text.endswith("=") for text in documents) / len(documents) < 0.9


def test_dna_is_four_letters_in_lines_with_or_without_a_header():
    documents = documents_of("dna")
    assert all(re.fullmatch(r"(>seq\d+ \w+ chr\d+\n)?([ACGT]{1,60}\n)*[ACGT]{1,60}", text) for text in documents)
    assert 0.3 < sum(text.startswith(">") for text in documents) / len(documents) < 0.7


def test_code_is_valid_python():
    for text in documents_of("code"):
        compile(text, "document", "exec")


def test_hexadecimal_digests_have_one_length_in_a_document():
    for text in documents_of("hexadecimal"):
        assert re.fullmatch(r"[0-9a-f\n]+", text)
        assert len(set(map(len, text.split("\n")))) == 1


def test_product_keys_are_groups_of_five_letters_that_are_not_mixed_up():
    for text in documents_of("keys"):
        assert re.fullmatch(r"(([A-HJ-NP-Z2-9]{5}-){2,4}[A-HJ-NP-Z2-9]{5}\n?)+", text)
        assert len(set(map(len, text.split("\n")))) == 1


@pytest.mark.parametrize(("kind", "letters"), [("arabic", "\u0600-\u06ff"), ("hebrew", "\u0590-\u05ff")])
def test_each_script_has_no_foreign_letter_and_more_than_80_words(kind, letters):
    documents = documents_of(kind)
    assert all(re.fullmatch(rf"[{letters} .,?]+", text) for text in documents)
    assert len({word for text in documents for word in re.findall(rf"[{letters}]+", text)}) > 80
