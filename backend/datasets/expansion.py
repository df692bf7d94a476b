"""How much what is packed may expand to: one rule for archives, tables and pictures, by their size as uploaded."""

MAX_UNPACKED_BYTES = 50 * 1024**3
MAX_RATIO = 200  # unpacked to packed, for what expands to more than the next line
RATIO_FREE_BYTES = 16 * 1024**2
MAX_COLUMNS = 1_000  # of a table: every row has them all, however few it fills


def most_bytes(packed_bytes: int) -> int:
    """How many bytes so many packed ones may expand to."""
    return min(MAX_UNPACKED_BYTES, max(RATIO_FREE_BYTES, MAX_RATIO * packed_bytes))


class Allowance:
    """What the containers of one upload may expand to: each by its own size, and all of them by theirs together.

    Without the second, a thousand small ones would each take what is free of the ratio.
    """

    def __init__(self) -> None:
        """Nothing is packed yet, and nothing unpacked."""
        self._packed_bytes = self._unpacked_bytes = 0

    def most_bytes(self, packed_bytes: int) -> int:
        """Count one more container, and say how many bytes it may expand to."""
        self._packed_bytes += packed_bytes
        return min(most_bytes(packed_bytes), most_bytes(self._packed_bytes) - self._unpacked_bytes)

    def take(self, unpacked_bytes: int) -> None:
        """Count what the last container expanded to."""
        self._unpacked_bytes += unpacked_bytes
