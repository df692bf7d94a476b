"""Which rows are drawn for validation: a seeded rule that keeps rows with something in common on one side."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MIN_ROWS = 5  # below that every row is for training
LARGEST_SHARE = 0.5  # that one group may take where no smaller one fits


class HeldoutSplit(NamedTuple):
    """The rows held out, by index, and what the person is told."""

    rows: frozenset[int]
    notice: str


def hold_out(keys: Sequence[Iterable[str]], share: float, seed: int) -> HeldoutSplit:
    """Choose about `share` of the rows.

    Rows with a key in common, directly or through other rows, form a group; groups are held out whole. They are taken
    in the order of the SHA-256 of seed and smallest key, each if it still fits, so the order of rows and files does
    not matter.

    Args:
        keys: for each row what ties it to others: its images and its text, by content. Never empty.
        share: of the rows, from 0 to below 1.
        seed: another seed, another choice.
    """
    target = int(len(keys) * share + 0.5)
    if share <= 0:
        return HeldoutSplit(frozenset(), "")
    if target == 0 or len(keys) < MIN_ROWS:
        return HeldoutSplit(
            frozenset(), f"With {len(keys)} rows none is held out; give more rows, or a file of validation rows"
        )
    groups = sorted(_groups(keys).items(), key=lambda group: hashlib.sha256(f"{seed}/{group[0]}".encode()).digest())
    chosen: list[int] = []
    for _, rows in groups:
        if len(chosen) + len(rows) <= target:
            chosen += rows
    if chosen:
        return HeldoutSplit(frozenset(chosen), "")
    smallest = min((rows for _, rows in groups), key=len)
    if len(smallest) > LARGEST_SHARE * len(keys):
        return HeldoutSplit(
            frozenset(), "Nearly all rows share images, so none could be held out; give a file of validation rows"
        )
    notice = f"{len(smallest)} rows are held out instead of {target}: rows that share an image stay together"
    return HeldoutSplit(frozenset(smallest), notice)


def _groups(keys: Sequence[Iterable[str]]) -> dict[str, list[int]]:
    """Tie rows together by common keys (union-find); each group is named by its smallest key."""
    parent = list(range(len(keys)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first_with: dict[str, int] = {}
    for row, names in enumerate(keys):
        for name in names:
            parent[root(row)] = root(first_with.setdefault(name, row))
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row in range(len(keys)):
        rows_of[root(row)].append(row)
    return {min(name for row in rows for name in keys[row]): rows for rows in rows_of.values()}
