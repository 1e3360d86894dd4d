"""`polysem new`: a fresh study of one's own, which takes its workflow from the installed package."""

import argparse
import os
import shlex
from contextlib import chdir
from pathlib import Path

from polysem.io.errors import InputError
from polysem.params.explain import nearest
from polysem.params.study import Study, load_study
from polysem.workflow.checks import preflight, special_tokens
from polysem.workflow.checks.needs import jobs
from polysem.workflow.checks.speeds import CPU_GFLOPS, GPU_TFLOPS
from polysem.workflow.commands.plan import Speed, core_hours
from polysem.workflow.fresh.answers import answers
from polysem.workflow.fresh.folder import placed_when_whole, require_git, write_study
from polysem.workflow.fresh.params_file import SCHEMA, params_text
from polysem.workflow.home import HOME, PRESETS
from polysem.workflow.progress import duration

PARAMS = Path("params.yaml")


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where to make it: a folder that is not there yet")
    parser.add_argument(
        "--model",
        help="trained (a small one, in the run), owner/name on the Hugging Face hub, or a folder or .gguf file",
    )
    parser.add_argument("--sites", nargs="+", metavar="SITE", help="hooks of the model, as blocks.0.mlp.hook_post")
    parser.add_argument(
        "--corpus", help="generated (stories), a file or pattern of files, or owner/name of a data set on the hub"
    )
    parser.add_argument(
        "--preset", help="take the params file of a preset of the repository, in place of model, sites and corpus"
    )


def command(options: argparse.Namespace) -> int:
    """Make a study of your own in a new folder, in git and ready for `make run`; what no option says is asked."""
    here, name = Path().absolute(), Path(os.path.abspath(options.folder)).name  # noqa: PTH100 (`..` goes, too)
    require_git()
    with placed_when_whole(options.folder) as place, chdir(place):
        text, preset = _preset(options), options.preset
        if text is None:
            text = params_text(answers(options.model, options.sites, options.corpus, here))
        PARAMS.write_text(text, encoding="utf-8")
        study = load_study(PARAMS)
        if preset is None:
            preflight.check(study)
            special_tokens.check(study)
        polysem = write_study(place, name, _about(study, preset), text)
        takes = _time(study)
    print(f"made {options.folder}: {_about(study, preset)} Its workflow is that of polysem {polysem}.")
    print(f"cd {shlex.quote(str(options.folder))} && make run    # {takes} on one core; `polysem plan` says more")
    return 0


def _preset(options: argparse.Namespace) -> str | None:
    """The params file of a preset; None where none is asked for. InputError beside other options, and for none that
    there is."""
    if options.preset is None:
        return None
    if others := [name for name in ("model", "sites", "corpus") if getattr(options, name) is not None]:
        raise InputError(f"--preset names a whole params file, so --{others[0]} says nothing beside it; leave one out")
    known = {"default": HOME / "params.yaml"} | {file.stem: file for file in sorted(PRESETS.glob("*.yaml"))}
    if options.preset not in known:
        raise InputError(
            f"there is no preset {options.preset!r}{nearest(options.preset, list(known))}; there are {', '.join(known)}"
        )
    text = known[options.preset].read_text(encoding="utf-8")
    return text.replace("$schema=../docs/params.schema.json", f"$schema={SCHEMA}").replace(
        "$schema=docs/params.schema.json", f"$schema={SCHEMA}"
    )


def _about(study: Study, preset: str | None) -> str:
    """What is studied, in a sentence."""
    if preset is not None:
        return f"The preset {preset}."
    ((name, model),) = study.models.items()
    saes = list(dict.fromkeys(sae.recipe_name for sae in study.saes.values()))
    return f"Neurons and SAEs ({', '.join(saes)}) of {name} on {model.corpus}, at {', '.join(model.sites)}."


def _time(study: Study) -> str:
    """How long a run takes, as far as the params tell."""
    hours = core_hours(jobs(study), Speed(CPU_GFLOPS * 1e9, GPU_TFLOPS * 1e12))
    return hours.text(lambda known: duration(3600 * known))
