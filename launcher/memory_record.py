"""How often the kernel has killed for want of memory: the evidence behind `ran out of memory`."""

from pathlib import Path

COUNTERS = (
    Path("/proc/vmstat"),
    Path("/sys/fs/cgroup/memory.events"),  # of this container, cgroup 2
    Path("/sys/fs/cgroup/memory/memory.oom_control"),  # cgroup 1
)


def oom_kills(counters: tuple[Path, ...] = COUNTERS) -> int:
    """Sum the `oom_kill` counters that can be read. Only differences mean anything."""
    total = 0
    for path in counters:
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
    return total
