"""The public face: finished results as objects in Python, which `polysem` names (`polysem.open`, `polysem.load_sae`).

What stands here reads, and writes nothing below `results/`; it measures, draws and renders with the code of the rooms
below. Modules import torch, xarray and the like in the functions that need them, as opening a study takes no more than
a look at its names.
"""
