"""One module per table that every site has, in which its dictionaries stand together or against others.

A table is a contract (`tables.contract`); what tables share is in `parts` and `passes`.
"""
