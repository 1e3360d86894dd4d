"""Formats of published SAEs, each a module of its own that is found by its name.

A format that can be read has: `WEIGHTS`, how the file of the weights is called in a folder ("" where every SAE has a
name of its own); `companions(weights)`, the names of the files beside it that are needed, and those that are read if
they are there; `read(weights)`, the `Published` SAE of a file. A format that can be written has `write`, and
`TABLES`, those of the run that it reads.
"""
