"""S0.X1, S1.F7, S1.F8, S2.F8, S2.F9: the dictionaries of a site against each other and against those of other sites."""

from pathlib import Path

from polysem.io.errors import InputError
from polysem.io.tables import write_table
from polysem.layout.place import Place
from polysem.params.analysis import GivenAnalysis
from polysem.params.pair import Pair
from polysem.tables.parts.labels import attributes_of, labelled
from polysem.tables.parts.words import words
from polysem.tables.passes.comparison.pair_table import pair_variables
from polysem.tables.passes.comparison.pairwise import compare
from polysem.tables.passes.comparison.shelf import Site, SiteFiles
from polysem.tables.passes.comparison.size_table import growing, splitting
from polysem.tables.passes.comparison.wrong_site import readings

CATALOGUE = "S0.X1 S1.F7 S1.F8 S2.F8 S2.F9"


def compare_dictionaries(
    output: Path,
    model: str,
    site: str,
    places: dict[str, SiteFiles],
    pairs: list[Pair],
    sizes: list[str],
    params: GivenAnalysis,
    tokenizer: Path | None = None,
    device: str = "cpu",
) -> None:
    """Write the comparison of a site: `pair_variables`, `readings` and `splitting`, as far as there is what they need.

    Args:
        output: The table.
        model: Model of the site.
        site: The site.
        places: Where the files of this site and of all others in `pairs` are, by "model/site".
        pairs: What is compared, see `polysem.params.comparisons`.
        sizes: SAEs for feature splitting; of those with equally many features the first is taken.
        params: `baseline_seed`, `comparison_tokens`, `split_cosine` and `ultra_low_frequency` are read.
        tokenizer: The model's, to spell tokens; without one, tokens are numbers.
        device: Where features are encoded.

    Raises InputError if a place is missing or holds no such dictionary.
    """
    sites = {key: Site(key.split("/")[0], key.split("/")[1], place, device) for key, place in places.items()}
    here = _known(sites, model, site)
    matches = [compare(here, _known(sites, pair.model, pair.site), pair, params) for pair in pairs]
    variables = pair_variables(matches)
    others = [
        other
        for key, other in sites.items()
        if other is not here and other.width == here.width and other.tokens_digest == here.tokens_digest
    ]
    reader = pairs[0].dictionary if pairs and others else ""
    if reader:
        variables |= readings(here, reader, others, params)
    names = growing(here, sizes)
    if len(names) > 1:
        variables |= splitting(here, names, params, words(tokenizer))
    attributes = {
        **attributes_of(Place(model, site), CATALOGUE),
        "tokens": max((match.tokens for match in matches), default=0),
        "neurons": here.width,
        "reader": reader,
        "split_cosine": params.split_cosine,
        "ultra_low_frequency": params.ultra_low_frequency,
    }
    write_table(output, labelled(variables, {}, attributes))


def _known(sites: dict[str, Site], model: str, site: str) -> Site:
    found = sites.get(f"{model}/{site}")
    if found is None:
        raise InputError(
            f"places name no {model}/{site}, with which something is compared; they name {', '.join(sites)}"
        )
    return found
