"""What a job took, beside its log. Snakemake's `benchmark:` looks at the processes below the shell that it started, and
sees nothing of a warm process that became the job; looking costs, too, as it reads the memory map of all of them."""

import resource
import sys
import time
from pathlib import Path

COLUMNS = ("s", "cpu_time", "max_rss", "card")
"""Seconds, seconds of CPU and MiB, named as in Snakemake's files, and what the card calls itself: it stands here and in
no receipt, so another card of the same type makes nothing again. `-` without a card."""


def write_usage(log: Path, begun: float) -> None:
    """Write a line of `COLUMNS`, of this process since `begun` (`time.monotonic`) and of those it waited for, to the
    `.tsv` file beside a log."""
    all_of_it = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    took = (
        time.monotonic() - begun,
        sum(one.ru_utime + one.ru_stime for one in all_of_it),
        max(one.ru_maxrss for one in all_of_it) / 1024,
    )
    lines = ["\t".join(COLUMNS), "\t".join([*(f"{number:.2f}" for number in took), _card()])]
    log.parent.mkdir(parents=True, exist_ok=True)
    log.with_suffix(".tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _card() -> str:
    """The name of the card that this process computed on; torch is not imported to ask."""
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if torch and torch.cuda.is_initialized() else "-"
