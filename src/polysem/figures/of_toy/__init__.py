"""Figures of a set of known features, in which all SAEs that were trained on it stand together; one module each.

A module has `CATALOGUE`, `TABLES` (`known`, along `dictionary`), `TITLE` and `draw`, like those of a site.
"""
