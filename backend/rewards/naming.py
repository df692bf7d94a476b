"""How a spec names a person's own metric: by the reward's name, and its version once the run is created."""

from typing import NamedTuple

SIGN = "@"


class NamedVersion(NamedTuple):
    """`name` or `name@sha256`."""

    name: str
    sha256: str  # empty: as it is now

    @property
    def text(self) -> str:
        """As a spec holds it."""
        return f"{self.name}{SIGN}{self.sha256}" if self.sha256 else self.name


def named(text: str) -> NamedVersion:
    """Read one entry of a spec."""
    name, _, sha256 = text.partition(SIGN)
    return NamedVersion(name, sha256)
