"""Writers of what other tools show of a dictionary, made from its tables.

Formats of weights alone are in `saes.formats`; both are found by name.
"""
