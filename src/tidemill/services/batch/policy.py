"""Scheduling policies: the fair-share rules that a queue may follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tidemill.services.batch import tag
from tidemill.services.batch.error import Refused
from tidemill.services.batch.name import check_name, check_share
from tidemill.services.batch.scheduling.spec import FairShare

DECAY_MAX_S: Final = 604_800
RESERVATION_MAX_PERCENT: Final = 99
WEIGHT_MIN: Final = 0.0001
WEIGHT_MAX: Final = 999.9999
WEIGHTS_MAX: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A scheduling policy as it is stored."""

    name: str
    fair_share: FairShare = field(default_factory=FairShare)
    tags: dict[str, str] = field(default_factory=dict)


def created(params: Mapping[str, Any]) -> Policy:
    """The policy that CreateSchedulingPolicy asks for."""
    check_name(params["name"], "name")
    return Policy(
        name=params["name"],
        fair_share=_fair_share(params),
        tags=tag.checked(params.get("tags")),
    )


def updated(policy: Policy, params: Mapping[str, Any]) -> Policy:
    """`policy` as UpdateSchedulingPolicy changes it: what is given replaces the whole rule."""
    if params.get("fairsharePolicy") is None and not params.get("quotaSharePolicy"):
        return policy
    return replace(policy, fair_share=_fair_share(params))


def described(policy: Policy, arn: str) -> dict[str, Any]:
    """The policy as DescribeSchedulingPolicies shows it."""
    rule = policy.fair_share
    shares = [{"shareIdentifier": name, "weightFactor": weight} for name, weight in rule.weights]
    return {
        "name": policy.name,
        "arn": arn,
        "fairsharePolicy": {
            "shareDecaySeconds": rule.decay_s,
            "computeReservation": rule.reservation_percent,
            "shareDistribution": shares,
        },
        "tags": policy.tags,
    }


def _fair_share(params: Mapping[str, Any]) -> FairShare:
    if params.get("quotaSharePolicy"):
        raise Refused(
            "quotaSharePolicy: quota shares are not part of Tidemill; use fairsharePolicy."
        )
    stated = params.get("fairsharePolicy") or {}
    decay_s = stated.get("shareDecaySeconds") or 0
    reservation = stated.get("computeReservation") or 0
    if not 0 <= decay_s <= DECAY_MAX_S:
        raise Refused(
            f"fairsharePolicy.shareDecaySeconds should be from 0 to {DECAY_MAX_S}; got {decay_s}."
        )
    if not 0 <= reservation <= RESERVATION_MAX_PERCENT:
        raise Refused(
            "fairsharePolicy.computeReservation should be from 0 to "
            f"{RESERVATION_MAX_PERCENT}; got {reservation}."
        )
    weights = _weights(stated.get("shareDistribution") or ())
    return FairShare(decay_s=decay_s, reservation_percent=reservation, weights=weights)


def _weights(stated: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, float], ...]:
    member = "fairsharePolicy.shareDistribution"
    if len(stated) > WEIGHTS_MAX:
        raise Refused(f"{member} has at most {WEIGHTS_MAX} entries; got {len(stated)}.")
    weights: list[tuple[str, float]] = []
    for entry in stated:
        name, weight = entry["shareIdentifier"], entry.get("weightFactor")
        check_share(name, f"{member}.shareIdentifier")
        weight = 1.0 if weight is None else float(weight)
        if not WEIGHT_MIN <= weight <= WEIGHT_MAX:
            raise Refused(
                f"{member}.weightFactor should be from {WEIGHT_MIN} to {WEIGHT_MAX}; got {weight}."
            )
        for other, _ in weights:
            if _overlap(name, other):
                raise Refused(f"{member}: share identifiers {other} and {name} overlap.")
        weights.append((name, weight))
    return tuple(weights)


def _overlap(one: str, other: str) -> bool:
    if one.endswith("*") and other.endswith("*"):
        return one[:-1].startswith(other[:-1]) or other[:-1].startswith(one[:-1])
    if one.endswith("*"):
        return other.startswith(one[:-1])
    if other.endswith("*"):
        return one.startswith(other[:-1])
    return one == other
