"""Prepare the next passes while one trains: decoding and cutting pictures then costs no time of its own."""

import queue
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

AHEAD = 2  # passes
_END = object()


class LoaderAhead(DataLoader[Any]):
    """A loader whose own process prepares ahead in a thread. With worker processes it is a plain one."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches in order; an error of the thread is raised here, at its place."""
        plain = super().__iter__()
        return plain if self.num_workers else _ahead(plain)


def _ahead(batches: Iterator[Any]) -> Iterator[Any]:
    made: queue.Queue[Any] = queue.Queue(AHEAD)
    is_over = threading.Event()
    maker = threading.Thread(target=_make, args=(batches, made, is_over), name="loader-ahead", daemon=True)
    maker.start()
    try:
        while (batch := made.get()) is not _END:
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        is_over.set()


def _make(batches: Iterator[Any], made: "queue.Queue[Any]", is_over: threading.Event) -> None:
    torch.set_num_threads(1)  # of this thread only: a second team would fight with the one that trains for the cores
    try:
        for batch in batches:
            _put(batch, made, is_over)
            if is_over.is_set():
                return
        _put(_END, made, is_over)
    except BaseException as error:  # noqa: BLE001 - it is raised where the batches are used
        _put(error, made, is_over)


def _put(batch: Any, made: "queue.Queue[Any]", is_over: threading.Event) -> None:
    """Wait for room, but not for ever: the training may have ended."""
    while not is_over.is_set():
        try:
            made.put(batch, timeout=0.2)
            return
        except queue.Full:
            continue
