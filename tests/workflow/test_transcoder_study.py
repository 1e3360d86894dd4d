"""A study with transcoders, from text to report."""

import json

import pytest
import xarray as xr
from repository import ROOT, plant

pytestmark = pytest.mark.workflow

IN, OUT = "blocks.0.mlp.hook_in", "blocks.0.hook_mlp_out"
PRESET = (ROOT / "presets/transcoders.yaml").read_text()
SAES = f"""saes:
  sae: {{architecture: topk, k: 8, expansion: 2, tokens: 8192, batch_size: 256, sites: [{IN}]}}
  t:
    architecture: jumprelu
    sites: [{IN}]
    target: {OUT}
    skip: true
    target_l0: 8
    expansion: 2
    tokens: 16384
    batch_size: 256

"""


NOT_APPLICABLE = ("encoder_decoder_cosine", "frequency_bias_product")
DRAWN = ("decoder_kurtosis", "decoder_cosines", "features_per_neuron", "logit_weights", "feature_not_neuron")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    head, rest = PRESET.split("saes:\n")
    text = head.replace(f"[{IN}, blocks.0.mlp.hook_post, {OUT}]", f"[{IN}, {OUT}]") + SAES
    repository = plant(
        tmp_path_factory.mktemp("transcoders") / "repository",
        text + rest[rest.index("analysis:") :],
        True,
        NOT_APPLICABLE + DRAWN,
    )
    repository.snakemake("--cores", "2")
    return repository


def test_a_transcoder_goes_through_all_tables_and_figures_to_the_report_and_a_second_run_does_nothing(run):
    assert run.plan().pending == set()
    fidelity = xr.load_dataset(run / f"results/tables/stories-1l/{IN}/fidelity.nc")
    assert json.loads(fidelity.attrs["targets"]) == {"t": OUT}
    ours, neurons = (fidelity.sel(dictionary=name) for name in ("t", "neurons"))
    assert float(ours["explained_variance"]) > 0.3
    assert float(ours["loss_recovered_mean"]) > 0.3
    there = xr.load_dataset(run / f"results/tables/stories-1l/{OUT}/fidelity.nc").sel(dictionary="neurons")
    assert float(ours["cross_entropy_zero"]) == pytest.approx(float(there["cross_entropy_zero"]), rel=1e-5)
    assert float(ours["cross_entropy_zero"]) != pytest.approx(float(neurons["cross_entropy_zero"]), rel=1e-3)

    drawn = json.loads((run / f"results/figures/stories-1l/{IN}/t.json").read_text())["artifacts"]
    for name in NOT_APPLICABLE:
        assert "two bases" in drawn[name]["not_applicable"]
    for name in DRAWN:
        assert "sha256" in drawn[name], drawn[name]
    metrics = json.loads((run / "results/metrics.json").read_text())["stories-1l"]
    assert metrics[IN]["t"]["target"] == OUT
    assert "target" not in metrics[IN]["sae"]
    assert "t" in (run / "results/report/index.html").read_text()


def test_comparisons_take_no_cosines_between_two_bases(run):
    table = xr.load_dataset(run / f"results/tables/stories-1l/{IN}/comparison.nc")
    pairs = {
        (str(ours), str(other)): (str(reason), float(cosine))
        for ours, other, reason, cosine in zip(
            table["pair_dictionary"].values, table["pair_other"].values, table["pair_reason"].values,
            table["median_cosine"].values, strict=True,
        )
    }  # fmt: skip
    for other in ("sae", "neurons"):
        reason, cosine = pairs["t", other]
        assert "stand at the site that it predicts" in reason
        assert cosine != cosine
    assert pairs["sae", "neurons"][0] == ""


def test_sheets_of_a_transcoder_say_whose_neurons_are_aligned_and_link_to_none_of_the_own_site(run):
    folder = run / f"results/report/sheets/stories-1l/{IN}/t"
    page = next(file for file in sorted(folder.glob("*.html")) if file.name != "index.html").read_text()
    assert f"Aligned neurons of {OUT}" in page
    assert "../neurons/" not in page


def test_what_is_exported_is_a_transcoder_and_can_be_imported_again(run):
    run.polysem("export", f"stories-1l/{IN}/t", "--format", "saelens", "--output", "theirs")
    config = json.loads((run / "theirs/cfg.json").read_text())
    assert config["architecture"] == "jumprelu_skip_transcoder"
    assert config["metadata"]["hook_name_out"] == OUT
    run.polysem("export", f"stories-1l/{IN}/t", "--format", "neuronpedia", "--output", "pages")
    keys = f"source: pretrained, format: saelens, models: [stories-1l], site: {IN}, target: {OUT}, path: theirs"
    run.edit("params.yaml", "\nanalysis:", f"\n  theirs: {{{keys}}}\n\nanalysis:")
    run.snakemake("--cores", "2", f"results/tables/stories-1l/{IN}/fidelity.nc")
    fidelity = xr.load_dataset(run / f"results/tables/stories-1l/{IN}/fidelity.nc")
    ours, theirs = (fidelity.sel(dictionary=name) for name in ("t", "theirs"))
    for name in ours.data_vars:
        assert float(theirs[name]) == pytest.approx(float(ours[name]), rel=1e-5), name
