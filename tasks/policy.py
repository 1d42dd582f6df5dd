"""What every mapped step shares: its cache, and which failures are tried again."""

from typing import Any

from anabranch.run.mapping import BY_PART, is_temporary

RETRIED: dict[str, Any] = {
    "cache_policy": BY_PART,
    "retries": 2,
    # seconds; a wait holds a worker's thread, so short: enough for a folder of the network to come back
    "retry_delay_seconds": [1, 5],
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_temporary,
}
