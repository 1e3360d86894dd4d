"""The typed schema of `params.yaml`, a module per phase, so that a step imports only its own (docs/design.md)."""
