"""What `polysem plan` counts, against numbers worked by hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from records_case import made

from polysem.cli import main
from polysem.io.disk import in_bytes
from polysem.layout.place import Place
from polysem.params.models.shape import Shape
from polysem.params.study import load_study
from polysem.workflow.checks.needs import jobs, store_bytes
from polysem.workflow.checks.shapes import config_shape, flops_to, forward_flops, parameters
from polysem.workflow.commands.plan import Speed, Total, in_hours, phase_table, total

ROOT = Path(__file__).parents[2]
SITE = "blocks.0.mlp.hook_post"
PARAMS = """
corpora:
  c: {source: generated, train_documents: 90, eval_documents: 10}
  hub: {source: huggingface, dataset: a/b}
models:
  own:
    source: trained
    corpus: c
    sites: [blocks.0.mlp.hook_post, blocks.1.hook_resid_post]
    context_length: 10
    architecture: {layers: 2, d_model: 4, heads: 2, d_mlp: 8, vocabulary: 300}
    training: {tokens: 1000, batch_tokens: 100}
    activations: {train_tokens: 5000, eval_tokens: 600, dtype: float32}
  theirs: {source: transformers, repository: a/b, corpus: hub, sites: [blocks.0.mlp.hook_post]}
saes:
  l1: {architecture: relu, models: [own], l1: 1, expansion: 2, tokens: 2000, batch_size: 50}
  streamed: {architecture: topk, models: [own], k: 2, expansion: 2, tokens: 2000, batch_size: 50,
    activations: streamed, buffer_gib: 0.5}
  found: {source: pretrained, format: neel, models: [theirs], site: blocks.0.mlp.hook_post, repository: a/b,
    filename: 1.pt}
analysis: {fidelity_tokens: 100}
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def load(text: str = PARAMS):
        Path("params.yaml").write_text(text)
        return load_study(Path("params.yaml"))

    return load


def changed(old: str, new: str) -> str:
    assert PARAMS.count(old) == 1, old
    return PARAMS.replace(old, new)


def by_name(study) -> dict:
    return {f"{job.phase}: {job.name}": job for job in jobs(study)}


def test_operations_of_a_forward_pass_worked_by_hand():
    """A block of width 4 with 8 neurons: 4 × 16 weights of attention and 2 × 32 of the MLP are 128; with a gate 160."""
    shape = Shape(layers=2, d_model=4, d_mlp=8, vocabulary=300)
    assert parameters(shape) == 2 * 128 + 2 * 1200
    assert forward_flops(shape, 10) == 2 * (2 * 128 + 1200) + 2 * 4 * 10 * 4
    assert flops_to(shape, 10, "blocks.0.hook_mlp_out") == 2 * 128 + 4 * 10 * 4
    assert flops_to(shape, 10, "blocks.1.mlp.hook_pre") == 2 * flops_to(shape, 10, SITE)
    assert parameters(shape.model_copy(update={"gated": True})) == 2 * 160 + 2 * 1200


def test_a_model_that_is_trained_takes_three_forward_passes_per_token(study):
    job = by_name(study())["models: own"]
    forward = 2 * (2 * 128 + 1200) + 320
    assert job.flops == (3 * forward * 1000,) * 2
    assert job.disk == 4 * (256 + 2400)
    assert job.memory == 4 * 4 * 2656 + 2 * 4 * 100 * 300
    assert job.download == 0


def test_stores_take_rows_times_neurons_times_bytes(study):
    """And eight bytes for the place of each row."""
    found = by_name(study())
    of_neurons, of_stream = (f"activations: own {site}" for site in (SITE, "blocks.1.hook_resid_post"))
    assert found[f"{of_neurons} train"].disk == 5000 * (8 * 4 + 8)
    assert found[f"{of_neurons} eval"].disk == 600 * ((8 + 4) * 4 + 8)  # and what enters the neurons
    assert found[f"{of_stream} eval"].disk == 600 * (4 * 4 + 8)
    site = Place("own", SITE)
    assert store_bytes(study(), site, "train") == 200_000
    assert store_bytes(study(changed("dtype: float32", "dtype: float16")), site, "train") == 120_000


def test_stores_that_are_missing_share_one_pass_that_any_of_their_jobs_may_run(study):
    """832 operations up to the second site, 416 up to the first; 2,656 weights."""
    loaded = study()
    of_neurons, of_stream = (f"activations: own {site} eval" for site in (SITE, "blocks.1.hook_resid_post"))
    found = by_name(loaded)
    for name in (of_neurons, of_stream):
        assert found[name].flops == (600 * 832 / 2,) * 2
        assert found[name].at_most == (600 * 832,) * 2
        assert found[name].memory == 4 * 2656 + 1024 * ((8 + 4 + 4) * 4 + 2 * 8)
    for name in Place("own", "blocks.1.hook_resid_post").activations("eval").files:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    assert by_name(loaded)[of_neurons].flops == by_name(loaded)[of_neurons].at_most == (600 * 416,) * 2


def test_a_site_whose_rows_are_streamed_has_no_train_store(study):
    streamed = changed("tokens: 2000, batch_size: 50}", "tokens: 2000, batch_size: 50, activations: streamed}")
    assert f"activations: own {SITE} train" in by_name(study())
    assert f"activations: own {SITE} train" not in by_name(study(streamed))


def test_a_training_searches_on_a_cpu_and_multiplies_five_times_on_a_gpu(study):
    """8 neurons and 16 features: 128 products per token, 2 operations each."""
    stored, streamed = (by_name(study())[f"saes: own {SITE} {name}"] for name in ("l1", "streamed"))
    assert stored.flops == (2 * 128 * 2000, 10 * 128 * 2000)
    assert streamed.flops == (2 * 128 * 2000 + 2000 * 416, 10 * 128 * 2000 + 2000 * 416)
    assert stored.disk == streamed.disk == 4 * (2 * 128 + 8 + 16)
    assert stored.memory == 4 * stored.disk + 4 * 50 * (2 * 8 + 16)
    assert streamed.memory - stored.memory == 0.5 * 2**30 + 4 * 2656


def test_the_neuron_embedding_loss_doubles_the_products_on_a_gpu_and_keeps_a_mean_per_feature(study):
    on = changed(
        "tokens: 2000, batch_size: 50}", "tokens: 2000, batch_size: 50, embedding_loss: 1, embedding_loss_from: 9}"
    )
    plain, with_it = (by_name(found)[f"saes: own {SITE} l1"] for found in (study(), study(on)))
    assert with_it.flops == (plain.flops[0], 2 * plain.flops[1])
    assert with_it.memory - plain.memory == 4 * 8 * 16


def test_tables_count_the_pass_over_the_eval_rows_the_nearest_features_and_the_spliced_model(study):
    job = by_name(study())[f"tables: own {SITE} l1"]
    encoder, forward = 2 * 128, 2 * 1456 + 320
    expected = 1.4 * encoder * 600 + encoder * 16
    expected += 4 * 2 * 100**2 * 8 * 16  # Gram matrices of 100 strong examples
    assert job.flops == pytest.approx((expected, expected))
    neurons = by_name(study())[f"tables: own {SITE} neurons"]
    assert neurons.flops is not None
    assert neurons.flops[0] < expected
    spliced = by_name(study())[f"tables: own {SITE} fidelity"]
    once = 3 * forward + 2 * forward + 3 * encoder // 2  # of the neurons, which are half as many
    assert spliced.flops is not None and spliced.flops[0] >= 100 * once


def test_interventions_count_ablations_at_tokens_and_continuations(study):
    """At the first site 8 neurons and twice 16 features, each with 5 tokens and 20 directions, run half of a context
    of 10 tokens and 10 behind it; at the last one 4 and twice 8 run the unembedding alone. At both sites 6 features are
    steered, in 18 ways, from 6 prompts, for 24 tokens behind 32."""
    whole, unembedding = 3232, 2 * 4 * 300
    ablated = 25 * (40 * 15 * whole + 20 * unembedding)
    steered = 12 * 18 * 6 * 24 * (32 + 12) * whole
    assert by_name(study())["tables: own features"].flops == (ablated + steered,) * 2
    fewer = study(changed("fidelity_tokens: 100", "intervened_features: 8, steered_features: 0"))
    assert by_name(fewer)["tables: own features"].flops == (25 * (24 * 15 * whole + 20 * unembedding),) * 2


def test_what_is_not_known_is_said_with_what_would_tell(study):
    found = by_name(study())
    for name in ("models: theirs", f"activations: theirs {SITE} eval", f"saes: theirs {SITE} found"):
        assert "models.theirs: the widths of the model; set shape, or local_copy" in found[name].missing[0]
        assert found[name].disk is None
    assert found["corpora: hub"].download is None
    with_shape = changed("repository: a/b, corpus",
        "repository: a/b, shape: {layers: 1, d_model: 4, d_mlp: 8, vocabulary: 9}, corpus")  # fmt: skip
    found = by_name(study(with_shape))
    assert found["models: theirs"].download == found["models: theirs"].disk == 4 * (128 + 72)
    assert found[f"saes: theirs {SITE} found"].missing == ("saes.found: how many features it has; set features",)
    found = by_name(study(with_shape.replace("filename: 1.pt", "filename: 1.pt, features: 32")))
    assert found[f"saes: theirs {SITE} found"].download == 4 * (2 * 8 * 32 + 8 + 32)
    assert found[f"saes: theirs {SITE} found"].missing == ()


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"n_layer": 2, "n_embd": 8, "vocab_size": 9, "n_inner": None}, (2, 8, 32, False)),
        ({"num_layers": 2, "hidden_size": 8, "vocab_size": 9, "intermediate_size": 5}, (2, 8, 5, False)),
        ({"n_layers": 1, "d_model": 8, "d_vocab": 9, "d_mlp": 24}, (1, 8, 24, False)),
        ({"num_hidden_layers": 1, "hidden_size": 8, "vocab_size": 9, "intermediate_size": 5, "hidden_act": "silu",
          "model_type": "llama"}, (1, 8, 5, True)),
        ({"hidden_size": 8, "vocab_size": 9}, None),
    ],
)  # fmt: skip
def test_a_config_tells_the_shape(tmp_path, config, shape):
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = config_shape(tmp_path / "config.json")
    assert (found and (found.layers, found.d_model, found.d_mlp, found.gated)) == shape


def test_the_config_of_a_local_copy_or_of_a_made_model_comes_before_the_params(study, tmp_path):
    config = json.dumps({"n_layers": 1, "d_model": 8, "d_vocab": 9, "d_mlp": 24})
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/config.json").write_text(config)
    loaded = study(changed("repository: a/b, corpus", "repository: a/b, local_copy: copy, corpus"))
    found = by_name(loaded)[f"activations: theirs {SITE} eval"]
    assert found.disk == 100_000 * ((24 + 8) * 2 + 8)
    assert by_name(loaded)["models: theirs"].download == 0
    for origin in (study().models["theirs"].origin() | {"repository": "a/another"}, study().models["theirs"].origin()):
        assert by_name(study())[f"activations: theirs {SITE} eval"].disk is None, "another model's config was believed"
        spec = json.dumps({"source": study().models["theirs"].source, "params": origin})
        made("results/models/theirs/config.json", config.replace("24", "48"), spec)
    assert by_name(study())[f"activations: theirs {SITE} eval"].disk == 100_000 * ((48 + 8) * 2 + 8)


def by_phase(study) -> dict[str, list[str]]:
    columns = phase_table(jobs(study), SPEED).columns
    rows = zip(*(list(column.cells) for column in columns), strict=True)
    return {str(phase): [str(cell) for cell in cells] for phase, *cells in rows}


def test_what_is_made_is_counted_and_takes_nothing_more(study):
    """5,600 rows of 8 and of 4 numbers, 600 of them with 4 more that enter the neurons, 4 bytes each, and two
    numbers of 4 bytes for the place of each row, are 368 kB; the first train store has 200 kB of them."""
    loaded = study()
    before = by_phase(loaded)["activations"]
    Path(f"results/activations/own/{SITE}").mkdir(parents=True)
    for end in (".zarr", ".json"):
        Path(f"results/activations/own/{SITE}/train{end}").touch()
    after = by_phase(loaded)["activations"]
    assert (before[:2], before[3]) == (["5", "0"], "≥ 368 kB")
    assert (after[:2], after[3]) == (["5", "1"], "≥ 168 kB")


SPEED = Speed(cpu=1e9, gpu=1e12)


def test_hours_are_operations_by_speed_and_the_start_of_jobs(study):
    """3 × 3,232 × 1,000 operations at 1 GFLOP/s are 0.0097 s, and a job starts in 4 s."""
    only = [job for job in jobs(study()) if job.name == "own" and job.phase == "models"]
    cells = [list(column.cells) for column in phase_table(only, SPEED).columns]
    assert [column[0] for column in cells[:3]] == ["models", "1", "0"]
    assert cells[6][0] == in_hours((9_696_000 / 1e9 + 4) / 3600) == "0.0011"
    assert cells[7][0] == in_hours(9_696_000 / 1e12 / 3600) == "2.7e-09"


def test_sums_say_what_they_lack():
    assert total([1.0, 2.0]) == Total(3.0, True)
    assert total([1.0, None]).text(in_bytes) == "≥ 1 B"
    assert total([None]).text(in_bytes) == "unknown"
    assert total([]).text(in_bytes) == "–"
    assert [in_bytes(value) for value in (999, 1000, 123_456, 5.734e9, 7e15)] == [
        "999 B", "1.0 kB", "123 kB", "5.7 GB", "7000 TB"
    ]  # fmt: skip


def test_the_training_of_document_2_takes_the_12_hours_that_it_took(study, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = by_name(load_study(Path("presets/s2-gelu-1l.yaml")))[f"saes: gelu-1l-c4 {SITE} unit-norm"]
    assert found.flops is not None
    assert found.flops[1] / 15e12 / 3600 == pytest.approx(12, rel=0.1)


@pytest.mark.parametrize("preset", sorted(path.name for path in (ROOT / "presets").glob("*.yaml")))
def test_every_preset_has_a_plan(preset, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--configfile", str(ROOT / "presets" / preset)]) == 0
    said = capsys.readouterr().out
    assert "│ all " in said
    assert "models." not in said, "shapes of all models are known"
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_explained(study, capsys):
    study()
    Path("params.yaml").write_text(changed("layers: 2", "layer: 2"))
    assert main(["plan"]) == 1
    assert "unknown key (did you mean 'layers'?)" in capsys.readouterr().err
    assert main(["plan", "--gpu-tflops", "0"]) == 1
    assert "--cpu-gflops and --gpu-tflops must be above 0" in capsys.readouterr().err
    assert main(["plan", "--configfile", "none.yaml"]) == 1
    assert "none.yaml is missing" in capsys.readouterr().err
    study(changed("k: 2,", "k: 17,"))
    assert main(["plan"]) != 0
    assert "k is 17, and it has 16 features" in capsys.readouterr().err


def test_planning_imports_no_torch():
    loaded = (
        "import sys, polysem.workflow.commands.plan; print({'torch', 'transformers', 'snakemake'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
