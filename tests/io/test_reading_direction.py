"""Stretches of tokens that read from the right."""

from polysem.figures.parts.reading_direction import stretches


def test_a_stretch_reaches_from_the_first_text_that_reads_from_the_right_to_the_last():
    texts = ["a", "א", " ", "ב", ".", "b", "ג", "1"]
    found = [("".join(texts[place] for place in run), turned) for run, turned in stretches(texts)]
    assert found == [("a", False), ("א ב", True), (".", False), ("b", False), ("ג", True), ("1", False)]
    assert list(stretches([])) == []
