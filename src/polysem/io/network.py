"""What a hub that cannot be reached raises."""


def network_errors() -> tuple[type[Exception], ...]:
    """Errors of the operating system and of the HTTP library, which the hub's client lets through."""
    import httpx2

    return (OSError, httpx2.HTTPError)
