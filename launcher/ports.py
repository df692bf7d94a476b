"""A free port for a run's processes to meet at."""

import socket

LOOPBACK = "127.0.0.1"
_TRIES = 100


def free_port(taken: set[int]) -> int:
    """Return a port on which nobody listens and which is not in `taken`.

    Somebody else may take it before the run does; its keeper then tries another.
    """
    for _ in range(_TRIES):
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
    raise OSError("no free port was found")
