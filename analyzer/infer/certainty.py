"""Shares of belief over the rival causes of one problem, combined by Dempster's rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MOST = 0.97
LIKELY = 0.7  # from here on a cause is called likely, and the reader is told who must act
NEAR = 0.2  # from here on a cause is shown


class Voice(msgspec.Struct, frozen=True):
    """What one finding says of a problem: *event* tells which evidence it rests on."""

    rule: str
    event: frozenset[object]
    suggests: Mapping[str, float]
    against: Mapping[str, float]


class Belief(msgspec.Struct, frozen=True):
    """*shares* by fault, most first; *rest* is something else; *conflict* how much the evidence disagrees, 0 to 1."""

    shares: tuple[tuple[str, float], ...]
    rest: float
    conflict: float


def contested(belief: Belief) -> tuple[str, str] | None:
    """The two causes that lead, where the first is less than likely and the second is near enough to be meant as well."""
    if len(belief.shares) < 2:
        return None
    (one, share), (other, second) = belief.shares[:2]
    return (one, other) if share < LIKELY and second >= NEAR else None


def combine(voices: Sequence[Voice]) -> Belief:
    """The belief that *voices* give together.  Their order does not matter."""
    faults = sorted({f for v in voices for f in (*v.suggests, *v.against)})
    bit = {fault: 1 << i for i, fault in enumerate(faults)}
    everything = (1 << (len(faults) + 1)) - 1  # the last bit is "something else"
    total: dict[int, float] = {everything: 1.0}
    agreed = 1.0
    for mass in _masses(voices, bit, everything):
        product: dict[int, float] = {}
        for one, p in total.items():
            for other, q in mass.items():
                both = one & other
                product[both] = product.get(both, 0.0) + p * q
        clash = product.pop(0, 0.0)
        if clash >= 1.0:
            return Belief((), 1.0, 1.0)
        agreed *= 1.0 - clash
        total = {s: v / (1.0 - clash) for s, v in product.items()}
    shares = sorted(((f, total.get(b, 0.0)) for f, b in bit.items()), key=lambda kv: (-kv[1], kv[0]))
    kept = tuple((f, round(s, 4)) for f, s in shares if s >= 0.005)
    return Belief(kept, round(max(0.0, 1.0 - sum(s for _, s in kept)), 4), round(1.0 - agreed, 4))


def _masses(voices: Sequence[Voice], bit: Mapping[str, int], everything: int) -> Iterable[dict[int, float]]:
    """One mass function for the same evidence: findings that rest on one event do not add up."""
    groups: dict[frozenset[object], list[Voice]] = {}
    for voice in voices:
        groups.setdefault(voice.event, []).append(voice)
    for key in sorted(groups, key=lambda k: sorted(map(str, k))):
        group = groups[key]
        yield _suggested(group, bit, everything)
        for fault in sorted({f for v in group for f in v.against}):
            share = max(v.against.get(fault, 0.0) for v in group)
            yield {everything & ~bit[fault]: share, everything: 1.0 - share}


def _suggested(group: Sequence[Voice], bit: Mapping[str, int], everything: int) -> dict[int, float]:
    """The surest voice speaks; the others share what it left open."""
    mass: dict[str, float] = {}
    for voice in sorted(group, key=lambda v: (-max(v.suggests.values(), default=0.0), v.rule)):
        left = MOST - sum(mass.values())
        scale = 1.0 if not mass else max(0.0, left)
        for fault, share in voice.suggests.items():
            mass[fault] = max(mass.get(fault, 0.0), share * scale)
    over = sum(mass.values())
    if over > MOST:
        mass = {f: s * MOST / over for f, s in mass.items()}
    result = {bit[f]: s for f, s in mass.items()}
    result[everything] = 1.0 - sum(mass.values())
    return result
