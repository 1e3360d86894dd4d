"""`polysem.open`: names, metrics, and what is said where something is not as expected."""

import json
import shutil

import pandas as pd
import pytest

import polysem

SITE = "blocks.0.mlp.hook_post"
pytestmark = pytest.mark.workflow


def test_names_are_those_of_the_params_and_the_neurons_come_first(study, site):
    assert set(study) == {"stories-1l", "digits"}
    assert list(study["digits"]) == ["layers.0.hook_post"]
    assert list(study["digits"]["layers.0.hook_post"]) == ["neurons", "topk-x4"]  # l1-x4 is for the stories alone
    assert list(site) == ["neurons", "l1-x4", "topk-x4"]
    assert len(site) == 3 and "neurons" in site and "l1" not in site


def test_a_wrong_name_is_a_key_error_that_gives_the_nearest(study, site):
    wrong = {"stories-2l": (study, "stories-1l"), "layers.1.hook_post": (study["digits"], "layers.0.hook_post")}
    for name, (mapping, nearest) in (wrong | {"topk-x8": (site, "topk-x4")}).items():
        with pytest.raises(KeyError) as caught:
            mapping[name]
        assert isinstance(caught.value, polysem.InputError)
        assert f"no {mapping._kind} {name!r} (did you mean {nearest!r}?)" in str(caught.value)
        assert mapping.get(name) is None


def test_metrics_are_those_of_the_file_one_per_row(study, finished):
    held = json.loads((finished / "results/metrics.json").read_text())
    metrics = study.metrics
    one = metrics[(metrics.model == "stories-1l") & (metrics.site == SITE) & (metrics.dictionary == "l1-x4")]
    assert dict(zip(one.metric, one.value, strict=True)) == held["stories-1l"][SITE]["l1-x4"]
    of_model = metrics[(metrics.model == "digits") & metrics.site.isna()]
    assert dict(zip(of_model.metric, of_model.value, strict=True)) == held["digits"]["model"]
    assert len(study.claims) == len(json.loads((finished / "results/claims.json").read_text()))


def test_plots_are_tables(study, finished):
    path = finished / f"results/plots/stories-1l/{SITE}/neurons/rank_frequency.csv"
    pd.testing.assert_frame_equal(study.plot("stories-1l", SITE, "neurons", "rank_frequency"), pd.read_csv(path))
    with pytest.raises(polysem.InputError, match="there is no plot 'ranks'; there are: frequency_"):
        study.plot("stories-1l", SITE, "neurons", "ranks")


def test_an_sae_that_was_removed_from_the_params_is_left_over_and_said_to_be(results):
    file = results / "report/pages/params.json"
    params = json.loads(file.read_text())
    del params["saes"]["l1-x4"]
    file.write_text(json.dumps(params))
    site = polysem.open(results)["stories-1l"][SITE]
    assert list(site) == ["neurons", "topk-x4"]
    assert "left over: l1-x4" in repr(site) and "not in the params of the run: l1-x4" in site._repr_html_()
    with pytest.raises(KeyError, match=r"'l1-x4' in the params of the run, but on disk; `site.left_over` opens it"):
        site["l1-x4"]
    assert list(site.left_over) == ["l1-x4"]
    assert site.left_over["l1-x4"].table("frequency").sizes["feature"] == 256


def test_without_recorded_params_names_are_those_that_are_there_and_it_says_so(results):
    (results / "report/pages/params.json").unlink()
    study = polysem.open(results)
    assert {model: {site: list(held) for site, held in sites.items()} for model, sites in study.items()} == {
        "digits": {"layers.0.hook_post": ["neurons", "topk-x4"]},
        "stories-1l": {SITE: ["neurons", "l1-x4", "topk-x4"]},
    }
    assert study.params is None
    assert "holds no report/pages/params.json" in repr(study) and "names are those that were found" in repr(study)
    (results / "metrics.json").unlink()
    assert list(polysem.open(results)["stories-1l"][SITE]) == ["neurons", "l1-x4", "topk-x4"]


def test_a_repository_opens_as_its_results_do(finished, study):
    assert list(polysem.open(finished.folder)) == list(study)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(polysem.InputError, match=r"holds no results: there is neither metrics\.json"):
        polysem.open(tmp_path)
    with pytest.raises(polysem.InputError, match="there is no folder"):
        polysem.open(tmp_path / "results")


def test_metrics_that_no_run_wrote_are_a_sentence(results):
    (results / "metrics.json").unlink()
    with pytest.raises(polysem.InputError, match=r"has no metrics.json; `snakemake --cores all` writes it"):
        _ = polysem.open(results).metrics


def test_objects_show_themselves_with_text_escaped(results):
    folder = results.parent / "<b>results"
    shutil.move(results, folder)
    study = polysem.open(folder)
    site = study["stories-1l"][SITE]
    for shown in (study, study["stories-1l"], site, site["topk-x4"]):
        assert "<b>" not in shown._repr_html_() and "<table>" in shown._repr_html_()
    assert "&lt;b&gt;results" in study._repr_html_()
    assert repr(site["neurons"]) == f"<polysem.Dictionary stories-1l/{SITE}/neurons: 64 features>"
