"""The limits in force: AWS's own by default, or raised where our machinery carries more.

Under `--limits aws` what is accepted here is accepted on AWS; `--limits lifted` is for users who
stay with us. Each name carries its unit.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Numbers that services check input against (AWS Batch user guide, "Service quotas")."""

    array_size_max: int = 10_000
    job_timeout_min_s: int = 60
    state_time_limit_min_s: int = 600
    dependencies_max: int = 20
    attempts_max: int = 10
    evaluate_on_exit_max: int = 5
    vcpus_whole: bool = False  # fractions are accepted everywhere: a documented extension
    queues_max: int = 50
    environments_max: int = 50
    environments_per_queue_max: int = 3
    consumables_max: int = 50_000
    shares_active_max: int = 500
    definition_bytes_max: int = 24 * 1024
    job_bytes_max: int = 30 * 1024
    overrides_letters_max: int = 8192
    multipart_min_part_bytes: int = 5 * 1024 * 1024
    object_put_max_bytes: int = 5 * 1024**3


AWS = Limits()
LIFTED = Limits(
    array_size_max=10_000_000,
    job_timeout_min_s=1,
    state_time_limit_min_s=1,
    queues_max=10_000,
    environments_max=10_000,
    environments_per_queue_max=100,
    consumables_max=1_000_000,
    shares_active_max=100_000,
    definition_bytes_max=1024 * 1024,  # a whole request is no larger
    job_bytes_max=1024 * 1024,
    overrides_letters_max=1024 * 1024,
    multipart_min_part_bytes=1,
    object_put_max_bytes=5 * 1024**4,
)
