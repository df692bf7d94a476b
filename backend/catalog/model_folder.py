"""Whether a folder may be loaded as a model: looked at before torch is imported, and trusted in nothing.

A model comes from a hub, a colleague or a disk. It may bring numbers (`.safetensors`), texts (`.json`, `.txt`,
`.jinja`) and nothing that runs: no pickles where weights are read, no Python, no pointers to code, no links to other
files of this machine. Everything that stands against a folder is said at once.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from backend.catalog.model_config import MODEL_TYPE, count_parameters, faults_of_config
from backend.catalog.model_files import (
    CODE_KEYS,
    POINTER_KEYS,
    READ,
    VOCABULARIES,
    BrokenWeightsError,
    UnreadableFileError,
    faults_of_adapter,
    faults_of_tokenizer,
    read_text,
    set_keys,
    tensor_sizes,
)
from backend.errors import CheckpointError

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
TOKENIZER = "tokenizer.json"
WEIGHTS, INDEX, ADAPTER_WEIGHTS = "model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
CODE = (".py", ".pyc", ".pyd", ".so", ".dylib", ".dll")
MAX_ENTRIES = 5_000
MAX_NAMED_FAULTS = 8
# An optimizer's state is no part of a model: own runs alone go on from it, by another door.
NOT_LOOKED_INTO = frozenset({"state", "__pycache__"})
Kind = Literal["model", "adapter"]
HINT_SAFETENSORS = "Take the model's safetensors, or convert the weights to safetensors where you trust them"
HINT_CODE = "The studio runs no code of a model's; take a folder without it"
HINT_LINK = "Copy the file itself into the folder"
HINT_DAMAGED = "Fetch or copy this file again"
HINT_MIXED = "Name a folder that holds only the model, or export the adapters to a whole model where they were made"
HINT_KIND = "This studio trains Qwen2.5-VL models only"
HINT_CONFIG = "Take the config.json that belongs to these weights"
HINT_TOKENIZER = "Take the tokenizer.json that belongs to Qwen2.5-VL"
HINT_ADAPTER = "Take adapters that this studio trained, or export them to a whole model where they were made"


class Fault(NamedTuple):
    """One thing that stands against a folder, and what to do."""

    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class FolderInspection:
    """What was found in a folder."""

    config: dict[str, Any]
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]  # what is there and will not be read


class FolderEntry(NamedTuple):
    """One file, and what tells whether it has changed since."""

    name: str  # relative to the folder, with forward slashes
    fault: Fault | None
    identity: tuple[int, ...]


def checked_model(folder: Path) -> FolderInspection:
    """Look through a whole model. Raises CheckpointError with everything that stands against it."""
    return _checked(folder, "model")


def checked_adapter(folder: Path, base: str) -> FolderInspection:
    """Look through an adapter that stands on `base`. Raises CheckpointError with everything that stands against it."""
    inspection = _checked(folder, "adapter")
    named = inspection.config.get("base_model_name_or_path")
    if named not in (None, "", base):
        raise CheckpointError(
            f"The adapter `{folder.name}` stands on `{base}`, but its {ADAPTER_CONFIG} names `{str(named)[:80]}`",
            hint=HINT_ADAPTER,
        )
    return inspection


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a whole model that may be loaded. Raises CheckpointError, as `checked_model`."""
    return checked_model(folder).config


def inspect(folder: Path, kind: Kind) -> FolderInspection:
    """Look through a folder; it costs next to nothing again while no file in it changes."""
    return _look(folder, kind, tuple(_entries(folder)))


def _checked(folder: Path, kind: Kind) -> FolderInspection:
    inspection = inspect(folder, kind)
    if inspection.faults:
        texts = [fault.text for fault in inspection.faults[:MAX_NAMED_FAULTS]]
        more = (
            [f"and {len(inspection.faults) - MAX_NAMED_FAULTS} more"]
            if len(inspection.faults) > MAX_NAMED_FAULTS
            else []
        )
        hints = dict.fromkeys(fault.hint for fault in inspection.faults[:MAX_NAMED_FAULTS])
        raise CheckpointError(f"`{folder.name}` cannot be used: {'; '.join(texts + more)}", hint=". ".join(hints))
    return inspection


@lru_cache(maxsize=64)
def _look(folder: Path, kind: Kind, entries: tuple[FolderEntry, ...]) -> FolderInspection:
    faults = [entry.fault for entry in entries if entry.fault]
    names = {entry.name for entry in entries if not entry.fault}
    texts = _texts(folder, sorted(names & READ), faults)
    faults += _faults_of_code(names, texts)
    headers = {name: _header(folder, name, faults) for name in sorted(names) if name.endswith(".safetensors")}
    config = texts.get(CONFIG if kind == "model" else ADAPTER_CONFIG) or {}
    if kind == "model":
        faults += _faults_beside(names)
        tokenizer = texts.get(TOKENIZER)
        faults += (
            [Fault(text, HINT_TOKENIZER) for text in faults_of_tokenizer(tokenizer)] if tokenizer is not None else []
        )
        faults += _faults_of_model(config, texts, headers)
    else:
        faults += _faults_of_adapter_folder(config, headers)
    pickles = sorted(name for name in names if name.lower().endswith(PICKLES))
    weights = WEIGHTS if kind == "model" else ADAPTER_WEIGHTS
    if pickles and not any(name in headers for name in (weights, *(headers if INDEX in texts else ()))):
        faults.append(Fault(f"holds its weights as pickles (`{pickles[0]}`), which can run code", HINT_SAFETENSORS))
    notes = tuple(f"`{name}` is a pickle and will not be read" for name in pickles)
    return FolderInspection(config, tuple(faults), notes)


def _entries(folder: Path) -> Iterator[FolderEntry]:
    """Every file of a folder, sorted; hidden folders are passed over, since nothing is loaded from there."""
    count = 0
    for where, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(where) / name).is_symlink()]
        folders[:] = sorted(n for n in folders if n not in NOT_LOOKED_INTO and not n.startswith("."))
        for name in sorted([*files, *links]):
            count += 1
            path = Path(where) / name
            yield _entry(path, path.relative_to(folder).as_posix(), folder)
        if count > MAX_ENTRIES:
            fault = Fault(f"holds more than {MAX_ENTRIES:,} files", "Name the folder of one model")
            yield FolderEntry("", fault, ())
            return


def _entry(path: Path, name: str, folder: Path) -> FolderEntry:
    short_name = name[:120]
    try:
        if path.is_symlink() and not _stays(path, folder):
            return FolderEntry(
                name, Fault(f"has the link `{short_name}`, which leads out of the folder", HINT_LINK), ()
            )
        stats = path.stat()
    except OSError:
        return FolderEntry(name, Fault(f"has the link `{short_name}`, which leads nowhere", HINT_LINK), ())
    if not stat.S_ISREG(stats.st_mode):
        return FolderEntry(name, Fault(f"holds `{short_name}`, which is no plain file", HINT_LINK), ())
    return FolderEntry(name, None, (stats.st_dev, stats.st_ino, stats.st_size, stats.st_mtime_ns, stats.st_ctime_ns))


def _stays(link: Path, folder: Path) -> bool:
    """Whether a link leads to a file of the same model.

    The hub's client keeps a download as `models--*/snapshots/<revision>/`, where each file is a link into `blobs/`
    beside `snapshots/`: those are allowed. A link to anywhere else would let a folder that was handed over make the
    studio read, and export, any file of this machine.
    """
    target, home = Path(os.path.realpath(link)), Path(os.path.realpath(folder))
    cache = home.parent.parent
    is_cache = home.parent.name == "snapshots" and cache.name.startswith("models--")
    return target.is_relative_to(home) or (is_cache and target.is_relative_to(cache / "blobs"))


def _texts(folder: Path, names: list[str], faults: list[Fault]) -> dict[str, dict[str, Any] | None]:
    """What the JSON files of these names hold; None for one that cannot be used."""
    contents: dict[str, dict[str, Any] | None] = {}
    for name in names:
        try:
            contents[name] = read_text(folder / name, must_be_table=name in (CONFIG, ADAPTER_CONFIG, INDEX))
        except UnreadableFileError as fault:
            faults.append(Fault(f"has {fault}", HINT_DAMAGED))
            contents[name] = None
    return contents


def _faults_of_code(names: set[str], texts: dict[str, dict[str, Any] | None]) -> Iterator[Fault]:
    for name in sorted(names):
        if name.lower().endswith(CODE):
            yield Fault(f"brings code (`{name[:120]}`)", HINT_CODE)
    for name, content in texts.items():
        if name.rpartition("/")[2] in VOCABULARIES or name == INDEX or content is None:
            continue
        for key in sorted(set_keys(content) & CODE_KEYS):
            yield Fault(f"asks for code of its own (`{key}` in {name[:120]})", HINT_CODE)
        for key in sorted(set_keys(content) & POINTER_KEYS):
            yield Fault(f"points to other weights (`{key}` in {name[:120]})", HINT_CONFIG)


def _header(folder: Path, name: str, faults: list[Fault]) -> dict[str, int]:
    try:
        return tensor_sizes(folder / name)
    except BrokenWeightsError as error:
        faults.append(Fault(f"its `{name[:120]}` {error}", HINT_DAMAGED))
    except OSError as error:
        faults.append(Fault(f"its `{name[:120]}` cannot be read: {error.strerror}", HINT_DAMAGED))
    return {}


def _faults_beside(names: set[str]) -> Iterator[Fault]:
    for name in sorted(name for name in names if name == ADAPTER_CONFIG or name.startswith("adapter_model.")):
        yield Fault(
            f"holds adapters beside a whole model (`{name[:120]}`), which would be put on it unseen", HINT_MIXED
        )


def _faults_of_model(
    config: dict[str, Any], texts: dict[str, dict[str, Any] | None], headers: dict[str, dict[str, int]]
) -> Iterator[Fault]:
    if CONFIG not in texts:
        yield Fault(f"has no {CONFIG}", "Name a folder that holds a Qwen2.5-VL model")
        return
    is_read = texts[CONFIG] is not None
    hint = HINT_CONFIG if config.get("model_type") == MODEL_TYPE else HINT_KIND
    wrong = [Fault(text, hint) for text in faults_of_config(config)] if is_read else []
    yield from wrong
    loaded = {WEIGHTS: headers[WEIGHTS]} if WEIGHTS in headers else {}
    if not loaded and INDEX in texts:
        listed = list(_faults_of_index(texts[INDEX] or {}, headers))
        yield from listed
        if listed:
            return
        loaded = {name: headers[name] for name in set((texts[INDEX] or {})["weight_map"].values())}
    if not loaded:
        yield Fault("lacks safetensors weights", HINT_SAFETENSORS)
    elif is_read and not wrong and all(loaded.values()):
        yield from _faults_of_size(config, sum(sum(tensors.values()) for tensors in loaded.values()))


def _faults_of_index(index: dict[str, Any], headers: dict[str, dict[str, int]]) -> Iterator[Fault]:
    """Hold an index against the files beside it: plain names of this folder only, each with the tensors it is for."""
    places = index.get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        yield Fault(f"has a {INDEX} without a `weight_map`", HINT_DAMAGED)
        return
    for name in sorted(set(places.values())):
        short_name = name[:120]
        if "/" in name or "\\" in name or name in ("", ".", ".."):
            yield Fault(f"its {INDEX} names `{short_name}`, which is outside the folder", HINT_DAMAGED)
        elif not name.endswith(".safetensors"):
            yield Fault(f"its {INDEX} names `{short_name}`, which is no safetensors file", HINT_SAFETENSORS)
        elif name not in headers:
            yield Fault(f"lacks `{short_name}`, which its {INDEX} names", HINT_DAMAGED)
        elif headers[name] and (
            absent := [key for key, file in places.items() if file == name and key not in headers[name]]
        ):
            yield Fault(f"its `{short_name}` lacks the tensor `{absent[0][:80]}`", HINT_DAMAGED)


def _faults_of_size(config: dict[str, Any], stored_parameters: int) -> Iterator[Fault]:
    """What a config describes and the files do not hold would be made up at random, or fill the memory."""
    described = sum(count_parameters(config).values())
    if described > stored_parameters:
        yield Fault(
            f"its {CONFIG} describes {described:,} parameters, and the weights hold {stored_parameters:,}", HINT_CONFIG
        )


def _faults_of_adapter_folder(config: dict[str, Any], headers: dict[str, dict[str, int]]) -> Iterator[Fault]:
    for text in faults_of_adapter(config):
        yield Fault(text, HINT_ADAPTER)
    if ADAPTER_WEIGHTS not in headers:
        yield Fault(f"lacks `{ADAPTER_WEIGHTS}`", HINT_SAFETENSORS)
