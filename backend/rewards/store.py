"""A workspace's own rewards, every version kept by its content; what dry runs found of each; a run's own copies."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.audit import audit
from backend.errors import NotFoundError
from backend.ids import is_safe_name
from backend.jsonl import write_atomically
from backend.rewards.builtin_library import builtin_names, builtin_source, nearest_hint
from backend.rewards.composition import RewardPart, refuse_bad_parts
from backend.rewards.contract import NamedVersion, RewardSource, named_version
from backend.rewards.validation import RewardEditConflict, refuse_bad_name, refuse_bad_source, refuse_builtin_name
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.run import RunSpec

_SHA256 = re.compile(r"[0-9a-f]{64}")
RECORD = "reward.json"
_VERSION = re.compile(r"[0-9a-f]{64}\.py")
_DELETED_PREFIX = ".deleted-"  # folders on their way out


class DryRunRecord(BaseModel):
    """The last dry run of one version of a reward."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_sha256: str
    run_id: str
    passed: bool
    warnings: int
    checked_at: float


class RewardVersion(NamedTuple):
    """One text that a reward had or has."""

    sha256: str
    saved_at: float
    is_current: bool


class _RewardRecord(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    current: str  # sha256 of the text
    created: float
    saved: float
    parts: tuple[RewardPart, ...] | None  # of a composed reward; None where the text was written by hand


class RewardStore:
    """Everything that pages, commands and programs may do with rewards. Holds no state of its own: the disk is it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._root = workspace, workspace.rewards
        self._dry_runs = workspace.rewards / ".checks"

    def names(self) -> list[str]:
        """The workspace's own rewards that are whole, sorted; the library's are `builtin_names()`."""
        if not self._root.is_dir():
            return []
        return sorted(path.name for path in self._root.iterdir() if is_safe_name(path.name) and self._own(path.name))

    def get(self, name: str) -> RewardSource:
        """Read a reward as it is now, built-in or own.

        Raises:
            NotFoundError: none has that name, or its files were changed by hand; the hint names the nearest.
        """
        if name in builtin_names():
            return builtin_source(name)
        own = self._own(name)
        if own is None:
            raise NotFoundError(
                f"No reward is called `{name[:80]}`", hint=nearest_hint(name, [*builtin_names(), *self.names()])
            )
        return own

    def version(self, name: str, sha256: str) -> RewardSource:
        """Read a reward as it was. At least eight characters of the hash will do.

        Raises:
            NotFoundError: there is no such reward, or no such version of it.
        """
        versions = self.versions(name)
        matches = [each.sha256 for each in versions if len(sha256) >= 8 and each.sha256.startswith(sha256)]
        source = self.get(name)
        text = source.text if source.origin == "library" else self._text(name, matches[0] if len(matches) == 1 else "")
        if len(matches) != 1 or text is None:
            newest = ", ".join(f"`{each.sha256[:12]}`" for each in versions[:5])
            raise NotFoundError(f"`{name}` has no version `{sha256[:64]}`", hint=f"The newest are {newest}")
        return source._replace(text=text)

    def versions(self, name: str) -> list[RewardVersion]:
        """Every version of a reward, newest first. Raises NotFoundError."""
        current = self.get(name)
        if current.origin == "library":
            return [RewardVersion(current.sha256, 0.0, is_current=True)]
        paths = [path for path in (self._root / name).iterdir() if _VERSION.fullmatch(path.name)]
        versions = [
            RewardVersion(path.stem, path.stat().st_mtime, path.stem == current.sha256)
            for path in paths
            if self._text(name, path.stem) is not None
        ]
        return sorted(versions, key=lambda each: (each.saved_at, each.is_current), reverse=True)

    def save(
        self, name: str, text: str, parts: Sequence[RewardPart] | None = None, *, expected: str | None = None
    ) -> RewardSource:
        """Make `text` what the reward is from now on; earlier versions stay. The text that it has is no new version.

        Args:
            name: a new one, or an own reward's.
            text: Python that binds `reward`; looked at, never run.
            parts: what `text` was composed of.
            expected: SHA-256 of the text that the caller began from, empty for a new reward; None asks for no look.

        Raises:
            RewardEditConflict: the reward has another text by now; it is as it was.
            SpecError: an unsafe name or a built-in reward's, a text that is too large or has errors (each with its
                line), parts that cannot be composed.
            OSError: the disk refuses; the reward is as it was.
        """
        refuse_bad_name(name)
        refuse_bad_source(name, text)
        if parts is not None:
            refuse_bad_parts(parts)
        (self._root / name).mkdir(parents=True, exist_ok=True)
        with _alone_in(self._root / name):
            return self._save(RewardSource(name, text, "own"), parts, expected)

    def _save(self, source: RewardSource, parts: Sequence[RewardPart] | None, expected: str | None) -> RewardSource:
        name, record = source.name, self._record(source.name)
        composed_of = tuple(parts) if parts is not None else None
        if record and self._own(name) == source and composed_of in (None, record.parts):
            return source
        current = record.current if record else ""
        if expected is not None and current != expected:
            raise RewardEditConflict(
                f"`{name}` was changed elsewhere meanwhile: it is version `{current[:12]}` now",
                hint="Look at it as it is now, then save again; the versions before stay",
            )
        folder, now = self._root / name, time.time()
        if self._text(name, source.sha256) is None:
            write_atomically(folder / f"{source.sha256}.py", source.text.encode())
        created = record.created if record else now
        record = _RewardRecord(current=source.sha256, created=created, saved=now, parts=composed_of)
        write_atomically(folder / RECORD, record.model_dump_json().encode())
        audit(self._workspace, "reward.save", name, sha256=source.sha256)
        return source

    def delete(self, name: str) -> None:
        """Make an own reward disappear at once, with all versions; runs keep their copies.

        Raises:
            SpecError: it is a built-in one.
            NotFoundError: there is none of that name.
            OSError: the disk refuses; the reward is still there.
        """
        refuse_builtin_name(name)
        folder = self._root / name
        if not is_safe_name(name) or not folder.is_dir():
            self.get(name)  # says what there is
        record = self._record(name)
        folder.rename(self._root / f"{_DELETED_PREFIX}{uuid.uuid4().hex}")
        audit(self._workspace, "reward.delete", name, sha256=record.current if record else "")
        for deleted in self._root.glob(f"{_DELETED_PREFIX}*"):  # also what a cut-off left
            deleted.unlink() if deleted.is_symlink() else shutil.rmtree(deleted, ignore_errors=True)

    def parts_of(self, name: str) -> tuple[RewardPart, ...] | None:
        """The parts of a composed reward; None for one that was written by hand. Raises NotFoundError."""
        self.get(name)
        record = self._record(name)
        return record.parts if record and name not in builtin_names() else None

    def record_dry_run(self, source_sha256: str, run_id: str, passed: bool, warnings: int) -> None:
        """Keep what a dry run found of one version; the latest counts. Raises OSError."""
        record = DryRunRecord(
            source_sha256=source_sha256, run_id=run_id, passed=passed, warnings=warnings, checked_at=time.time()
        )
        self._dry_runs.mkdir(parents=True, exist_ok=True)
        write_atomically(self._dry_runs / f"{source_sha256}.json", record.model_dump_json().encode())

    def dry_run_of(self, sha256: str) -> DryRunRecord | None:
        """What the last dry run of that version found; None without one, or where its record is damaged."""
        content = _content(self._dry_runs / f"{sha256}.json") if _SHA256.fullmatch(sha256) else None
        try:
            record = DryRunRecord.model_validate_json(content or b"")
        except ValidationError:
            return None
        return record if record.source_sha256 == sha256 else None

    def is_checked(self, source: RewardSource) -> bool:
        """Whether a dry run of exactly this text passed; built-in rewards need none."""
        if source.origin == "library":
            return True
        record = self.dry_run_of(source.sha256)
        return record is not None and record.passed

    def _own(self, name: str) -> RewardSource | None:
        record = self._record(name) if name not in builtin_names() else None
        text = self._text(name, record.current) if record else None
        return None if text is None else RewardSource(name, text, "own")

    def _record(self, name: str) -> _RewardRecord | None:
        content = _content(self._root / name / RECORD) if is_safe_name(name) else None
        try:
            return None if content is None else _RewardRecord.model_validate_json(content)
        except ValidationError:
            return None

    def _text(self, name: str, sha256: str) -> str | None:
        """One version's text, where it is what its name says."""
        file = f"{sha256}.py"
        content = _content(self._root / name / file) if _VERSION.fullmatch(file) else None
        if content is None or hashlib.sha256(content).hexdigest() != sha256:
            return None
        try:
            return content.decode()
        except UnicodeDecodeError:
            return None


def copy_reward_sources(spec: RunSpec, folder: RunFolder, workspace: Workspace) -> None:
    """Write the source of each reward, and of each metric of the person's own, into the folder of a new run.

    A run that goes on from another takes that one's copies.

    Raises:
        NotFoundError: a reward, or its version, is gone.
        OSError: the disk refuses.
    """
    needed = required_rewards(spec)
    if not needed:
        return
    folder.rewards.mkdir()
    parent = RunFolder(workspace.output / spec.resumed_from.partition("/")[0]) if spec.resumed_from else None
    store = RewardStore(workspace)
    for share in needed:
        inherited = parent.rewards / f"{share.name}.py" if parent else None
        content = inherited.read_bytes() if inherited is not None and inherited.is_file() else b""
        if hashlib.sha256(content).hexdigest() != share.sha256:
            content = _source(store, share).text.encode()
        write_atomically(folder.rewards / f"{share.name}.py", content)


def required_rewards(spec: RunSpec) -> list[NamedVersion]:
    """Whose code a run calls, each once."""
    trained = [NamedVersion(share.name, share.sha256) for share in spec.grpo.rewards]
    required = trained if spec.kind in ("grpo", "reward_check") else []
    if spec.kind in ("sft", "grpo"):
        required = required + [named_version(text) for text in spec.evaluation.own_metrics]
    if spec.kind == "evaluation":
        required = [named_version(text) for text in spec.comparison.metrics if named_version(text).sha256]
    return list({source.name: source for source in required}.values())


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until nobody else saves into a reward's folder, so that what was looked at is what is replaced."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _content(path: Path) -> bytes | None:
    """A file's bytes; None where there is no such file, or it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _source(store: RewardStore, share: NamedVersion) -> RewardSource:
    return store.version(share.name, share.sha256) if share.sha256 else store.get(share.name)
