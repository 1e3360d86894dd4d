"""One module per table that every dictionary of a site has, SAEs and neurons alike.

A table is a contract (`tables.contract`); what tables share is in `parts` and `passes`.
"""
