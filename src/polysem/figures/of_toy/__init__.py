"""One module per figure of a set of known features, in which all SAEs that were trained on it stand together.

Each declares what a figure of a site declares; it reads `known`, the tables of the SAEs along `dictionary`.
"""
