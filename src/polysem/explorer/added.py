"""What the command says of an SAE that was added: what it is, and what `params.yaml` needs for a run to measure it."""

from io import StringIO
from typing import Any

from ruamel.yaml import YAML

LONGEST_LINE = 2**14
"""Characters of a path that stays in one line."""


def described(added: dict[str, Any]) -> str:
    """The text, whose last lines are YAML; `added` is `polysem.study.additions.Added.facts`."""
    model, name = added["model"], added["dictionary"]
    lines = [f"added {name}: {added['features']:,} features at {added['site']} of {model}"]
    lines += [f"note: {note}" for note in added["notes"]]
    lines.append("it is searched and tried here; for its figures, tables and sheets write into params.yaml, and run:")
    lines += [f"# add {site} to models.{model}.sites" for site in added["sites"]]
    if added["disagrees"] is not None:
        lines.append(f"# before that, mend what does not fit models.{model}: {added['disagrees']}")
    return "\n".join([*lines, as_yaml({"saes": {name: added["entry"]}})])


def as_yaml(values: dict[str, Any]) -> str:
    """Values as a params file has them."""
    buffer, yaml = StringIO(), YAML()
    yaml.width = LONGEST_LINE
    yaml.dump(values, buffer)
    return buffer.getvalue()
