"""A server that speaks the protocol of OpenAI.

The key comes from the environment and goes into one header and nowhere else: not into what answers are kept by, and
not into what is said of an error. Answers that send to another address are not followed, as the key would go there.
"""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from polysem.explanations.language.answers import Reply
from polysem.explanations.language.asking import Messages, UnavailableError

LARGEST = 4 << 20
"""Bytes of an answer that are read."""
WAITS = (1.0, 30.0)
"""Seconds before a question is asked again, the first time, doubled each time; and at most."""
BUSY = (429, 500, 502, 503, 504)
"""Answers behind which it is worth asking again."""
MEANINGS: Mapping[int, str] = {
    401: "refuses the key",
    402: "demands money",
    403: "refuses the key",
    404: "does not know the address or the model",
    429: "is asked too often, or the account has nothing left",
}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """None is followed."""


class Client:
    """A model at an address."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._params = params
        self._opener = urllib.request.build_opener(_NoRedirects)

    def whom(self) -> dict[str, Any]:
        """See `asking.Client`."""
        names = ("address", "model", "answer_tokens", "temperature", "seed")
        return {"source": "openai", **{name: self._params[name] for name in names}}

    def ask(self, messages: Messages) -> Reply:
        """See `asking.Client`."""
        request = self._request(messages)
        wait = WAITS[0]
        for left in range(self._params["retries"], -1, -1):
            try:
                with self._opener.open(request, timeout=self._params["timeout"]) as answer:
                    return self._read(answer.read(LARGEST + 1))
            except urllib.error.HTTPError as error:
                if error.code not in BUSY or not left:
                    meaning = MEANINGS.get(error.code, "answers with an error")
                    raise self._unavailable(f"{meaning} (HTTP {error.code})") from None
                wait = _seconds(error.headers.get("Retry-After"), wait)
            except (OSError, HTTPException, ValueError) as error:
                reason = getattr(error, "reason", error)
                raise self._unavailable(f"does not answer ({type(reason).__name__}: {str(reason)[:200]})") from None
            time.sleep(wait)
            wait = min(2 * wait, WAITS[1])
        raise AssertionError("the last try returns or raises")

    def _request(self, messages: Messages) -> urllib.request.Request:
        params, headers = self._params, {"Content-Type": "application/json"}
        if params["key"] is not None:
            key = os.environ.get(params["key"], "").strip()
            if not key:
                raise UnavailableError(
                    f"the environment variable {params['key']}, which is to hold the key, is not set"
                )
            if not key.isascii() or not key.isprintable():
                raise UnavailableError(f"the environment variable {params['key']} holds no key: it has signs of no key")
            headers["Authorization"] = f"Bearer {key}"
        body = {
            "model": params["model"],
            "messages": messages,
            "max_tokens": params["answer_tokens"],
            "temperature": params["temperature"],
            "seed": params["seed"],
        }
        return urllib.request.Request(f"{params['address']}/chat/completions", json.dumps(body).encode(), headers)

    def _read(self, content: bytes) -> Reply:
        if len(content) > LARGEST:
            raise self._unavailable(f"answers with more than {LARGEST:,} bytes")
        try:
            answer = json.loads(content)
            text = answer["choices"][0]["message"]["content"]
            tokens = int(answer.get("usage", {}).get("total_tokens", 0))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise self._unavailable("answers with something else than the protocol says") from None
        return Reply(text if isinstance(text, str) else "", max(tokens, 0))

    def _unavailable(self, what: str) -> UnavailableError:
        return UnavailableError(f"{self._params['address']} {what}")


def _seconds(told: str | None, default: float) -> float:
    """How long a server asks to wait, within limits."""
    try:
        return min(max(float(told or default), 0.0), WAITS[1])
    except ValueError:
        return default
