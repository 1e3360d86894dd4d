"""Tables, one xarray Dataset each, for SAEs and neurons alike, in folders that say over what they run.

The steps that measure and collect them stand here; pure numerics in `numerics`.
"""
