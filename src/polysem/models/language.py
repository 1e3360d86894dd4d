"""Language models as subjects, through a TransformerBridge."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from polysem.io.errors import InputError
from polysem.models.boot import boot_transformers
from polysem.models.native import boot_native, is_native
from polysem.models.processed import process
from polysem.models.record import Record
from polysem.models.subject import Batch, Evaluation, Replacement, Subject
from polysem.params.models.language import SITE, Processing, block_sites


class _LastSiteReached(Exception):  # noqa: N818 - it leaves the forward pass, it reports no error
    pass


class LanguageSubject(Subject):
    """A TransformerBridge behind the interface of all models."""

    def __init__(self, bridge: TransformerBridge, device: str) -> None:
        self.bridge = bridge
        self.device = torch.device(device)
        self._sites = block_sites(bridge.cfg.n_layers)

    @property
    def sites(self) -> Sequence[str]:
        """The hooks of `BLOCK_HOOKS` at every layer."""
        return self._sites

    def width(self, site: str) -> int:
        """`d_mlp` for sites inside the MLP, `d_model` for the others."""
        self._check(site)
        return int(self.bridge.cfg.d_mlp if ".mlp." in site else self.bridge.cfg.d_model)

    @torch.inference_mode()
    def activations(self, batch: Batch, sites: Sequence[str]) -> dict[str, Float[Tensor, "sequence position neuron"]]:
        """Activations at the sites. An exception leaves the forward pass at the last site: `stop_at_layer` does not
        stop at the last layer, and the unembedding is most of a small model's work."""
        for site in sites:
            self._check(site)
        return self._read(batch, sites)

    @torch.inference_mode()
    def activations_and_inputs(
        self, batch: Batch, site: str
    ) -> tuple[Float[Tensor, "sequence position neuron"], Float[Tensor, "sequence position input"] | None]:
        """See `Subject.activations_and_inputs`. The input of the MLP is behind its norm, and behind the norm's gain
        unless that is folded into the weights, so it is what W_in and W_gate multiply in either case."""
        layer, _ = self._check(site)
        if self.input_weights(site) is None:
            return self._read(batch, [site])[site], None
        entering = f"blocks.{layer}.mlp.hook_in"
        found = self._read(batch, [entering, site])
        return found[site], found[entering]

    def _read(self, batch: Batch, names: Sequence[str]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}

        def keep(value: Tensor, hook: Any, name: str) -> None:
            found[name] = value
            if len(found) == len(names):
                raise _LastSiteReached

        with self._hooks({name: lambda value, hook, name=name: keep(value, hook, name) for name in names}):
            try:
                self.bridge(batch.inputs.to(self.device), return_type="logits")
            except _LastSiteReached:
                return found
        raise RuntimeError(f"the forward pass ended without reaching {set(names) - found.keys()}")

    @torch.inference_mode()
    def evaluate(self, batch: Batch, replacements: Mapping[str, Replacement] | None = None) -> Evaluation:
        """Loss and hits of the next-token prediction."""
        batch = batch.to(self.device)
        edits = {
            site: lambda value, hook, replace=replace: replace(value) for site, replace in (replacements or {}).items()
        }
        for site in edits:
            self._check(site)
        with self._hooks(edits):
            logits = self.bridge(batch.inputs, return_type="logits")
        losses = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="none").view_as(batch.targets)
        correct = logits.argmax(-1) == batch.targets
        return Evaluation(losses.masked_fill(~batch.scored, 0.0), correct & batch.scored)

    def input_weights(self, site: str) -> Float[Tensor, "neuron input"] | None:
        """Rows of W_in (of W_gate in a gated MLP) for neurons of an MLP."""
        layer, hook = self._check(site)
        if hook not in {"mlp.hook_pre", "mlp.hook_post"}:
            return None
        gated = self.bridge.cfg.gated_mlp
        return (self.bridge.W_gate if gated else self.bridge.W_in)[layer].detach().T

    def reads_gate(self, site: str) -> bool:
        """True for neurons of a gated MLP."""
        return self.input_weights(site) is not None and bool(self.bridge.cfg.gated_mlp)

    def output_weights(self, site: str) -> Float[Tensor, "neuron output"] | None:
        """Rows of W_out for neurons of an MLP."""
        layer, hook = self._check(site)
        return self.bridge.W_out[layer].detach() if hook == "mlp.hook_post" else None

    def logit_directions(self, site: str) -> Float[Tensor, "neuron token"] | None:
        """Direct path to the logits: W_out W_U for neurons of an MLP, W_U for what is written to the residual
        stream."""
        _, hook = self._check(site)
        unembedding = self.bridge.W_U.detach()
        if hook == "mlp.hook_post":
            weights = self.output_weights(site)
            assert weights is not None
            return weights @ unembedding
        return None if hook == "mlp.hook_pre" else unembedding

    def unembedding(self) -> Float[Tensor, "residual token"] | None:
        """W_U behind the final norm: scaled by its gain and, for a LayerNorm, centred over the residual stream; as it
        is where the model has no norm. Folding the norm into the weights first changes nothing."""
        unembedding = self.bridge.W_U.detach()
        norm = self.bridge.ln_final
        gain = getattr(norm, "weight", None)
        if gain is None:
            return unembedding
        scaled = (gain.detach() + float(norm.uses_weight_offset))[:, None] * unembedding
        return scaled if norm.uses_rms_norm else scaled - scaled.mean(dim=0, keepdim=True)

    def writes_to_residual(self, site: str) -> bool:
        """True for all sites outside of the MLP's neurons."""
        return not self._check(site)[1].startswith("mlp.")

    def _check(self, site: str) -> tuple[int, str]:
        if site not in self._sites:
            raise InputError(f"the model has no site {site!r}; it has {', '.join(self._sites)}")
        match = SITE.fullmatch(site)
        assert match
        return int(match[1]), match[2]

    @contextmanager
    def _hooks(self, functions: Mapping[str, Any]) -> Iterator[None]:
        """Set the hooks on the points themselves: `run_with_hooks` scans all points of the model at every call."""
        points = [self.bridge.hook_dict[site] for site in functions]
        try:
            for point, function in zip(points, functions.values(), strict=True):
                point.add_hook(function, dir="fwd")
            yield
        finally:
            for point in points:
                point.remove_hooks("fwd")


def load(folder: Path, record: Record, device: str) -> LanguageSubject:
    """The language model of a folder, with its weights processed as the record says."""
    processing = Processing.model_validate(record.settings["processing"])
    bridge = boot_native(folder) if is_native(folder) else boot_transformers(folder, folder.name)
    bridge.eval()
    process(bridge, processing, folder.name)
    context, allowed = record.settings["context_length"], bridge.cfg.n_ctx
    if context > allowed:
        raise InputError(f"context_length = {context} exceeds the {allowed} positions of {folder.name}; lower it")
    return LanguageSubject(bridge if device == "cpu" else bridge.to(torch.device(device)), device)
