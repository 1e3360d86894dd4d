"""The inference process and what waits for it: real processes that are stopped, killed and asked too much."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from explorer_study import MODEL

from polysem.explorer.explorer import Current
from polysem.explorer.inference import client as module
from polysem.explorer.inference.child import Child
from polysem.explorer.inference.client import Answers, BrokenError, BusyError, Inference
from polysem.explorer.inference.jobs import ActivationsJob, SearchJob, Start
from polysem.io.errors import InputError
from polysem.study.names import UnknownNameError
from polysem.study.study import open_study

PLACE = f"{MODEL}/blocks.0.mlp.hook_post/standard"


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    """Processes begin slowly on a busy machine."""
    monkeypatch.setattr(module, "WAIT_SECONDS", 900)


def search(number: int) -> SearchJob:
    return SearchJob(model=MODEL, text=f"question {number}", density=1, top=3)


def run(results: Path, act: Callable[[Inference], Awaitable[None]], stamp=lambda: None) -> None:
    """Do something with a begun inference process."""

    async def whole() -> None:
        inference = Inference(Start(results=str(results), threads=1), stamp)
        await inference.start()
        try:
            await inference.begun()
            await act(inference)
        finally:
            await inference.stop()

    asyncio.run(whole())


def signalled(inference: Inference, number: int) -> None:
    os.kill(inference.health()["process"], number)


async def until(condition: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < 300
        await asyncio.sleep(0.01)


def test_questions_that_wait_when_it_dies_are_answered_by_the_next_process(many):
    async def act(inference):
        alone = [await inference.search(search(number)) for number in range(40)]
        inference._answers.clear()
        tasks = [asyncio.ensure_future(inference.search(search(number))) for number in range(40)]
        for _ in range(3):
            await until(lambda: inference.health()["inference"] == "busy")
            signalled(inference, signal.SIGKILL)
            await until(lambda: inference.health()["inference"] == "starting")
        assert await asyncio.gather(*tasks) == alone
        assert inference.health()["begins"] == 4 and inference.health()["waiting"] == 0

    run(many, act)


def test_a_question_that_it_always_dies_of_is_given_up(many, monkeypatch):
    deadly, ask = search(0).text, Child.ask

    def die(child, messages):
        dies = any(message["job"]["text"] == deadly for message in messages)
        if dies:
            os.kill(child.pid, signal.SIGSTOP)
        ask(child, messages)
        if dies:
            os.kill(child.pid, signal.SIGKILL)

    async def act(inference):
        with pytest.raises(BrokenError, match="dies of this question"):
            await inference.search(search(0))
        assert json.loads(await inference.search(search(1)))["results"], "it answers others"

    monkeypatch.setattr(Child, "ask", die)
    run(many, act)


def test_equal_questions_are_asked_once_and_remembered(many):
    async def act(inference):
        signalled(inference, signal.SIGSTOP)
        tasks = [asyncio.ensure_future(inference.search(search(0))) for _ in range(50)]
        await asyncio.sleep(0)
        assert inference.health()["waiting"] == 1
        signalled(inference, signal.SIGCONT)
        assert len(set(await asyncio.gather(*tasks))) == 1
        signalled(inference, signal.SIGSTOP)
        assert await asyncio.wait_for(inference.search(search(0)), 1) == tasks[0].result()
        signalled(inference, signal.SIGCONT)

    run(many, act)


def test_a_full_queue_refuses_at_once_and_loses_nothing(many, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_QUEUE", 30)

    async def act(inference):
        signalled(inference, signal.SIGSTOP)
        tasks = [asyncio.ensure_future(inference.search(search(number))) for number in range(30)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="30 questions are waiting; ask again in a second") as refused:
            await asyncio.wait_for(inference.search(search(99)), 1)
        assert refused.value.retry_after == 1 and inference.health()["waiting"] == 30
        signalled(inference, signal.SIGCONT)
        assert all(json.loads(found)["results"] for found in await asyncio.gather(*tasks))
        assert await inference.search(search(99))

    run(many, act)


def test_what_nobody_waits_for_any_more_is_not_asked(many):
    async def act(inference):
        signalled(inference, signal.SIGSTOP)
        tasks = [asyncio.ensure_future(inference.search(search(number))) for number in range(200)]
        await asyncio.sleep(0)
        for task in tasks[1:]:
            task.cancel()
        await asyncio.sleep(0)
        assert inference.health()["waiting"] == 2, "the first, and one that was sent already"
        signalled(inference, signal.SIGCONT)
        assert json.loads(await tasks[0])["text"] == "question 0"

    run(many, act)


def test_a_question_is_not_waited_for_forever(many, monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.2)

    async def act(inference):
        signalled(inference, signal.SIGSTOP)
        with pytest.raises(BusyError, match=r"no answer within 0\.2 seconds"):
            await inference.search(search(0))
        signalled(inference, signal.SIGCONT)

    run(many, act)


def test_a_process_that_hangs_is_begun_again(many, monkeypatch):
    monkeypatch.setattr(module, "STUCK_SECONDS", 0.5)

    async def act(inference):
        signalled(inference, signal.SIGSTOP)
        task = asyncio.ensure_future(inference.search(search(0)))
        await until(lambda: inference.health()["begins"] == 1 and inference.health()["inference"] == "starting")
        monkeypatch.setattr(module, "STUCK_SECONDS", 300)
        assert json.loads(await task)["results"]
        assert inference.health()["begins"] == 2

    run(many, act)


def test_other_results_make_old_answers_forgotten(many):
    study = open_study(many)
    config = Path(study[MODEL]["blocks.0.mlp.hook_post"]["standard"].place.sae.file("cfg.json"))
    stamp = Current(study).stamp

    asked = SearchJob(model=MODEL, text="question", density=1, top=3, dictionaries=["standard"])

    async def act(inference):
        first = await inference.search(asked)
        text = config.read_text()
        try:
            await asyncio.sleep(1.1)
            config.write_text(text.replace('"standard"', '"topk", "k": 3'))
            second = await inference.search(asked)
            assert inference.health()["begins"] == 2
            assert json.loads(second)["results"] != json.loads(first)["results"]
        finally:
            config.write_text(text)
        await asyncio.sleep(1.1)
        assert await inference.search(asked) == first

    run(many, act, stamp)


def test_what_cannot_be_asked_is_an_error_and_no_death(many):
    async def act(inference):
        wrong = ActivationsJob(place=PLACE, features=(999,), texts=("a",))
        found = await asyncio.gather(
            inference.search(SearchJob(model=MODEL, text="a", tokens=(99,))),
            inference.search(SearchJob(model="nothing", text="a")),
            inference.activations(wrong),
            inference.search(search(1)),
            return_exceptions=True,
        )
        assert [type(one) for one in found[:3]] == [InputError, UnknownNameError, UnknownNameError]
        assert json.loads(found[3])["results"] and inference.health()["begins"] == 1

    run(many, act)


def test_a_study_that_cannot_be_opened_is_said(tmp_path):
    with pytest.raises(InputError, match="holds no results"):
        run(tmp_path, lambda inference: None)


def test_kept_answers_stay_below_their_limit():
    kept = Answers(limit=100)
    for number in range(50):
        kept.keep(search(number), b"x" * 30)
        assert kept.get(search(0)) is not None or number > 40, "what is asked again stays"
        if number > 40:
            break
    assert kept.held == 90 and len(kept.by_job) == 3
    kept.keep(search(99), b"x" * 1000)
    assert kept.held == 0 and kept.get(search(0)) is None
