"""Where things lie, and the only reading of environment variables."""

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
_PACKAGED_STATIC = Path(__file__).parent / "_static"
STATIC = _PACKAGED_STATIC if _PACKAGED_STATIC.is_dir() else ROOT / "static"
DEMO_MODEL = STATIC / "demo" / "model"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder that holds datasets and runs; everything the studio writes lies in it."""

    root: Path

    @property
    def data(self) -> Path:
        """Datasets, one folder each."""
        return self.root / "data"

    @property
    def staging(self) -> Path:
        """Imports under way; a crash leaves its rubbish only here."""
        return self.data / ".staging"

    @property
    def rewards(self) -> Path:
        """Rewards that people wrote, one folder each."""
        return self.root / "rewards"

    @property
    def output(self) -> Path:
        """Runs, one folder each."""
        return self.root / "output"

    @property
    def trash(self) -> Path:
        """Runs and datasets on their way out."""
        return self.output / ".trash"

    @property
    def database(self) -> Path:
        """The index the pages read."""
        return self.output / "studio.db"

    @property
    def accounts(self) -> Path:
        """Who may log in; not part of the index, so that deleting that opens no door."""
        return self.output / "accounts.json"

    @property
    def sessions(self) -> Path:
        """The browsers that are logged in, by digest."""
        return self.output / "sessions.json"

    @property
    def talks(self) -> Path:
        """Kept conversations: a JSON file each, and its images in a folder of the same name."""
        return self.output / "talks"

    @property
    def votes(self) -> Path:
        """Blind votes between two models: a file of lines each."""
        return self.output / "votes"

    @property
    def models(self) -> Path:
        """Downloaded base models."""
        return self.root / "output" / "models"

    @property
    def uploads(self) -> Path:
        """What browsers send, until it is imported."""
        return self.output / ".uploads"

    def prepare(self) -> None:
        """Create the folders that must exist. Raises OSError where the disk refuses."""
        for folder in (self.data, self.staging, self.rewards, self.output, self.trash, self.uploads, self.models):
            folder.mkdir(parents=True, exist_ok=True)


def default_workspace() -> Workspace:
    """`STUDIO_WORKSPACE`, else the checkout this code runs from, else the current folder."""
    named = os.environ.get("STUDIO_WORKSPACE")
    if named:
        return Workspace(Path(named).expanduser().resolve())
    return Workspace(ROOT if (ROOT / "pyproject.toml").is_file() else Path.cwd())


def hub_endpoint() -> str | None:
    """The model hub to download from: `HF_ENDPOINT`, else the hub client's own."""
    return os.environ.get("HF_ENDPOINT") or None


def requires_sandbox() -> bool:
    """`STUDIO_REQUIRE_SANDBOX`: whether rewards may only run where all that is promised can be closed to them."""
    return os.environ.get("STUDIO_REQUIRE_SANDBOX", "") not in ("", "0")


def sleeps_soon() -> bool:
    """`GOMP_SPINCOUNT`: whether it was said how long this program's threads look for work before they sleep."""
    return "GOMP_SPINCOUNT" in os.environ


def child_environment() -> dict[str, str]:
    """The environment a program may see: what it needs to run, none of the studio's or the person's secrets."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_VISIBLE_DEVICES",
            "OMP_NUM_THREADS", "GOMP_SPINCOUNT", "MKL_NUM_THREADS", "TORCH_EXTENSIONS_DIR", "PYTHONPATH", "VIRTUAL_ENV",
            "XDG_CACHE_HOME", "NCCL_DEBUG", "NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "COVERAGE_PROCESS_START",
            "STUDIO_REQUIRE_SANDBOX")  # fmt: skip
    return {name: os.environ[name] for name in kept if name in os.environ}
