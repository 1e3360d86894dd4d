"""Single features: examples, labels, tags, sheets."""

import html
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

import polysem

SITE = "blocks.0.mlp.hook_post"
HOSTILE = '<script src="https://evil.example/x.js"></script>"><img onerror=alert(1)>'
pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def active(site) -> "polysem.Feature":
    """The feature of topk-x4 that is active most often."""
    frequency = site["topk-x4"].table("frequency")["frequency"].to_numpy()
    return site["topk-x4"].feature(int(frequency.argmax()))


def test_examples_are_text_of_the_corpus_with_the_activations_of_the_sae(active, site, finished):
    examples = active.examples
    top = [example for example in examples if example.kind == "top"]
    assert len(top) == 20 and [one.activation for one in top] == sorted((one.activation for one in top), reverse=True)
    texts = pq.read_table(finished / "results/corpora/stories/documents.parquet")["text"].to_pylist()
    activations = site.activations("eval")
    places = list(zip(activations["sequence"].values.tolist(), activations["position"].values.tolist(), strict=True))
    for example in top[:5]:
        stories = "".join(example.tokens).split("<|bos|>")
        assert all(any(story in text for text in texts) for story in stories)
        assert example.activations[example.key] == pytest.approx(example.activation, rel=1e-6)
        row = places.index((example.sequence, example.position))
        encoded = active.dictionary.encode(activations[row].to_numpy())[active.number]
        assert encoded == pytest.approx(example.activation, rel=1e-3)
        assert f"[[{example.tokens[example.key]}]]" in eval(str(example).partition(": ")[2])
    samples = [example for example in examples if example.kind == "sample"]
    assert samples and all(0 <= example.quantile <= 1 for example in samples)


def test_diverse_examples_lie_apart_and_stand_for_others(active, site):
    found, table = active.diverse_examples, active.tables["diverse_examples"]
    assert 1 < len(found) <= 20 and all(example.kind == "diverse" for example in found)
    assert [one.activation for one in found] == sorted((one.activation for one in found), reverse=True)
    assert sum(1 + one.repeats + one.similar for one in found) <= int(table["candidates"])
    strongest = next(example for example in active.examples if example.kind == "top")
    assert (found[0].sequence, found[0].position) == (strongest.sequence, strongest.position)
    assert found[0].tokens == strongest.tokens
    activations = site.activations("eval")
    places = list(zip(activations["sequence"].values.tolist(), activations["position"].values.tolist(), strict=True))
    x = activations.to_numpy()[[places.index((one.sequence, one.position)) for one in found]]
    sae = active.dictionary.weights
    embedding = (x - sae.b_dec.numpy()) * sae.W_enc[:, active.number].numpy()
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    distances = 1 - embedding @ embedding.T
    assert distances[np.triu_indices(len(found), 1)].min() > 0.3 - 1e-3


def test_a_feature_that_is_never_active_has_no_examples(site):
    counts = site["topk-x4"].table("frequency")["active_tokens"].to_numpy()
    silent = int(np.flatnonzero(counts == 0)[0])
    assert site["topk-x4"].feature(silent).examples == []
    assert site["topk-x4"].feature(silent).diverse_examples == []


def test_examples_of_images_name_the_image(study):
    dictionary = study["digits"]["layers.0.hook_post"]["topk-x4"]
    busy = int(dictionary.table("frequency")["frequency"].to_numpy().argmax())
    example = dictionary.feature(busy).examples[0]
    pixels = study["digits"].tokens("eval")["pixels"][example.sequence].to_numpy()
    found = dictionary.encode(study["digits"].run(pixels[None])["layers.0.hook_post"])[0, busy]
    assert float(found) == pytest.approx(example.activation, rel=1e-5) and example.tokens == []


def test_tags_are_the_main_one_and_those_whose_best_feature_it_is(site):
    table = site["topk-x4"].table("tags").load()
    tag = int(np.flatnonzero(table["best_feature"].to_numpy() >= 0)[0])
    number = int(table["best_feature"][tag])
    tags = site["topk-x4"].feature(number).tags
    name = str(table["tag"].values[tag])
    assert tags.loc[name, "best"] and tags.loc[name, "auroc"] == float(table["auroc"][tag])
    assert set(tags.index[tags.best]) == set(table["tag"].values[table["best_feature"].values == number])
    main = int(table["main_tag"][number])
    assert list(tags.index[tags.main]) == ([str(table["tag"].values[main])] if main >= 0 else [])
    if main >= 0:
        assert tags[tags.main].monosemanticity.item() == float(table["monosemanticity"][number])


def test_rows_of_tables_are_those_of_the_feature(active):
    table = active.dictionary.table("alignment")
    assert int(active.tables["alignment"]["strongest_neuron"]) == int(table["strongest_neuron"][active.number])
    with pytest.raises(polysem.InputError, match="'rank_frequency' says nothing of single features"):
        active.tables["rank_frequency"]
    with pytest.raises(KeyError, match="did you mean 'alignment'"):
        active.tables["alignmnt"]


def test_a_feature_that_there_is_not_is_refused(site):
    for number in (-1, 256):
        with pytest.raises(KeyError, match=rf"has no feature {number}; it has 0 … 255"):
            site["topk-x4"].feature(number)
    assert len(list(site["neurons"])) == 64


def test_the_sheet_of_the_run_is_shown_without_links_scripts_or_a_network(site):
    sae = site["topk-x4"]
    page = min(finished_pages(sae), key=lambda file: file.stem)
    feature = sae.feature(int(page.stem))
    assert feature.sheet() == page.read_text()
    shown = html.unescape(feature._repr_html_())
    assert feature._repr_html_().count("<") == 2  # the frame alone; all else is in its attribute
    assert "<script" not in shown and "http" not in shown
    assert 'href="' not in shown.replace('href="#', "") and "<style>" in shown and "<h1>Feature" in shown


def test_a_sheet_that_the_run_did_not_write_is_the_same_page_without_links(results):
    folder = results / f"report/sheets/stories-1l/{SITE}"
    for name in ("topk-x4", "neurons"):
        sae = polysem.open(results)["stories-1l"][SITE][name]
        number = int(min(page.stem for page in (folder / name).glob("[0-9]*.html")))
        written = sae.feature(number).sheet()
        shutil.rmtree(folder / name)
        made = polysem.open(results)["stories-1l"][SITE][name].feature(number).sheet()
        for part in ("<h2>Top examples</h2>", "Correlated neurons"):
            assert part in made
        between = [page.partition("<h2>Activations</h2>")[2].partition("</div>")[0] for page in (written, made)]
        assert between[0] == between[1] != ""
        examples = [page.partition("<h2>Top examples</h2>")[2].partition("</section>")[0] for page in (written, made)]
        assert examples[0] == examples[1] != ""
    assert "Features that point here" in made


def test_hostile_labels_are_only_text(results):
    file = results.parent / f"labels/stories-1l/{SITE}/topk-x4.csv"
    file.parent.mkdir(parents=True)
    quoted = HOSTILE.replace('"', '""')
    file.write_text(f'feature,label,author,note\n9,"{quoted}","{quoted}","{quoted}"\n9,second,bob,\n')
    shutil.rmtree(results / f"report/sheets/stories-1l/{SITE}/topk-x4")
    feature = polysem.open(results)["stories-1l"][SITE]["topk-x4"].feature(9)
    assert feature.label == f"{HOSTILE}; second" and [label.author for label in feature.labels] == [HOSTILE, "bob"]
    framed = feature._repr_html_()
    assert framed.count("<") == 2
    page = html.unescape(framed)
    assert "<script" not in page and "<img onerror" not in page and "&lt;script" in page


def finished_pages(dictionary):
    return list(dictionary._results.bring(dictionary.place.sheets.path).glob("[0-9]*.html"))
