"""Numbers as people read them: thousands, per cent, gigabytes."""

_SCALES = ((10**9, "B"), (10**6, "M"), (10**3, "k"))


def short(number: int) -> str:
    """A count in three digits: `3.75 B`, `1.3 M`, `512`."""
    for scale, sign in _SCALES:
        if number >= scale:
            return f"{number / scale:.3g} {sign}"
    return str(number)


def percent(part: float, whole: float) -> str:
    """A share of `whole`; what is there but tiny is not called 0 %."""
    share = 100 * part / whole if whole else 0.0
    return "100%" if part == whole and whole else f"{share:.1f}%" if share >= 0.1 or not share else "<0.1%"


def gigabytes(size: int) -> str:
    """Bytes as decimal gigabytes, as disks and GPUs are sold, no more exact than an estimate deserves."""
    return f"{size / 10**9:.0f} GB" if size >= 10**10 else f"{size / 10**9:.1f} GB"
