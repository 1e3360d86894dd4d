"""What a run says of its jobs, and how long it expects the others to take."""

import io
import logging

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from polysem.workflow.expected import TRUSTED, TimeLeft
from polysem.workflow.progress import EachJob, EachMinute, roughly

BEGUN = 1_000_000.0
LOGS = ("logs/train_sae/m/s/a.log", "logs/train_sae/m/s/b.log", "logs/write_report.log")


@pytest.fixture
def clock(monkeypatch):
    """The time, to be set."""
    times = [BEGUN]
    monkeypatch.setattr("time.time", lambda: times[-1])
    return times.append


def say(handler, clock, seconds, event, **said):
    clock(BEGUN + seconds)
    record = logging.makeLogRecord({"event": event, **said})
    record.created = BEGUN + seconds
    handler.emit(record)


def run(handler, clock, moments):
    """Two SAEs side by side and then the report, which begin and end at some moments."""
    for job, (start, log) in enumerate(zip((moments[0], moments[0], moments[2]), LOGS, strict=True)):
        if job == 2:
            for done, end in ((0, moments[1]), (1, moments[2])):
                say(handler, clock, end, LogEvent.JOB_FINISHED, job_id=done)
                say(handler, clock, end, LogEvent.PROGRESS, done=done + 1, total=3)
        say(handler, clock, start, LogEvent.JOB_INFO, jobid=job, log=[log])
    say(handler, clock, moments[3], LogEvent.JOB_FINISHED, job_id=2)
    say(handler, clock, moments[3], LogEvent.PROGRESS, done=3, total=3)


def test_what_is_left_follows_the_pace_of_what_is_done():
    left = TimeLeft({"a": 100.0, "b": 60.0, "c": 40.0, "d": 20.0}, cores=2)
    assert left.left({}) == 110
    assert left.left({"a": 50.0, "b": 70.0}) == (50 + 0 + 40 + 20) / 2, "b should have ended already"
    left.done("a", 214.0)
    pace = (TRUSTED * 220 + 214) / (TRUSTED * 220 + 100)
    assert left.left({}) == pytest.approx(pace * (60 + 40 + 20) / 2)
    assert left.left({"b": 10.0}) == pytest.approx((pace * 120 - 10) / 2)


def test_what_is_left_is_no_less_than_the_longest_job_and_nothing_behind_the_last():
    left = TimeLeft({"a": 100.0, "b": 1.0}, cores=64)
    assert left.left({}) == 100
    for log in ("a", "b"):
        left.done(log, 5.0)
    assert left.left({}) == 0


def test_a_job_that_nobody_expected_leaves_the_others_as_they_are():
    left = TimeLeft({"a": 100.0}, cores=1)
    left.done("z", 500.0)
    assert left.left({}) == 100


def test_each_job_is_told_and_from_the_second_minute_on_what_is_left(clock):
    said = io.StringIO()
    handler = EachJob(said)
    handler.time_left = TimeLeft(dict(zip(LOGS, (30.0, 100.0, 20.0), strict=True)), cores=1)
    run(handler, clock, (0, 30, 130, 145))
    assert said.getvalue().splitlines() == [
        "1/3 train_sae m/s/a 30 s",
        "2/3 train_sae m/s/b 2 min 10 s, about 20 s left",
        "3/3 write_report 15 s, about 10 s left",
    ]


def test_without_expectations_nothing_is_said_of_what_is_left(clock):
    said = io.StringIO()
    run(EachJob(said), clock, (0, 100, 200, 300))
    assert "left" not in said.getvalue() and said.getvalue().count("\n") == 3


def test_above_bars_it_is_told_once_a_minute_and_not_at_the_end(clock, caplog):
    handler = EachMinute(logging.getLogger("bars"))
    handler.time_left = TimeLeft(dict(zip(LOGS, (30.0, 100.0, 200.0), strict=True)), cores=1)
    with caplog.at_level(logging.INFO, "bars"):
        run(handler, clock, (0, 70, 100, 300))
    (told,) = caplog.messages
    assert told.startswith("1 of 3 jobs are done, about ") and told.endswith(" min left")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "10 s"), (44, "40 s"), (89, "90 s"), (91, "2 min"), (3540, "59 min"), (7500, "2 h 5 min")]
)
def test_nobody_is_told_more_digits_than_are_known(seconds, said):
    assert roughly(seconds) == said
