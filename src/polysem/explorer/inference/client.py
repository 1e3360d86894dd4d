"""The server's side of the inference process."""

from polysem.explorer.inference.jobs import ActivationsJob, SearchJob


class Inference:
    """Asks the inference process; answers are the bytes of the JSON that `/api/search` and `/api/activations` give."""

    async def search(self, job: SearchJob) -> bytes:
        """`{"tokens": […], "counted": […], "results": [{"model", "site", …}]}`."""
        raise NotImplementedError

    async def activations(self, job: ActivationsJob) -> bytes:
        """`{"texts": [{"tokens": […], "counted": […], "activations": [[…]]}]}`, a list per text and feature."""
        raise NotImplementedError
