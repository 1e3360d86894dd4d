"""The commands of `polysem`, one module each, and what they share.

Each has a `configure(parser)` and a `command(options)`; none imports torch at its top.
"""
