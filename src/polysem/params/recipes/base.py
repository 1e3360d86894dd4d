"""What all SAE recipes share (document S1, "Autoencoder")."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from polysem.io.errors import InputError
from polysem.params.addons import modules_of
from polysem.params.base import Name, Rate, SaeSection, Seed, Share, Text, Tokens
from polysem.params.needs import SaeNeeds

Fraction = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0, le=1e6)]
DecoderNorm = Literal["unit", "project_only", "free", "unpenalised"]
DeadFeatures = Literal["none", "reinitialise", "loss_weighted", "auxk"]
Steps = Annotated[int, Field(ge=2, le=1_000_000_000)]
StartNorm = Annotated[float, Field(gt=0, le=1e3)]

DEAD_FEATURES = {
    "reinitialise": ("dead_every", "dead_below", "dead_until"),
    "loss_weighted": ("dead_every", "dead_below", "dead_until", "dead_tokens"),
    "auxk": ("dead_every", "dead_below", "auxk", "auxk_weight"),
}
"""The keys that each treatment of dead features reads."""
TRANSCODING = ("batchtopk", "jumprelu", "relu")
"""The architectures that read `target`."""


class Recipe(SaeSection):
    """Hyper-parameters of a sparse autoencoder. A list in place of a value spans a grid; the subclass of each
    architecture stands in the folder of the architecture's name."""

    saved_as: ClassVar[str]
    """SAELens's name of the architecture that the finished SAE has."""
    cases: ClassVar[tuple[dict[str, Any], ...]]
    """Small settings of the architecture's own keys: the first is the usual one, and together they have every value of
    every choice. The contract tests train them on a few dozen features."""
    transcodes: ClassVar[bool] = False
    """Whether the architecture may predict another site, `target`: whether SAELens has a transcoder of its kind."""

    architecture: str
    models: list[Name] | Literal["all"] = "all"
    """Models at whose sites the recipe is trained."""
    sites: list[str] | Literal["all"] = "all"
    """Sites of these models at which it is trained."""
    target: Text | None = None
    """Another site of the same models, whose activations the dictionary predicts from those of its own site: a
    transcoder (relu, jumprelu, batchtopk). Null: it reconstructs its own site."""
    skip: bool = False
    """With `target`: a linear map W_skip from the input to the prediction beside the features."""
    expansion: Annotated[int, Field(ge=1, le=1024)] = 8
    """Features per input: the SAE has `expansion` times as many features as the site has neurons."""
    tokens: Tokens = 1_000_000
    """Activation rows to train on; above the number of stored rows they are repeated in another order."""
    batch_size: Annotated[int, Field(ge=1, le=1_048_576)] = 1024
    """Activation rows per step."""
    activations: Literal["stored", "streamed"] = "stored"
    """`stored`: rows come from the model's train store; `streamed`: the model runs inside the training job and fills a
    shuffled buffer (S2.M1), for more tokens than the disk holds."""
    buffer_gib: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Memory of that buffer in GiB."""
    normalize_activations: bool = True
    """Train on activations scaled to a mean norm of sqrt(neurons), so that one L1 weight suits many sites; the scale is
    folded into the saved weights."""
    tied: bool = False
    """Encode with the decoder's transpose (S2.X3)."""
    start: Literal["aligned", "independent"] = "aligned"
    """`aligned`: the first encoder rows point along the decoder's, and b_dec is the mean of the activations;
    `independent`: they point anywhere, and b_dec is 0, much as linear layers start (S3.M4)."""
    encoder_start: StartNorm = 0.1
    """Norm of the first encoder rows. Long rows make large features at first, which training has to undo."""
    decoder_norm: DecoderNorm = "unit"
    """`unit`: decoder rows keep norm 1, their gradient has no part along them; `project_only`: the gradient loses that
    part but rows are not renormalised, as in document S2 (S2.M3); `free`: neither, penalties see f times the norm;
    `unpenalised`: neither, and penalties see f alone (S3.M4)."""
    decoder_start: StartNorm = 1.0
    """Norm of the first decoder rows, for free and unpenalised norms; others start at 1."""
    encoder_l1: Weight = 0.0
    """Weight of the mean over features of the L1 norm of the encoder row (S2.X1)."""
    encoder_l2: Weight = 0.0
    """Weight of the mean over features of the squared L2 norm of the encoder row (S2.X1)."""
    embedding_loss: Weight = 0.0
    """Weight of the per-token mean of the sum, over active features, of 1 − cos(mean neuron embedding, neuron embedding
    of the token): features are to answer to one thing (S3.M4). 0: off."""
    embedding_loss_from: Annotated[int, Field(ge=0, le=1_000_000_000)] = 200
    """Step from which that loss counts; the means follow the features from the first step on."""
    embedding_momentum: Fraction = 0.9
    """Share of a feature's mean that is kept when the feature is active once more."""
    orthogonal_to: Text | None = None
    """Id of another SAE of the same site: encoder rows are kept orthogonal to the mean encoder row of its features that
    are rarer than `analysis.ultra_low_frequency` (S2.F9)."""
    learning_rate: Rate = 1e-3
    warmup: Fraction = 0.05
    """Share of steps in which the learning rate rises from 0."""
    decay: Fraction = 0.2
    """Share of steps at the end in which the learning rate falls to 0."""
    beta1: Fraction = 0.5
    """Adam's decay of the mean gradient. Gradients of features that are rarely active come seldom, so a mean over many
    batches is a mean over old ones."""
    beta2: Fraction = 0.999
    """Adam's decay of the mean squared gradient."""
    weight_decay: Weight = 0.0
    """Added to the gradient of each weight and bias, times its value (Adam's L2 penalty, not AdamW's): what no token
    asks for goes to 0."""
    clip_norm: Annotated[float, Field(gt=0, le=1e6)] | None = 1.0
    """Largest norm of the gradient of all weights together; larger ones are scaled down to it. With 1, which it nearly
    always exceeds, all batches weigh the same, and the large first gradients do not hold Adam back. Null: no limit."""
    dead_features: DeadFeatures = "none"
    """What happens to features that (almost) never fire: `reinitialise`: new random weights (S2.M2); `loss_weighted`:
    an input that is reconstructed badly as direction, as in *Towards Monosemanticity* (S2.M2); `auxk`: they predict
    what the others miss (Gao et al. 2024)."""
    dead_every: Steps = 1000
    """Steps between two counts of dead features; firings are counted in the second half of each interval."""
    dead_below: Share = 1e-5
    """Features that fire on a smaller share of the tokens counted are dead."""
    dead_until: Share = 0.8
    """Share of training after which no feature is replaced."""
    dead_tokens: Tokens = 819_200
    """Inputs whose loss is measured to choose replacements."""
    auxk: Annotated[int, Field(ge=1, le=65_536)] = 256
    """Dead features per token that predict what the others miss."""
    auxk_weight: Weight = 0.03125
    """Weight of their squared error."""
    followed_features: list[Annotated[int, Field(ge=0)]] = []
    """Features whose frequency, encoder norm and bias are written at every checkpoint (S2.X2); a list, no grid."""
    seed: Seed = 0
    """Seed of the initial weights and of the order of the rows."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads; a param because another number rounds sums in another order."""

    @model_validator(mode="after")
    def _no_key_is_ignored(self) -> Self:
        read = DEAD_FEATURES.get(self.dead_features, ())
        for key in dict.fromkeys(key for keys in DEAD_FEATURES.values() for key in keys):
            if key not in read and getattr(self, key) != type(self).model_fields[key].default:
                users = ", ".join(method for method, keys in DEAD_FEATURES.items() if key in keys)
                raise ValueError(f"{key} is read with dead_features: {users}; here it is {self.dead_features}")
        if self.tied and self.encoder_start != type(self).model_fields["encoder_start"].default:
            raise ValueError("encoder_start is read with tied: false; here the encoder is the decoder's transpose")
        if self.tied and self.start != "aligned":
            raise ValueError("start: independent is read with tied: false; here the encoder is the decoder's transpose")
        if not self.free_norms and self.decoder_start != type(self).model_fields["decoder_start"].default:
            raise ValueError(
                f"decoder_start is read with decoder_norm: free, unpenalised; here it is {self.decoder_norm}"
            )
        for key in ("embedding_loss_from", "embedding_momentum"):
            if not self.embedding_loss and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} is read with embedding_loss above 0; here it is 0")
        steps = max(1, self.tokens // self.batch_size)
        if self.embedding_loss and self.embedding_loss_from >= steps:
            raise ValueError(
                f"embedding_loss never counts: embedding_loss_from is {self.embedding_loss_from}, and tokens / "
                f"batch_size are {steps} steps; lower embedding_loss_from"
            )
        self._can_transcode()
        if self.activations == "stored" and self.buffer_gib != type(self).model_fields["buffer_gib"].default:
            raise ValueError("buffer_gib is read with activations: streamed; here they are stored")
        return self

    def _can_transcode(self) -> None:
        """ValueError for what only an SAE of its own site can do."""
        if self.target is None:
            if self.skip:
                raise ValueError("skip is read with target, the site that is predicted; here there is none")
            return
        if not self.transcodes:
            raise ValueError(
                f"target is read with architecture: {', '.join(TRANSCODING)}; here it is {self.architecture}, of which "
                "SAELens has no transcoder"
            )
        if self.tied:
            raise ValueError(
                "tied: true needs one basis for encoder and decoder; with target the decoder's is that of another site"
            )
        if self.embedding_loss:
            raise ValueError("embedding_loss is of an SAE, whose b_dec centres what it reads; remove it or target")
        if self.dead_features in ("reinitialise", "loss_weighted"):
            raise ValueError(
                f"dead_features: {self.dead_features} gives encoder and decoder one direction, which a transcoder has "
                "not; with target it is none or auxk"
            )

    @property
    def free_norms(self) -> bool:
        """Whether decoder rows may have any norm."""
        return self.decoder_norm in ("free", "unpenalised")

    @property
    def first_decoder_norm(self) -> float:
        """Norm of new decoder rows."""
        return self.decoder_start if self.free_norms else 1.0

    def check_features(self, features: int) -> None:
        """InputError for what an SAE with so many features cannot have."""
        k, target = getattr(self, "k", 0), getattr(self, "target_l0", None) or 0
        if k > features:
            raise InputError(f"k is {k}, and it has {features} features; lower k or raise expansion")
        if target > features:
            raise InputError(f"target_l0 is {target:g}, and it has {features} features; lower it or raise expansion")
        if unknown := [feature for feature in self.followed_features if feature >= features]:
            raise InputError(f"followed_features holds {unknown[0]}; features are 0 … {features - 1}; mend the list")

    def training_details(self, features: int) -> dict[str, Any] | None:
        """What SAELens tells of a training under `training_architecture_details`, where the saved SAE is of another
        architecture and does not show it; None where there is nothing to tell."""
        return None

    def hyper_parameters(self) -> dict[str, Any]:
        """What training reads: all keys but which models and sites the recipe is for."""
        values = self.values()
        del values["models"], values["sites"]
        if self.target is None:  # what was trained before there were transcoders keeps its bytes
            del values["target"], values["skip"]
        return values

    def outside_files(self) -> list[str]:
        """See `Entry`."""
        return []

    def modules(self) -> list[str]:
        """See `Entry`."""
        package = type(self).__module__.rpartition(".")[0]
        return [*modules_of(package).values(), modules_of("polysem.saes.activation_functions")[self.saved_as]]

    def needs(self) -> SaeNeeds:
        """See `SaeSection`."""
        return SaeNeeds(expansion=self.expansion)
