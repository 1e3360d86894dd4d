"""A model that transformers runs here: a local folder, or a GGUF file."""

from functools import cached_property
from pathlib import Path
from typing import Any

from polysem.explanations.language.answers import Reply
from polysem.explanations.language.asking import Messages, UnavailableError
from polysem.io.content import known_digest
from polysem.io.files import expanded, matching_files
from polysem.numerics.determinism import torch_is_needed
from polysem.params.models.imported import is_gguf


class Client:
    """The model, which is loaded when it is first asked."""

    def __init__(self, params: dict[str, Any]) -> None:
        self._params = params
        self._path = expanded(params["path"])

    def whom(self) -> dict[str, Any]:
        """See `asking.Client`: the files of the model count by their content."""
        names = ("answer_tokens", "temperature", "seed")
        return {"source": "transformers", "files": self._files, **{name: self._params[name] for name in names}}

    @cached_property
    def _files(self) -> dict[str, str]:
        return {file.name: known_digest(file) for file in matching_files(self._params["path"])}

    def ask(self, messages: Messages) -> Reply:
        """See `asking.Client`."""
        import torch

        model, tokenizer = self._loaded
        ids = _prompt(tokenizer, messages)
        room = getattr(model.config, "max_position_embeddings", None)
        if room is not None and ids.shape[1] + self._params["answer_tokens"] > room:
            raise UnavailableError(
                f"the question has {ids.shape[1]} tokens and the answer up to {self._params['answer_tokens']}, but "
                f"{self._path} reads {room}; lower examples, contexts_per_call, or analysis.context_before"
            )
        drawn = self._params["temperature"] > 0
        torch.manual_seed(self._params["seed"])
        with torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=self._params["answer_tokens"],
                do_sample=drawn,
                pad_token_id=0,
                **(
                    {"temperature": self._params["temperature"]}
                    if drawn
                    else {"temperature": None, "top_p": None, "top_k": None}
                ),
            )
        return Reply(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True), int(out.shape[1]))

    @cached_property
    def _loaded(self) -> Any:
        torch_is_needed()
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        where: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        folder = self._path
        if is_gguf(str(folder)):
            _require_gguf(folder)
            where["gguf_file"], folder = folder.name, folder.parent
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, **where)
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **where)
        except Exception as error:  # the library raises whatever it meets
            raise UnavailableError(
                f"transformers cannot read {self._path} ({type(error).__name__}: {str(error)[:200]})"
            ) from error
        return model.eval(), tokenizer


def _require_gguf(path: Path) -> None:
    """UnavailableError for a file that is damaged or none, before transformers reads it."""
    from polysem.io.errors import InputError
    from polysem.io.gguf_files import open_gguf

    try:
        open_gguf(path)
    except InputError as error:
        raise UnavailableError(str(error)) from error


def _prompt(tokenizer: Any, messages: Messages) -> Any:
    """The ids of a question [1, token]: by the chat template of the model, or one paragraph after the other."""
    if getattr(tokenizer, "chat_template", None):
        found = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        return found["input_ids"]
    text = "\n\n".join(message["content"] for message in messages) + "\n\nAnswer:"
    return tokenizer(text, return_tensors="pt")["input_ids"]
