"""`polysem export`: an SAE of a finished run in the form of another tool."""

import argparse
import json
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from polysem.io.errors import InputError
from polysem.io.files import expanded
from polysem.layout.place import Place
from polysem.layout.studied import dictionaries
from polysem.params.explain import nearest
from polysem.params.recipes.pretrained import PretrainedSae
from polysem.params.study import Study, load_study
from polysem.workflow import artifacts
from polysem.workflow.commands.places import require_in_folders
from polysem.workflow.declarations import declared, defines, modules_of
from polysem.workflow.provenance.freshness import require_of_one_run
from polysem.workflow.provenance.records import Record, read_record
from polysem.workflow.running.stated import OutsideFiles

if TYPE_CHECKING:
    from torch import Tensor

ROOMS = ("polysem.saes.formats", "polysem.exporters")
"""Formats hold weights, exporters what was measured; a module of either that has `write` is a form to export to."""


@cache
def forms() -> dict[str, str]:
    """The modules of all forms that can be written, by name."""
    return {name: module for room in ROOMS for name, module in modules_of(room).items() if defines(module, "write")}


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "sae", metavar="SAE", help="model/site/sae, its folder, or the id of an SAE that stands at one site alone"
    )
    parser.add_argument("--format", choices=list(forms()), required=True, help="whose form it gets")
    parser.add_argument("--output", type=Path, help="a folder that is not there yet; exports/FORMAT/SAE without it")
    parser.add_argument("--configfile", type=Path, default=Path("params.yaml"), help="the params file of the run")


def command(options: argparse.Namespace) -> int:
    """Write an SAE of a finished run in the form of another tool.

    All that is read has to be of one run with the params file, by its records: InputError otherwise."""
    study = load_study(options.configfile)
    place = chosen(study, options.sae)
    folder = Path(place.sae.path)
    if not (folder / "cfg.json").is_file():
        raise InputError(f"{folder} is not made yet; run `snakemake --cores all {folder}/cfg.json` first")
    output = options.output or Path("exports", options.format, *place.names)
    require_in_folders(output, "--output")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} is there already; remove it or name another --output")

    require_recipe(study, place)
    require_of_one_run(files_read(place, options.format))

    from polysem.saes.exported import ExportedOfRun
    from polysem.saes.sae import load_sae
    from polysem.tables.parts.words import words

    config = json.loads((folder / "cfg.json").read_text(encoding="utf-8"))
    section = study.models[place.model]
    tokenizer = Path(place.tokenizer)
    sae = load_sae(folder, config["d_in"])
    exported = ExportedOfRun(
        sae=sae,
        model=place.model,
        model_name=getattr(section, "repository", place.model),
        site=place.site,
        name=place.dictionary,
        metadata=config["metadata"],
        corpus=section.corpus,
        tables=Path(place.tables),
        logit_weights=lambda rows: logit_weights(place.of("").at(sae.target or place.site), rows),
        token_text=cache(words(tokenizer if tokenizer.is_file() else None)),
    )
    import_module(forms()[options.format]).write(exported, output)
    print(f"written: {output}")
    for sentence in exported.missing:
        print(f"note: {sentence}")
    return 0


def files_read(place: Place, form: str) -> list[str]:
    """The files of the run that a format is written from, as far as they are there."""
    read = declared(forms()[form]).get("TABLES", ())
    files = [*artifacts.sae_files(place), *([place.tables, place.tables_receipt] if read else [])]
    if "logits" in read:
        files += [place.tokenizer, place.directions]
    return [file for file in files if Path(file).exists()]


def require_recipe(study: Study, place: Place) -> None:
    """InputError unless an SAE was made as the params file says, by its record: trained with the keys of its recipe
    (rule `train_sae`), or imported with those of its entry, and from the files that are there now (`import_sae`)."""
    config = place.sae.file("cfg.json")
    record = read_record(config)
    if record is None:
        raise InputError(f"there is no record of how {config} was made; run snakemake first")
    made, recipe = record.params.get("params", {}), study.saes[place.dictionary].recipe
    wanted = (
        recipe.values() | {"models": [place.model]} if isinstance(recipe, PretrainedSae) else recipe.hyper_parameters()
    )
    for key in dict.fromkeys([*wanted, *made]):
        if key not in made or key not in wanted or made[key] != wanted[key]:
            found = f"with {key}: {made[key]}" if key in made else f"without {key}"
            asked = f"{key}: {wanted[key]}" if key in wanted else f"no {key}"
            raise InputError(f"{config} was made {found}, and the params file has {asked}; run snakemake first")
    if isinstance(recipe, PretrainedSae) and not reads_the_same_files(recipe, record):
        raise InputError(f"{recipe.path} holds another SAE than {config} was made from; run snakemake first")


def reads_the_same_files(recipe: PretrainedSae, record: Record) -> bool:
    """Whether the local files of an imported SAE are those that its job read; if they are gone, it stays what it is."""
    if recipe.path is None or not expanded(recipe.path).exists():
        return True
    from polysem.workflow.checks.preflight import outside_paths

    return OutsideFiles.of(outside_paths(recipe)).digest in record.digests


def logit_weights(place: Place, rows: "Tensor") -> "Tensor":
    """What some directions at a site add to the logits, by the weights of which the table of logits was made."""
    from polysem.tables.parts.directions import NO_DIRECT_PATH, Directions

    path = Path(place.directions)
    if not path.is_file():
        raise InputError(f"{path} is not made yet; run `snakemake --cores all {path}` first")
    found = Directions.read(path).logit_weights(place.site, rows)
    if found is None:
        raise InputError(
            f"{path}: {NO_DIRECT_PATH}, and the tables of {place.model} at {place.site} say otherwise; run again"
        )
    return found


def chosen(study: Study, text: str) -> Place:
    """The SAE that a user names, or whose folder; InputError with those that there are."""
    there = {place.path: place for place in dictionaries(study) if place.dictionary in study.saes}
    folders = {place.sae.path: place for place in there.values()}
    text = text.rstrip("/")
    if found := there.get(text) or folders.get(text):
        return found
    alike = [place for place in there.values() if place.dictionary == text]
    if len(alike) == 1:
        return alike[0]
    if alike:
        places = ", ".join(place.path for place in alike)
        raise InputError(f"{text} stands at several sites; name one of {places}")
    raise InputError(f"there is no SAE {text!r}{nearest(text, list(there))}; there are {', '.join(there) or 'none'}")
