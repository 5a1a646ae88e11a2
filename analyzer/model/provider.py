"""Which provider a host belongs to, by its name."""

from __future__ import annotations

from functools import lru_cache

Providers = tuple[tuple[str, tuple[str, ...]], ...]


def provider_of(host: str | None, providers: Providers) -> str | None:
    """The provider whose MX and relay names *host* belongs to."""
    if not host:
        return None
    owners = _owners(providers)
    above = host.split(" ", 1)[0].rstrip(".").lower()
    found = []
    while above:
        if (at := owners.get(above)) is not None:
            found.append(at)
        above = above.partition(".")[2]
    return providers[min(found)][0] if found else None


@lru_cache(maxsize=4)
def _owners(providers: Providers) -> dict[str, int]:
    """Which of *providers* the names below a suffix belong to: the first one that has it."""
    return {suffix: at for at, (_, suffixes) in reversed(list(enumerate(providers))) for suffix in suffixes}
