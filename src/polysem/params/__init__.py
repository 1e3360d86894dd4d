"""The typed schema of `params.yaml`, a module per kind, so that a step imports only its own (docs/design.md).

A section owns what hangs on it; nothing here opens what a params file points at.
"""
