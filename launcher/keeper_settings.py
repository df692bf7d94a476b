"""How patient a keeper is, and what it starts: told to it as one JSON argument."""

from pydantic import Field

from backend.runs.folder import FileRecord

MIB = 1 << 20


class KeeperSettings(FileRecord):
    """All times in seconds. The defaults are for people; tests are in more of a hurry."""

    save_grace_s: float = Field(120, ge=0)  # from a request to save and stop until the run is told to end
    saving_grace_s: float = Field(3600, ge=0)  # the same while it is saving: a large model on a slow disk takes long
    now_grace_s: float = Field(5, ge=0)  # the same where nothing is to be saved
    term_s: float = Field(35, ge=0)  # from telling every process to end until killing what is left
    hang_s: float = Field(60, ge=0)  # from a program's `end` event until its processes are ended
    poll_s: float = Field(0.2, gt=0)
    write_s: float = Field(60, ge=0)  # for how long it tries to write down how the run ended
    next_s: float = Field(900, ge=0)  # for how long it then tries to start the next one
    pause_s: float = Field(5, gt=0)  # between two such tries
    max_log_bytes: int = Field(64 * MIB, ge=2)  # a longer log loses its first half
    program: tuple[str, ...] = ()  # put before the run's folder; empty means DeepSpeed and `backend.programs.training`
