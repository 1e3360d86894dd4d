"""S2 · SAE replication on gelu-1l: what it says of training."""

from polysem.report.catalogue.entry import Entry, Setting

ENTRIES = (
    Entry(
        id="S2.F9",
        title="Training away from the direction",
        published="An SAE whose encoder is kept orthogonal to the direction grows an ultra-low cluster all the same, "
        "in "
        "another direction.",
        shown="`orthogonal_to` in a recipe, and the figures of both SAEs.",
        absent="No recipe of this run sets `orthogonal_to`.",
        settings=(Setting("orthogonal_to"),),
        metrics=("ultra_low_share",),
    ),
    Entry(
        id="S2.F10",
        title="Frequencies during training",
        published="Features below 1e-5 were re-initialised every 120M tokens; from about [1.6B] tokens on ultra-low "
        "ones "
        "drift upwards, to between 1e-4.5 and 1e-4 at 2B.",
        shown="Histograms and shares below 1e-4 and 1e-5 at each checkpoint of a training.",
        absent="It needs an SAE that is trained here: imported ones have no history.",
    ),
    Entry(
        id="S2.M1",
        title="Order of activations",
        published="A shuffled buffer of 1.5M prompts, refilled when half empty, keeps the tokens of a prompt mostly "
        "apart.",
        shown="`activations: streamed` fills such a buffer; `stored` shuffles all rows.",
        absent="No recipe of this run has `activations: streamed`; rows of stored activations are shuffled as a whole.",
        settings=(Setting("activations", on=("streamed",)),),
    ),
    Entry(
        id="S2.M2",
        title="Resampling",
        published="Features rarer than 1e-5 were re-initialised, in place of the loss-weighted scheme of the original "
        "paper.",
        shown="`dead_features: reinitialise` and `dead_features: loss_weighted`, compared with `none`.",
        absent="No recipe of this run sets `dead_features`.",
        settings=(Setting("dead_features", on=("reinitialise", "loss_weighted")),),
        metrics=("never_active_share", "ultra_low_share", "loss_recovered_zero"),
    ),
    Entry(
        id="S2.M3",
        title="Norm of decoder rows",
        published="The gradient along a decoder row was removed, but its norm was not reset to 1, by mistake.",
        shown="`decoder_norm: project_only` does as the document did; `unit` also resets the norm.",
        absent="No recipe of this run has `decoder_norm: project_only`.",
        settings=(Setting("decoder_norm", on=("project_only",)),),
        metrics=("loss_recovered_zero", "L0"),
    ),
    Entry(
        id="S2.M4",
        title="The output of the MLP instead of its neurons",
        published="An SAE on the output of the MLP wastes nothing on the null space of W_out and is a quarter of the "
        "size; a first one on gelu-2l had few ultra-low features.",
        shown="The same figures at `hook_mlp_out`.",
        absent="No model of this run has a site `blocks.N.hook_mlp_out` under `sites`.",
        sites="hook_mlp_out",
        metrics=("loss_recovered_zero", "L0", "ultra_low_share"),
    ),
    Entry(
        id="S2.X1",
        title="Penalties on the encoder",
        published="Asked in a comment and left open: does the ultra-low cluster survive an L1 or L2 penalty on the "
        "encoder's weights?",
        shown="`encoder_l1` and `encoder_l2` in a recipe, against the same recipe without.",
        absent="No recipe of this run sets `encoder_l1` or `encoder_l2`.",
        settings=(Setting("encoder_l1", off=0), Setting("encoder_l2", off=0)),
        metrics=("ultra_low_share", "loss_recovered_zero"),
    ),
    Entry(
        id="S2.X2",
        title="Are rare features dying?",
        published="A comment supposes that ultra-low features are on their way to never firing, and proposes to follow "
        "some that are not re-initialised.",
        shown="`followed_features` writes frequency, norm and bias of chosen features at every checkpoint.",
        absent="No recipe of this run names `followed_features`.",
        settings=(Setting("followed_features", off=[]),),
    ),
    Entry(
        id="S2.X3",
        title="Tied and untied weights",
        published="Encoder and decoder do different things and were left untied; Cunningham et al. tie them.",
        shown="`tied: true` in a recipe, against the same recipe untied.",
        absent="No recipe of this run sets `tied`.",
        settings=(Setting("tied", off=False),),
        metrics=("loss_recovered_zero", "L0"),
    ),
)
