"""Where the workflow lies: in the repository, or in an installed package, which carries what the repository has beside
`src` (`pyproject.toml`, `force-include`)."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
CARRIED = PACKAGE / "carried"
"""Holds the same files at the same places as the repository."""
HOME = CARRIED if CARRIED.is_dir() else PACKAGE.parents[1]
SNAKEFILE = HOME / "Snakefile"
PRESETS = HOME / "presets"
