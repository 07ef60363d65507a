"""The server: the only place that names concrete parts."""

import gc


def begin_start() -> None:
    """Before all else is imported: have that cost less."""
    # Have the collector seldom walk what stays for good: first of all, what is imported now.
    gc.set_threshold(50_000, 20, 50)
    from tidemill.server import precompiled

    precompiled.begin()
