"""Jobs that a killed run left in Slurm's queue; with a real queue in test_slurm.py."""

from polysem.workflow.provenance import orphans
from polysem.workflow.provenance.records import mark_again


def test_jobs_of_this_folder_that_snakemake_submitted_are_ours(tmp_path):
    here, other = tmp_path / "here", tmp_path / "other"
    lines = (
        f"1|{here}|rule_train_sae_wildcards_a\n2|{other}|rule_train_sae\n3|{here}|(null)\n4_1|{here}|rule_corpus|x\n"
    )
    assert orphans.queued(lines, here) == ["1", "4_1"]


def test_slurm_is_asked_only_where_it_was_used_and_something_is_unfinished(tmp_path):
    assert not orphans.may_be_left(tmp_path)
    (tmp_path / "slurm_logs").mkdir()
    assert not orphans.may_be_left(tmp_path)
    mark_again("results/metrics.json", tmp_path)
    assert orphans.may_be_left(tmp_path)


def test_where_slurm_is_not_at_hand_that_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    orphans.end_orphans(tmp_path)
    assert "look with squeue where it is" in capsys.readouterr().err
