from polysem.models.batches import TokenStore  # noqa: F401
