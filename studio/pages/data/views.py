"""Datasets as the page's own components show them: plain values, every word from the catalogues."""

import base64
import io
from collections.abc import Mapping
from typing import Any

from backend.conversation import SPLITS, Row, Split
from backend.datasets.records import ImportReport, Inspection, Manifest, Statistics
from backend.datasets.store import DatasetStore
from studio.ui.i18n import Translate
from studio.ui.thumbnails import thumbnail
from studio.ui.views import View, groups_view, turns_view

COVERS = 4  # images on a dataset's card


def card_view(store: DatasetStore, manifest: Manifest, t: Translate) -> View:
    """One dataset in the list, with a few of its images."""
    counts = manifest.statistics
    first = store.page(manifest.name, count=COVERS * 3).rows
    covers = list(dict.fromkeys(path.removeprefix("images/") for row in first for path in row.images))[:COVERS]
    summary = t("data.card", rows=f"{counts.rows:,}", images=f"{counts.images:,}")
    return {
        "name": manifest.name,
        "summary": summary,
        "covers": [{"of": f"dataset/{manifest.name}", "name": c} for c in covers],
    }


def tiles_view(manifest: Manifest, t: Translate) -> View:
    """A dataset in numbers: tiles, notices, frequent answers, how many problems its import listed."""
    counts = manifest.statistics
    width, height, visual, text = (
        counts.width_px[1],
        counts.height_px[1],
        counts.visual_tokens[1],
        counts.text_tokens[1],
    )
    sizes = t("fact.size.help", smallest=_size(counts, 0), largest=_size(counts, 2))
    values = {
        "rows": (f"{counts.rows:,}", _parts(counts, t)),
        "turns": (f"{counts.turns:,}", t("fact.turns.help", average=f"{counts.turns / max(1, counts.rows):.1f}")),
        "images": (f"{counts.images:,}", _megabytes(counts.image_bytes)),
        "size": (f"{width} × {height}" if width else "–", sizes if width else ""),
        "tokens": (f"{visual + text:,}", t("fact.tokens.help", visual=f"{visual:,}", text=f"{text:,}")),
        "total": (_short(counts.total_tokens), t("fact.total.help")),
    }
    return {
        "name": manifest.name,
        "origin": t("data.origin", source=manifest.source, layout=t(f"layout.{manifest.layout}")),
        "tiles": [{"label": t(f"fact.{key}"), "value": value, "help": text} for key, (value, text) in values.items()],
        "answers": [{"text": text, "count": f"{count:,}"} for text, count in counts.most_frequent_answers[:5]],
        "notices": list(manifest.notices),
        "skipped": t("data.skipped", rows=f"{manifest.skipped_rows:,}") if manifest.skipped_rows else "",
        "csv": f"/api/datasets/{manifest.name}/problems.csv" if manifest.problem_counts else "",
    }


def inspection_view(inspection: Inspection, t: Translate) -> View:
    """An upload before it is imported: what was recognised, and its first rows."""
    layout = t(f"layout.{inspection.layout}") if inspection.layout else ""
    return {
        "is_recognised": bool(layout) and not inspection.is_without_images,
        "verdict": t("upload.recognised", layout=layout) if layout else t("upload.unrecognised"),
        "doubt": inspection.doubt,
        "notices": list(inspection.notices),
        "counts": t("upload.counts", rows=f"{inspection.rows:,}", images=f"{inspection.images:,}"),
        "columns": list(inspection.columns),
        "cells": [[row.get(column, "") for column in inspection.columns] for row in inspection.first_rows],
        "rows": [_previewed(row, inspection.shown) for row in inspection.preview],
        "groups": groups_view(inspection.problems, {}, t),
    }


def report_view(report: ImportReport, t: Translate) -> View:
    """What an import did, in words."""
    manifest, counts = report.manifest, report.manifest.statistics
    title = t("report.known" if report.was_known else "report.done", name=manifest.name)
    lines = [
        t("report.layout", layout=t(f"layout.{manifest.layout}")),
        t("report.kept", rows=f"{counts.rows:,}", parts=_parts(counts, t)),
    ]
    if manifest.skipped_rows:
        lines.append(t("report.left_out", rows=f"{manifest.skipped_rows:,}"))
    groups = groups_view(report.problems, manifest.problem_counts, t)
    csv = f"/api/datasets/{manifest.name}/problems.csv" if groups else ""
    return {"kind": "good", "title": title, "lines": [*lines, *manifest.notices], "groups": groups, "csv": csv}


def _parts(counts: Statistics, t: Translate) -> str:
    """How many rows each part has; the test only where there is one."""
    shown: list[Split] = [split for split in SPLITS if split != "test" or counts.test_rows]
    return " · ".join(t(f"fact.rows.{split}", rows=f"{counts.rows_of(split):,}") for split in shown)


def _previewed(row: Row, shown: Mapping[str, bytes]) -> View:
    images = [{"of": "", "name": name, "thumbnail": _as_source(shown.get(name))} for name in row.images]
    return {"id": row.id, "split": row.split, "source": row.source, "turns": turns_view(row.messages, images)}


def _as_source(image: bytes | None) -> str:
    return f"data:image/webp;base64,{base64.b64encode(thumbnail(io.BytesIO(image))).decode()}" if image else ""


def _size(counts: Any, which: int) -> str:
    return f"{counts.width_px[which]} × {counts.height_px[which]}"


def _megabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def _short(number: int) -> str:
    return f"{number / 1e6:.1f} M" if number >= 1e6 else f"{number / 1e3:.1f} k" if number >= 1e3 else str(number)
