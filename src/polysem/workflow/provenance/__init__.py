"""How artifacts were made: Snakemake's records, seals, and whether they still hold.

`records` alone reads what Snakemake writes.
"""
