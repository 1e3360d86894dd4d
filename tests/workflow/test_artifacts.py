"""Which tables are made again after a change, by their dates and receipts: not which jobs run, as these keep what is
right."""

import json
import os

import pytest

from polysem.study.made_from import digest_now

pytestmark = pytest.mark.workflow

SITE = "results/tables/digits/layers.0.hook_post"
OLD = 1_600_000_000
DICTIONARIES = ("neurons", "topk-x4")


def run(repository):
    """Make the tables of a site: those of its dictionaries with a new date, and those of the site with other bytes."""
    of_site = [f"{SITE}/{table}.nc" for table in ("fidelity", "comparison", "embedding_loss")]
    files = [file for name in DICTIONARIES for file in sorted((repository / SITE / name).glob("*.nc"))]
    for file in files:
        os.utime(file, (OLD, OLD))
    before = {path: (repository / path).read_bytes() for path in of_site}
    repository.snakemake(*(f"{path}.json" for path in of_site))
    dated = {f"{file.parent.name}/{file.stem}" for file in files if file.stat().st_mtime != OLD}
    return dated, {path for path in of_site if (repository / path).read_bytes() != before[path]}


def of_both(*tables):
    return {f"{dictionary}/{table}" for dictionary in DICTIONARIES for table in tables}


def made_of(repository, dictionary):
    receipt = json.loads((repository / f"{SITE}/{dictionary}.json").read_text())
    return {name: said["made_of"] for name, said in receipt["artifacts"].items()}


def test_a_comment_in_a_table_makes_nothing_again(repository):
    file = repository / "src/polysem/tables/of_dictionary/frequency.py"
    file.write_text(file.read_text() + "\n# Counted once.\n")
    assert run(repository) == (set(), set())


def test_an_edit_of_a_table_makes_it_and_what_reads_it_again(repository):
    before = made_of(repository, "neurons")
    file = repository / "src/polysem/tables/of_dictionary/associations.py"
    file.write_text(file.read_text() + "\nADDED = True\n")
    assert run(repository) == (of_both("associations", "logits"), set())
    after = made_of(repository, "neurons")
    assert {name for name in after if after[name] != before[name]} == {"associations", "logits"}


def test_another_head_makes_the_ranks_again_and_another_comparison_only_that(repository):
    repository.edit("params.yaml", "analysis:", "analysis:\n  head_ranks: 900\n  comparison_tokens: 1024")
    assert run(repository) == (of_both("rank_frequency"), set())
    assert "Nothing to be done" in repository.snakemake(f"{SITE}/comparison.nc.json")


def test_a_threshold_that_no_table_reads_makes_none_again(repository):
    repository.edit("params.yaml", "analysis:", "analysis:\n  rare_frequency: 2e-3")
    assert run(repository) == (set(), set())


def test_receipts_of_tables_name_what_these_were_made_from_as_it_is(finished):
    """Whoever shows a table can see by that whether it is of one run with what it reads."""
    results = finished / "results"
    named: dict[str, int] = {}
    for receipt in sorted((results / "tables").rglob("*.nc.json")):
        made_from = json.loads(receipt.read_text())["made_from"]
        assert made_from and {file: digest_now(f"{results}/{file}") for file in made_from} == made_from
        named |= {file: named.get(file, 0) + 1 for file in made_from}
    dictionaries = [f"saes/stories-1l/blocks.0.mlp.hook_post/{sae}/cfg.json" for sae in ("l1-x4", "topk-x4")]
    assert {"models/stories-1l/model.json", "activations/digits/layers.0.hook_post/eval.json", *dictionaries} <= {
        *named
    }
    assert "tables/stories-1l/blocks.0.mlp.hook_post/topk-x4/frequency.nc" in named
