"""Text of a corpus is data: whatever it holds, the page keeps its form."""

import unicodedata

import pytest

from polysem.report.visible import visible, visible_bytes

from .sheet_case import MODEL, SAE, SITE, Page, SheetCase

LISTED = {f"{MODEL}/{SITE}/{SAE}": [3]}
SCRIPT = "</summary><script>alert('1')</script><img src=x onerror=alert(1)>&amp;\"{{ 7 * 7 }}"
OVERRIDES = "abc\u202edef\u2066ghi\u200bjkl\ufeffmno\u061cpqr"


@pytest.fixture
def case(tmp_path):
    return SheetCase(tmp_path)


def plain(markup):
    """The text of some HTML."""
    from html.parser import HTMLParser

    texts = []
    parser = HTMLParser()
    parser.handle_data = texts.append
    parser.feed(str(markup))
    return "".join(texts)


def test_markup_in_tokens_and_labels_stays_text(case):
    harmless = Page(case.write(listed=LISTED) / "3.html")
    case.show(3, SCRIPT)
    case.write(listed=LISTED, labels='feature,label,author,note\n3,"<b>x</b>","<i>me</i>","<script>1</script>"\n')
    page = Page(case.folder / "sheets" / MODEL / SITE / SAE / "3.html")
    assert len(page.all("script")) == len(harmless.all("script")) == 2
    assert not page.all("img") and not any("onerror" in attributes for _, attributes in page.elements)
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in harmless.elements} | {"ul", "li"}
    assert SCRIPT[:30] in page.contexts[0] and "{{" in page.contexts[0]
    assert "<b>x</b>" in page.text and "<i>me</i>" in page.text and "<script>1</script>" in page.text
    index = Page(case.folder / "sheets" / MODEL / SITE / SAE / "index.html")
    assert "<b>x</b>" in index.text and not index.all("b")


def test_what_could_reorder_the_page_is_shown_by_name(case):
    case.show(3, OVERRIDES)
    case.write(listed=LISTED, labels="feature,label,author,note\n3,\u202eleb\u200bal,m\u202de,\u2067note\n")
    for page in (Page(file) for file in (case.folder / "sheets" / MODEL / SITE / SAE).glob("*.html")):
        raw = {letter for letter in page.source if unicodedata.category(letter) in ("Cf", "Cc") and letter != "\n"}
        assert not raw
    page = Page(case.folder / "sheets" / MODEL / SITE / SAE / "3.html")
    assert "abcRLOdefLRIghiZWSPjklBOMmnoALMpqr" in page.contexts[0].replace(" ", "")
    assert "RLOlebZWSPal" in page.text and "mLROe" in page.text and "RLInote" in page.text


def test_letters_that_read_from_the_right_stay_together_and_apart_from_the_rest(case):
    case.show(3, "say ", "مر", "حبا", " ", "بك", " now", key=2)
    source = Page(case.write(listed=LISTED) / "3.html").source
    summary = source.split('<summary dir="ltr">')[1].split("</summary>")[0]
    (run,) = summary.split('<bdi dir="rtl">')[1:]
    assert plain(run.split("</bdi>")[0]) == "مرحبا بك" and plain(summary) == "say مرحبا بك now"
    assert "<mark" in run.split("</bdi>")[0]


def test_a_run_ends_where_the_last_letter_from_the_right_stands():
    from polysem.report.contexts import _in_runs

    html = _in_runs([(visible(text), text) for text in ("a", "שלום", " ", "עולם", "! ", "b")])
    assert str(html) == 'a<bdi dir="rtl">שלום עולם</bdi>! b'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a↵b"),
        ("\t\0\x7f", "␉␀␡"),
        ("\x85", "U+0085"),
        ("\u00a0\u2028\u3000", "NBSPLSEPU+3000"),
        ("\ue000\U000e0041", "U+E000U+E0041"),
        ('<&">', '<&">'),
        ("é שלום 漢", "é שלום 漢"),
    ],
)
def test_every_character_is_seen(text, shown):
    assert plain(visible(text)) == shown


def test_blanks_and_combining_marks_are_seen_where_a_text_stands_alone():
    assert plain(visible(" a", alone=True)) == "·a" and plain(visible(" a")) == " a"
    assert plain(visible("\u0301a", alone=True)) == "◌\u0301a" and plain(visible("\u0301a")) == "\u0301a"


def test_parts_of_characters_are_shown_as_bytes():
    assert plain(visible_bytes(b"a\xd8")) == "aD8"
    assert plain(visible_bytes(b"\x98\x80b\xff")) == "9880bFF"
    assert str(visible_bytes("é".encode())) == "é"


def test_a_character_of_several_tokens_stands_with_the_last_of_them():
    from polysem.report.contexts import _decoded

    def texts(*pieces):
        return [plain(html) for html, _ in _decoded([(piece, False) for piece in pieces])]

    assert texts(b"a\xf0\x9f", b"\x98", b"\x80b") == ["aF0 9F", "98", "😀b"]
    assert texts(b"\xd8", b"x") == ["D8", "x"]
    assert texts(b"\xd8", b"\xd9", b"\x85") == ["D8", "D9", "م"]
    assert texts(b"\x85", b"y") == ["85", "y"]


def test_special_tokens_are_no_text():
    from polysem.report.contexts import _decoded

    decoded = _decoded([(b"\xd8", False), (b"<|endoftext|>", True), (b"\x85", False)])
    assert [plain(html) for html, _ in decoded] == ["D8", "<|endoftext|>", "85"]
    assert 'class="special"' in decoded[1][0] and decoded[1][1] == ""
