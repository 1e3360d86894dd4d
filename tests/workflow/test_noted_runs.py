"""Notes in a finished study: what a star, a comment and a label run, and what stands there afterwards."""

import json
import os
import re

import pytest
import xarray as xr

pytestmark = pytest.mark.workflow

SITE = "blocks.0.mlp.hook_post"
SAE = f"stories-1l/{SITE}/topk-x4"
PAGES = {f"write_sheets/{SAE}", "write_case_studies/stories-1l", "write_report"}
"""Jobs whose pages show what people say of features."""
SHEETS = f"results/report/sheets/{SAE}"


def test_a_star_and_a_comment_write_sheets_of_their_dictionary_and_the_report_and_a_label_its_figures_too(repository):
    for options in (["--star"], ["--comment", "look at <b>this</b>"]):
        repository.polysem("notes", "add", SAE, "3", "--author", "Ada", *options)
        assert repository.plan().pending == PAGES
    repository.polysem("notes", "add", SAE, "3", "--author", "Ada", "--label", "dogs")
    with_figures = PAGES | {f"draw_figures/{SAE}", "collect_provenance"}
    assert repository.plan().pending == with_figures
    repository.polysem("notes", "add", SAE, "3", "--author", "Ada", "--label", "")
    repository.polysem("notes", "add", f"stories-1l/{SITE}/neurons", "3", "--author", "Ada", "--star")
    assert repository.plan().pending == PAGES | {f"write_sheets/stories-1l/{SITE}/neurons"}


def test_a_starred_feature_gets_a_sheet_and_a_label_its_figures(repository):
    feature = next(number for number in range(256) if not (repository / f"{SHEETS}/{number}.html").exists())
    figures = sorted((repository / f"results/figures/{SAE}").glob("*.svg"))
    for figure in figures:
        os.utime(figure, (1_600_000_000, 1_600_000_000))
    repository.polysem("notes", "add", SAE, str(feature), "--author", "Ada", "--star", "--comment", "see <b>this</b>")
    with repository.executed() as ran:
        repository.snakemake()
    assert ran == PAGES
    page = repository / f"{SHEETS}/{feature}.html"
    assert "★" in page.read_text() and "see &lt;b&gt;this&lt;/b&gt;" in page.read_text()
    index = (repository / "results/report/pages/static/search-index.js").read_text()
    assert f'"★ topk-x4 / {feature}"' in index and "see \\u003cb>this" in index
    assert f">{feature}</a>" in (repository / f"results/report/pages/models/{SAE}.html").read_text()

    repository.polysem("notes", "add", SAE, str(feature), "--author", "Ada", "--label", "dogs")
    repository.snakemake()
    drawn = {figure.stem for figure in figures if figure.stat().st_mtime != 1_600_000_000}
    assert 0 < len(drawn) < len(figures)
    assert all("labels" in read for read in reads_of(repository, drawn).values())


def test_a_feature_loses_its_mark_with_another_training_and_its_notes_are_told(changed):
    feature = json.loads((changed / ".git/noted.json").read_text())
    page = changed / f"{SHEETS}/{feature}.html"
    assert "another training" in (changed / f"{SHEETS}/index.html").read_text()
    assert not page.exists() or "Of another training: 1 note" in page.read_text()
    index = (changed / "results/report/pages/static/search-index.js").read_text()
    assert "★" not in index and '"dogs"' not in index
    listed = changed.polysem("notes")
    assert re.search(rf"{feature}\n +of another training \([0-9a-f]{{8}}\): ★ dogs Ada\n", listed)


def reads_of(repository, names):
    import ast

    found = {}
    for name in names:
        source = (repository / f"src/polysem/figures/of_dictionary/{name}.py").read_text()
        (reads,) = [
            ast.literal_eval(node.value)
            for node in ast.parse(source).body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "READS"
        ]
        found[name] = reads
    return found


def test_a_broken_note_stops_the_run_before_it_starts(repository):
    repository.polysem("notes", "add", SAE, "3", "--author", "Ada", "--star")
    (file,) = (repository / f"labels/{SAE}").glob("*.json")
    text = file.read_text()
    file.write_text(text.replace("true", '"yes"'))
    assert re.search(rf"error: labels/{SAE}/{file.name}, star: found 'yes'", repository.snakemake("-n", fails=True))
    file.write_text(text)
    (file.parent / "3.txt").write_text("a thought")
    (repository / f"labels/stories-1l/{SITE}/topk-x5").mkdir()
    said = repository.snakemake("-n")
    assert f"note: labels/{SAE}/3.txt is no note, as notes end in .json, so nobody reads it" in said
    assert f"note: labels/stories-1l/{SITE}/topk-x5 is of no dictionary of the params file" in said
    file.write_text(text.replace('"feature": 3', '"feature": 256'))
    assert "has to be called 256-ada-" in repository.snakemake("-n", fails=True)
    file.rename(file.with_name(file.name.replace("3-ada", "256-ada", 1)))
    assert "Ada says something of feature 256; the dictionary has 0 … 255" in repository.snakemake("-n", fails=True)


def test_scores_on_the_rubric_sheet_run_its_table_its_figure_the_metrics_and_the_report(repository):
    table = xr.load_dataset(repository / "results/tables/stories-1l/rubric.nc")
    page = repository / "results/report/pages/rubric/stories-1l.html"
    before = page.read_bytes()
    assert table.attrs["sheet"] in before.decode() and not (page.parent / "digits.html").exists()
    files = sorted((repository / "results/figures/stories-1l/together").glob("*.svg"))
    for file in files:
        os.utime(file, (1_600_000_000, 1_600_000_000))
    scores = [
        {"item": str(item), "explanation": "dogs", "confidence": 3, "activation_consistency": 5, "logit_consistency": 2}
        | {"specificity": 1 if kind == "neuron" else 3}
        for item, kind in zip(table["item"].values, table["kind"].values, strict=True)
    ]
    file = repository / "labels/stories-1l/rubric/ada.json"
    file.parent.mkdir(parents=True)
    said = {"model": "stories-1l", "author": "Ada", "sheet": table.attrs["sheet"], "scores": scores}
    file.write_text(json.dumps(said))
    with repository.executed() as ran:
        repository.snakemake()
    model = {f"{rule}/stories-1l" for rule in ("measure_explanations", "write_case_studies", "draw_model_figures")}
    assert ran == model | {"collect_metrics", "check_claims", "collect_provenance", "write_report"}
    assert page.read_bytes() == before
    metrics = json.loads((repository / "results/metrics.json").read_text())["stories-1l"]["model"]
    assert (metrics["rubric_median_features"], metrics["rubric_median_neurons"]) == (13, 11)
    drawn = repository / "results/figures/stories-1l/together/rubric_scores.svg"
    assert drawn.exists() and all(one.stat().st_mtime == 1_600_000_000 for one in files)
    assert repository.plan().pending == set()

    file.write_text(json.dumps(said | {"scores": [scores[0] | {"item": "f" * 16}]}))
    assert "Ada scores the item ffffffffffffffff" in repository.snakemake("-n", fails=True)
    file.write_text(json.dumps(said | {"sheet": "0" * 64, "scores": [scores[0] | {"item": "f" * 16}]}))
    assert repository.plan().pending == ran
