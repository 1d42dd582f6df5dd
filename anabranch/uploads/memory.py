"""How much of the memory is in use: the machine's, or the container's, whichever is nearer to its end."""

from pathlib import Path

MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def used_percent(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> float:
    """Return the share of the memory in use, in percent; files that the system may drop do not count."""
    facts = {line.split(":")[0]: int(line.split()[1]) for line in meminfo.read_text().splitlines()}
    shares = [1 - facts["MemAvailable"] / facts["MemTotal"]]
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
        statistics = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        if limit != "max":
            shares.append((used - int(statistics.get("inactive_file", 0))) / int(limit))
    except (OSError, ValueError):  # no container, or cgroup v1
        pass
    return 100 * max(shares)
