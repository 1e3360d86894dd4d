"""Language models as subjects, through a TransformerBridge."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from polysem.io.errors import InputError
from polysem.models.anatomy import Place, anatomy_of
from polysem.models.boot import boot_transformers
from polysem.models.native import boot_native, is_native
from polysem.models.probe import flat
from polysem.models.processed import process
from polysem.models.record import Record
from polysem.models.subject import Batch, Evaluation, Replacement, Subject, Take, at_positions
from polysem.params.models.language import Processing

NORM = (
    "final norm: gain and centring are in the unembedding, exact up to the factor 1/size that the norm has at each "
    "position"
)
NO_NORM = "no norm between the site and the logits"
NO_SUM = "norms stand on the residual stream, or what follows it is not known: no site has a direct path to the logits"


class _LastSiteReached(Exception):  # noqa: N818 - it leaves the forward pass, it reports no error
    pass


class LanguageSubject(Subject):
    """A TransformerBridge behind the interface of all models."""

    def __init__(self, bridge: TransformerBridge, device: str) -> None:
        self.bridge = bridge.eval()
        self.device = torch.device(device)
        self._anatomy = anatomy_of(self.bridge)
        self._in_use = RLock()
        self._is_hooked = False

    @property
    def sites(self) -> Sequence[str]:
        """The hooks of `BLOCK_HOOKS` that the model has, at every layer."""
        return list(self._anatomy.places)

    def width(self, site: str) -> int:
        """As many numbers as stood at the hook when the model was asked."""
        return self._place(site).width

    @torch.inference_mode()
    def visit(self, batch: Batch, sites: Sequence[str], take: Take, *, inputs: bool = False) -> None:
        """See `Subject.visit`. An exception leaves the forward pass at the last site: `stop_at_layer` does not stop at
        the last layer, and the unembedding is most of a small model's work. The input of the MLP is behind its norm,
        and behind the norm's gain unless that is folded into the weights, so it is what W_in and W_gate multiply in
        either case."""
        places = {site: self._place(site) for site in sites}
        entering = {site: place.entering if inputs else None for site, place in places.items()}
        needed = {site: {site, name or site} for site, name in entering.items()}
        found: dict[str, Tensor] = {}

        def reach(value: Tensor, name: str) -> None:
            found[name] = flat(value)
            for site in [site for site, names in needed.items() if names <= found.keys()]:
                del needed[site]
                before = entering[site]
                take(site, found[site], None if before is None else found[before])
            for done in found.keys() - set().union(*needed.values()):
                del found[done]
            if not needed:
                raise _LastSiteReached

        points = sorted(set().union(*needed.values()))
        with self._hooks([(name, lambda value, hook, name=name: reach(value, name)) for name in points]):
            try:
                self.bridge(batch.inputs.to(self.device), return_type="logits")
            except _LastSiteReached:
                return
        raise RuntimeError(f"the forward pass ended without reaching {set(needed)}")

    @torch.inference_mode()
    def evaluate(self, batch: Batch, replacements: Mapping[str, Replacement] | None = None) -> Evaluation:
        """Loss and hits of the next-token prediction."""
        batch = batch.to(self.device)
        logits = self._logits(batch, replacements or {}, 1, None)
        losses = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="none").view_as(batch.targets)
        correct = logits.argmax(-1) == batch.targets
        return Evaluation(losses.masked_fill(~batch.scored, 0.0), correct & batch.scored)

    @torch.inference_mode()
    def log_probabilities(
        self,
        batch: Batch,
        replacements: Mapping[str, Replacement] | None = None,
        copies: int = 1,
        at: Int[Tensor, "sequence wanted"] | None = None,
    ) -> Float[Tensor, "sequence position outcome"]:
        """See `Subject.log_probabilities`; the outcomes are the tokens, in float32. At other positions than those
        wanted nothing is unembedded, which is most of the work of a small model."""
        return F.log_softmax(self._logits(batch.to(self.device), replacements or {}, copies, at).float(), dim=-1)

    def _logits(
        self,
        batch: Batch,
        replacements: Mapping[str, Replacement],
        copies: int,
        at: Int[Tensor, "sequence wanted"] | None,
    ) -> Float[Tensor, "sequence position token"]:
        sites, edits = list(replacements), self._all_edits(replacements)
        if copies > 1 and not sites:
            whole = self._logits(batch, {}, 1, None).repeat_interleave(copies, dim=0)
            return whole if at is None else at_positions(whole, at)
        if at is not None:
            edits.append(("unembed.hook_in", lambda value, hook: at_positions(value, at)))
        if copies == 1 or not (len(batch.inputs) == 1 and self._copies_inside):
            with self._hooks(edits):
                return self.bridge(batch.inputs.repeat_interleave(copies, dim=0), return_type="logits")
        first = min(int(site.split(".")[1]) for site in sites)
        with self._hooks([(f"blocks.{first}.hook_resid_pre", copying(copies)), *edits]):
            return self.bridge(batch.inputs, return_type="logits")

    @cached_property
    def _copies_inside(self) -> bool:
        """Whether one sequence may become several in the middle of the model: what many models make of their input's
        shape, such as masks, is the same for all sequences, and what some make is not. It is tried out."""
        ids = torch.arange(4, device=self.device)[None]
        last = f"blocks.{max(int(site.split('.')[1]) for site in self.sites)}."
        shapes: list[bool] = []
        looking = [
            (site, lambda value, hook: shapes.append(value.shape[:2] == (2, 4)))
            for site in self.sites
            if site.startswith(last)
        ]
        with self._hooks([(f"{last}hook_resid_pre", copying(2)), *looking]):
            try:
                found = self.bridge(ids, return_type="logits")
            except (RuntimeError, ValueError):
                return False
        with self._hooks([]):
            wanted = self.bridge(ids.repeat(2, 1), return_type="logits")
        return all(shapes) and found.shape == wanted.shape and torch.allclose(found, wanted, rtol=1e-4, atol=1e-4)

    def _all_edits(self, replacements: Mapping[str, Replacement]) -> list[tuple[str, Any]]:
        """The hooks of several sites, in the order in which they are set."""
        sites = sorted(replacements, key=lambda site: self._place(site).branch_alone)
        return [edit for site in sites for edit in self._edits(site, replacements[site])]

    def _edits(self, site: str, replace: Replacement) -> list[tuple[str, Any]]:
        """Hooks, with the names of their points, that put other activations in the place of a site's.

        What bridges call `hook_resid_mid` is what the MLP's norm reads: other numbers there would leave the residual
        stream as it was. So they are put in by way of what attention adds to it.
        """
        if not self._place(site).branch_alone:
            return [(site, lambda value, hook: replace(flat(value)).reshape(value.shape))]
        seen: list[Tensor] = []
        before, added = (site.replace("hook_resid_mid", name) for name in ("hook_resid_pre", "hook_attn_out"))

        def keep(value: Tensor, hook: Any) -> None:
            seen[:] = [value]

        def add(value: Tensor, hook: Any) -> Tensor:
            middle = seen.pop() + value
            return value + (replace(middle) - middle)

        return [(before, keep), (added, add)]

    def input_weights(self, site: str) -> Float[Tensor, "neuron input"] | None:
        """Rows of W_in (of W_gate in a gated MLP) for neurons of an MLP."""
        return self._place(site).input_weights

    def reads_gate(self, site: str) -> bool:
        """True for neurons of a gated MLP."""
        return self._place(site).reads_gate

    def output_weights(self, site: str) -> Float[Tensor, "neuron output"] | None:
        """Rows of W_out for neurons of an MLP, of W_O for heads of attention, with the gain of a norm behind them and
        the factor that the model multiplies them by."""
        return self._place(site).output_weights

    def logit_directions(self, site: str) -> Float[Tensor, "neuron token"] | None:
        """Direct path to the logits: the output weights times the unembedding; the unembedding for what is written to
        the residual stream."""
        unembedding, weights = self.unembedding(), self.output_weights(site)
        if unembedding is None:
            return None
        if self.writes_to_residual(site):
            return unembedding
        return None if weights is None else weights @ unembedding

    def unembedding(self) -> Float[Tensor, "residual token"] | None:
        """W_U behind the final norm: scaled by its gain and, where the norm centres, centred over the residual stream;
        times the factor that the model multiplies its logits by. Folding the norm into the weights first changes
        nothing. None where the residual stream is no plain sum, as norms stand on it."""
        return None if self._anatomy.outlet is None else self._anatomy.outlet.unembedding()

    def modules(self, site: str) -> dict[str, list[str]]:
        """See `Subject.modules`; as it was found when the model was asked."""
        self._place(site)
        block = ".".join([*site.split(".")[:2], ""])
        found = self._anatomy.modules
        return {name.removeprefix(block): found[name] for name in found if name.startswith(block) and found[name]}

    def path_notes(self, sites: Sequence[str]) -> dict[str, str]:
        """What the weights on the way from some sites to the logits hold and leave out."""
        outlet = self._anatomy.outlet
        if outlet is None:
            return {"final_norm": NO_SUM}
        notes = {"final_norm": NORM if outlet.scaling.norm else NO_NORM}
        if outlet.factor != 1:
            notes["logit_factor"] = (
                f"the model multiplies its logits by {outlet.factor:.6g}, and so do the logit weights"
            )
        if outlet.soft_cap is not None:
            notes["logit_soft_cap"] = (
                f"the model's logits are c tanh(l / c) with c = {outlet.soft_cap:g}; logit weights are those of l"
            )
        behind = [site for site in sites if self._place(site).norm_behind]
        if behind:
            notes["norm_behind"] = (
                f"output weights of {', '.join(behind)}: gain and centring of the norm behind them are in them, exact "
                "up to the factor 1/size that the norm has at each position"
            )
        return notes

    def writes_to_residual(self, site: str) -> bool:
        """True for all sites outside of the MLP's neurons and the heads."""
        return self._place(site).in_stream

    def _place(self, site: str) -> Place:
        if site not in self._anatomy.places:
            why = self._anatomy.lacking.get(site)
            raise InputError(
                f"the model has no site {site!r}{f' ({why})' if why else ''}; it has {', '.join(self.sites)}"
            )
        return self._anatomy.places[site]

    @contextmanager
    def _hooks(self, functions: Sequence[tuple[str, Any]]) -> Iterator[None]:
        """Set the hooks on the points themselves: `run_with_hooks` scans all points of the model at every call.

        Hooks belong to the model and not to a call: a forward pass of another thread would run those of this one, or
        lose its own. So calls wait for each other. RuntimeError for a call from inside of another, in a replacement:
        waiting would never end, and its hooks would be taken for those around it.
        """
        with self._in_use:
            if self._is_hooked:
                raise RuntimeError("the model was called from a replacement of its own activations; call it before")
            points = [self.bridge.hook_dict[name] for name, _ in functions]
            self._is_hooked = True
            try:
                for point, (_, function) in zip(points, functions, strict=True):
                    point.add_hook(function, dir="fwd")
                yield
            finally:
                for point in points:
                    point.remove_hooks("fwd")
                self._is_hooked = False


def copying(copies: int) -> Callable[[Tensor, Any], Tensor]:
    """The hook that makes as many of each sequence."""
    return lambda value, hook: value.repeat_interleave(copies, dim=0)


@torch.inference_mode(False)
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
