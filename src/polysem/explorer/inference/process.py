"""The process that owns models, tokenizers and dictionaries: reads jobs from its input, writes answers to its output.

`python -m polysem.explorer.inference.process`, with the JSON of `Start` behind it. It ends when its input does.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO

from polysem.explorer.inference.frames import BROKEN, DONE, READY, REFUSED, UNKNOWN, frame, read_frame
from polysem.explorer.inference.jobs import QUESTIONS, ActivationsJob, ImportanceJob, SearchJob, SimilarJob, Start
from polysem.io.errors import InputError
from polysem.study.additions import Added, added
from polysem.study.names import UnknownNameError
from polysem.study.study import Study, open_study

if TYPE_CHECKING:
    from polysem.study.engine import Engine
    from polysem.study.similar_clusters import ClusterCentres

Question = SearchJob | ActivationsJob | ImportanceJob | SimilarJob
Answer = tuple[int, bytes]
"""What a frame says, and its content."""


class Process:
    """The engines of a study's language models, each made when it is first asked."""

    def __init__(self, study: Study, added: Sequence[Added]) -> None:
        self._study, self._added = study, added
        self._engines: dict[str, Engine] = {}
        self._centres: dict[str, ClusterCentres] = {}

    def warm(self) -> None:
        """Answer a search, so that the first user need not wait for what is loaded at the first one."""
        if first := next((name for name, model in self._study.items() if model.is_language_model), None):
            ((kind, said),) = self._searched([SearchJob(model=first, text="a", density=1)])
            if kind != DONE:
                print(said.decode(), file=sys.stderr, flush=True)

    def answers(self, jobs: Sequence[Question]) -> list[Answer]:
        """The answer to each job; searches are of one model and made together."""
        searches = [job for job in jobs if isinstance(job, SearchJob)]
        found = iter(self._searched(searches))
        return [next(found) if isinstance(job, SearchJob) else self._alone(job) for job in jobs]

    def _alone(self, job: ActivationsJob | ImportanceJob | SimilarJob) -> Answer:
        if isinstance(job, SimilarJob):
            return self._similar(job)
        return self._importance(job) if isinstance(job, ImportanceJob) else self._activations(job)

    def _searched(self, jobs: Sequence[SearchJob]) -> list[Answer]:
        def search() -> list[Answer]:
            (model,) = {job.model for job in jobs}
            return [
                refused(one) if isinstance(one, InputError) else (DONE, as_json(one.as_json()))
                for one in self._engine(model).search(jobs)
            ]

        return caught(search, len(jobs)) if jobs else []

    def _activations(self, job: ActivationsJob) -> Answer:
        def activations() -> list[Answer]:
            model, site, dictionary = place_of(job.place)
            found = self._engine(model).activations(site, dictionary, job.features, job.texts)
            return [(DONE, as_json({"texts": [asdict(one) for one in found]}))]

        return caught(activations, 1)[0]

    def _importance(self, job: ImportanceJob) -> Answer:
        def importance() -> list[Answer]:
            from polysem.study.importance import importance_of_tokens

            model, site, dictionary = place_of(job.place)
            found = importance_of_tokens(
                self._study[model][site][dictionary], job.feature, job.sequences, job.positions, job.before
            )
            return [(DONE, as_json({"importance": found}))]

        return caught(importance, 1)[0]

    def _similar(self, job: SimilarJob) -> Answer:
        def similar() -> list[Answer]:
            from polysem.study.similar_clusters import ClusterCentres

            model, site, dictionary = place_of(job.place)
            if model not in self._centres:
                self._centres[model] = ClusterCentres(self._study[model])
            found = self._centres[model].like(self._study[model][site][dictionary], job.feature)
            return [(DONE, as_json({"similar": [[one._asdict() for one in cluster] for cluster in found]}))]

        return caught(similar, 1)[0]

    def _engine(self, model: str) -> "Engine":
        from polysem.study.engine import Engine

        if model not in self._engines:
            self._engines[model] = Engine(self._study[model], [one for one in self._added if one.model == model])
        return self._engines[model]


def caught(make: Callable[[], list[Answer]], count: int) -> list[Answer]:
    """Some answers, or as often why there are none: a job that fails must not end the process."""
    try:
        return make()
    except InputError as error:
        return [refused(error)] * count
    except Exception:
        return [(BROKEN, traceback.format_exc().encode())] * count


def refused(error: InputError) -> Answer:
    """What is wrong with a question."""
    return UNKNOWN if isinstance(error, UnknownNameError) else REFUSED, str(error).encode()


def place_of(path: str) -> tuple[str, str, str]:
    """Model, site and dictionary of a path; InputError if it is none."""
    parts = path.split("/")
    if len(parts) != 3:
        raise InputError(f"place is {path!r}; it is model/site/dictionary")
    model, site, dictionary = parts
    return model, site, dictionary


def as_json(value: Any) -> bytes:
    """JSON as the API gives it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def serve(start: Start, asked: BinaryIO, answered: BinaryIO) -> None:
    """Answer until there are no more questions. The first frame says what was added, or why there is no beginning."""
    import torch

    torch.set_num_threads(start.threads)
    try:
        study = open_study(start.results)
        additions = [added(study, addition) for addition in start.added]
    except InputError as error:
        _write(answered, frame(0, *refused(error)))
        return
    process = Process(study, additions)
    process.warm()
    _write(answered, frame(0, READY, as_json([one.facts() for one in additions])))
    while (read := read_frame(asked)) is not None:
        numbers, jobs = zip(*((one["number"], job_of(one)) for one in json.loads(read[2])), strict=True)
        found = process.answers(jobs)
        _write(answered, b"".join(frame(number, *answer) for number, answer in zip(numbers, found, strict=True)))


def job_of(asked: dict[str, Any]) -> Question:
    """A job as the client sent it."""
    job: Question = QUESTIONS[asked["kind"]].model_validate(asked["job"])  # type: ignore[assignment]
    return job


def _write(stream: BinaryIO, content: bytes) -> None:
    stream.write(content)
    stream.flush()


def main() -> None:
    """What libraries print goes to standard error: standard output belongs to the frames."""
    answered = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(Start.model_validate_json(sys.argv[1]), sys.stdin.buffer, answered)


if __name__ == "__main__":
    main()
