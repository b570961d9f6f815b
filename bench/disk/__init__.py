"""Disk with a fixed flush latency, the same for every server.

    with fixed_latency(directory) as disk:
        with peer("dovecot").running(base, users, disk=disk) as service:
            disk.latency_ms = 1.0

On a shared disk the rate of durable writes changes several times within an hour. Here a preloaded
library (`fixed_latency.c`) replaces the wait for the device by a fixed time, and counts the syncs.
"""

from bench.disk.fixed_latency import FixedLatency, NoCompilerError, fixed_latency

__all__ = ["FixedLatency", "NoCompilerError", "fixed_latency"]
