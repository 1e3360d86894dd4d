"""The one process that owns models, tokenizers and dictionaries, and the server's side of it.

`client` is imported by the server and by nothing that imports torch; `process` is the other side, run as
`python -m polysem.explorer.inference.process`.
"""
