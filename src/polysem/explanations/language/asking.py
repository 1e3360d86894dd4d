"""Questions to a language model: kept answers come first, and caps are kept to."""

from typing import Any, Protocol

from polysem.explanations.language.answers import Answers, Reply, question_digest

Messages = list[dict[str, str]]


class UnavailableError(Exception):
    """A model does not answer, or is not to be asked any more; the sentence says why, and what to do."""


class Client(Protocol):
    """Who is asked."""

    def whom(self) -> dict[str, Any]:
        """Model and settings, all that decides an answer; no key."""
        ...

    def ask(self, messages: Messages) -> Reply:
        """The answer; UnavailableError if there is none."""
        ...


class Asker:
    """A model that is asked about the features of one model, as often as the params allow."""

    def __init__(self, name: str, client: Client, answers: Answers, most_calls: int, most_tokens: int) -> None:
        self._name, self._client, self._answers = name, client, answers
        self._most_calls, self._most_tokens = most_calls, most_tokens
        self.calls = self.tokens = self.kept = 0

    def ask(self, messages: Messages) -> str:
        """The answer to a question. UnavailableError if the model gives none, or a cap is reached."""
        question = question_digest(self._client.whom(), messages)
        known = self._answers.get(question)
        if known is not None:
            self.kept += 1
            return known.text
        for what, count, most in (("calls", self.calls, self._most_calls), ("tokens", self.tokens, self._most_tokens)):
            if count >= most:
                raise UnavailableError(
                    f"the cap of {most:,} {what} is reached; raise explainers.{self._name}.most_{what} to go on"
                )
        self.calls += 1
        reply = self._client.ask(messages)
        self.tokens += reply.tokens
        self._answers.keep(question, reply, self._name)
        return reply.text
