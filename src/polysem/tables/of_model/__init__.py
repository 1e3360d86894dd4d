"""One module per table that every model has.

A table is a contract (`tables.contract`); what tables share is in `parts` and `passes`.
"""
