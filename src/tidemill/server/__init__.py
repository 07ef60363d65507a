"""The server: the only place that names concrete parts."""

import gc


def spare_collector() -> None:
    """Have the collector seldom walk what stays for good: first of all, what is imported now."""
    gc.set_threshold(50_000, 20, 50)
