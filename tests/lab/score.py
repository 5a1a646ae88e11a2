def write() -> None:
    """To come."""
