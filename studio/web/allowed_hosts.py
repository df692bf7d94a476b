"""From where a server can be reached: by which names, through which proxy, with how large an upload."""

import ipaddress
import re
import socket
from dataclasses import dataclass

from backend.errors import LaunchError

GIB = 1024**3
_HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?", re.ASCII)


@dataclass(frozen=True, slots=True)
class NetworkAddress:
    """What was asked on the command line."""

    host: str = "127.0.0.1"  # what the server listens on
    allowed_hosts: tuple[str, ...] = ()  # further names that requests may come under
    trusts_proxy: bool = False  # whether the last address of X-Forwarded-For is the visitor's
    most_upload_bytes: int = 20 * GIB  # of one request; what it unpacks to has limits of its own

    @property
    def is_public(self) -> bool:
        """Whether other machines are meant to come, directly or through a proxy."""
        return not all(map(is_loopback, (self.host, *self.allowed_hosts)))

    def knows(self, name: str, own_address: str) -> bool:
        """Tell whether requests may come under this name of a host, without port.

        A public server also goes by this machine's name and by the very address that was called; no name that a
        stranger can point here is one of them.
        """
        plain = plain_name(name)
        if is_loopback(plain) or plain in map(plain_name, self.allowed_hosts):
            return True
        if is_loopback(self.host):
            return False
        return plain == plain_name(socket.gethostname()) or same_address(plain, own_address)


def refuse_bad_hosts(names: tuple[str, ...]) -> None:
    """Raise LaunchError for what is no plain host name or address."""
    for name in names:
        if not (_HOST.fullmatch(name) or _address(name)):
            raise LaunchError(
                f"`{name[:80]}` is no host name",
                hint="Only the name, without scheme, port and path: studio.example.com",
            )


def plain_name(name: str) -> str:
    """A host's name as it is compared: lower case, without brackets and the last dot."""
    return name.strip("[]").rstrip(".").lower()


def is_loopback(name: str) -> bool:
    """Tell whether a host's name, without port, means this machine only."""
    plain = plain_name(name)
    if plain == "localhost":
        return True
    found = _address(plain)
    return found is not None and found.is_loopback


def same_address(one: str, other: str) -> bool:
    """Tell whether two texts are the same IP address, IPv4 within IPv6 included."""
    first, second = _address(one), _address(other)
    return first is not None and first == second


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(plain_name(text).partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
