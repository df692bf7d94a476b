"""Accounts, passwords, sessions and guessing, without a server."""

import json
import os
import stat
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backend.errors import NotFoundError, SpecError, StudioError
from backend.settings import Workspace
from studio.cli import context
from studio.cli.main import app
from studio.web import account_file
from studio.web.account_file import AccountFile, hash_of, is_right
from studio.web.login import (
    FIRST_WAIT_S,
    FORGOTTEN_S,
    FREE,
    IDLE_S,
    LONGEST_S,
    LONGEST_WAIT_S,
    MOST_KEPT,
    MOST_PER_ACCOUNT,
    Attempts,
    Sessions,
    may_enter,
)
from studio.web.login_routes import next_page

PASSWORD = "four words of rain"
GUESSER = ("ann", "10.0.0.1")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    return workspace


@pytest.fixture
def accounts(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> AccountFile:
    monkeypatch.setattr(account_file, "COST", 2**10)  # where it is not about how long it takes
    return AccountFile(workspace)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_w12_the_file_holds_no_password_is_its_owners_alone_and_no_two_salts_are_one(accounts: AccountFile, workspace):
    old = os.umask(0)
    try:
        accounts.add("ann", PASSWORD)
        accounts.add("bob", PASSWORD)
    finally:
        os.umask(old)

    text = workspace.accounts.read_text()
    kept = [each.password for each in accounts.all()]
    assert PASSWORD not in text
    assert stat.S_IMODE(workspace.accounts.stat().st_mode) == 0o600
    assert len({each.salt for each in kept}) == len({each.key for each in kept}) == 2
    assert not list(workspace.output.glob("*.tmp"))


def test_w12_only_the_password_is_right_however_its_letters_are_put_together(accounts: AccountFile):
    kept = hash_of("caf\u00e9 au lait noir")

    assert is_right("cafe\u0301 au lait noir", kept)
    assert not is_right("cafe au lait noir", kept)
    assert not is_right("", kept)


def test_w12_a_name_that_nobody_has_takes_as_long_as_one_that_somebody_has():
    kept = hash_of(PASSWORD)

    def least_seconds(against: object) -> float:
        times = []
        for _ in range(2):
            begun = time.process_time()
            assert not is_right("a wrong password", against)  # type: ignore[arg-type]
            times.append(time.process_time() - begun)
        return min(times)

    known, unknown = least_seconds(kept), least_seconds(None)
    assert known > 0.02
    assert 0.6 < unknown / known < 1.6


@pytest.mark.parametrize("password", ["", "short", "123456789", "aaaaaaaaaaaa", "abababababab", "x" * 501])
def test_w12_a_weak_password_makes_no_account(accounts: AccountFile, password: str):
    with pytest.raises(SpecError, match="password"):
        accounts.add("ann", password)

    assert accounts.all() == ()


@pytest.mark.parametrize("name", ["", " ", "a b", "../ann", "-ann", "a\nb", "<b>", "a" * 41, "ann;rm", ".ann", "@ann"])
def test_a_name_that_is_none_makes_no_account(accounts: AccountFile, name: str):
    with pytest.raises(SpecError, match="cannot be an account's name"):
        accounts.add(name, PASSWORD)


def test_names_are_one_however_they_are_written(accounts: AccountFile):
    accounts.add("Ann", PASSWORD)

    with pytest.raises(SpecError, match="already"):
        accounts.add("\uff41nn", PASSWORD)
    assert accounts.find(" ANN ") == accounts.all()[0]
    with pytest.raises(NotFoundError, match="`bob`"):
        accounts.remove("bob")


def test_w6_what_cannot_be_read_lets_nobody_in(accounts: AccountFile, workspace: Workspace):
    accounts.add("ann", PASSWORD)
    session = Sessions(workspace, accounts)
    token = session.begin(accounts.all()[0])
    workspace.accounts.write_text("{ torn")

    assert accounts.has_any()
    assert accounts.find("ann") is None
    assert session.account_of(token) is None
    assert not may_enter(accounts, None, is_public=False)
    with pytest.raises(StudioError, match="cannot be read"):
        accounts.all()


def test_w2_w6_without_accounts_only_a_server_for_this_machine_is_open(accounts: AccountFile, workspace: Workspace):
    assert may_enter(accounts, None, is_public=False)
    assert not may_enter(accounts, None, is_public=True)

    AccountFile(workspace).add("ann", PASSWORD)  # as another process does
    assert not may_enter(accounts, None, is_public=False)
    workspace.database.unlink(missing_ok=True)  # the index is no door
    assert not may_enter(accounts, None, is_public=False)


def test_w12_a_session_outlives_the_server_and_its_file_opens_nothing(accounts, workspace: Workspace, clock: Clock):
    account = accounts.add("ann", PASSWORD)
    token = Sessions(workspace, accounts, clock).begin(account)

    again = Sessions(workspace, accounts, clock)

    assert again.account_of(token) == account
    text = workspace.sessions.read_text()
    assert token not in text
    assert len(token) >= 43  # 256 bits
    assert stat.S_IMODE(workspace.sessions.stat().st_mode) == 0o600
    assert [again.account_of(guess) for guess in ("", token[:-1], next(iter(json.loads(text)["sessions"])))] == [
        None
    ] * 3


def test_w12_a_session_ends_when_it_rests_too_long_and_after_a_season_anyway(accounts, workspace, clock: Clock):
    sessions = Sessions(workspace, accounts, clock)
    used, unused = (sessions.begin(accounts.find("ann") or accounts.add("ann", PASSWORD)) for _ in range(2))
    end = clock.now + LONGEST_S

    clock.now += IDLE_S - 10
    assert sessions.account_of(used)
    clock.now += 20
    assert sessions.account_of(used)
    assert sessions.account_of(unused) is None
    while clock.now < end:
        assert sessions.account_of(used)
        clock.now += IDLE_S / 2
    assert sessions.account_of(used) is None
    sessions.begin(accounts.all()[0])
    assert len(json.loads(workspace.sessions.read_text())["sessions"]) == 1  # what is over is not kept


def test_w12_a_removed_account_and_a_new_password_end_sessions_at_once(accounts: AccountFile, workspace: Workspace):
    sessions = Sessions(workspace, AccountFile(workspace))
    first = sessions.begin(accounts.add("ann", PASSWORD))
    assert sessions.account_of(first)

    second = sessions.begin(accounts.set_password("ann", PASSWORD + " again"))
    assert sessions.account_of(first) is None
    assert sessions.account_of(second)
    accounts.remove("ann")
    assert sessions.account_of(second) is None
    accounts.add("ann", PASSWORD)
    assert sessions.account_of(second) is None


def test_an_account_has_so_many_sessions_and_a_full_disk_costs_only_the_next_start(accounts, workspace: Workspace):
    account, sessions = accounts.add("ann", PASSWORD), Sessions(workspace, accounts)
    workspace.sessions.mkdir()  # nothing can be written there

    tokens = [sessions.begin(account) for _ in range(MOST_PER_ACCOUNT + 2)]

    assert sum(sessions.account_of(token) is not None for token in tokens) == MOST_PER_ACCOUNT
    assert sessions.account_of(tokens[-1])
    workspace.sessions.rmdir()
    sessions.keep()
    assert Sessions(workspace, accounts).account_of(tokens[-1])


def test_w12_after_five_wrong_passwords_each_next_one_waits_longer(clock: Clock):
    attempts = Attempts(clock)

    assert [attempts.begin(GUESSER) for _ in range(FREE)] == [0] * FREE
    assert attempts.begin(GUESSER) == FIRST_WAIT_S
    assert attempts.begin(("ann", "10.0.0.2")) == attempts.begin(("bob", "10.0.0.1")) == 0
    clock.now += FIRST_WAIT_S
    assert attempts.begin(GUESSER) == 0
    assert attempts.begin(GUESSER) == 2 * FIRST_WAIT_S
    for _ in range(20):
        clock.now += attempts.begin(GUESSER)
    assert attempts.begin(GUESSER) == LONGEST_WAIT_S
    attempts.forgive(GUESSER)
    assert attempts.begin(GUESSER) == 0


def test_w12_guessing_is_forgotten_after_an_hour_and_remembers_so_many_only(clock: Clock):
    attempts = Attempts(clock)
    for _ in range(FREE):
        attempts.begin(GUESSER)
    clock.now += FORGOTTEN_S + 1
    assert [attempts.begin(GUESSER) for _ in range(FREE)] == [0] * FREE

    for number in range(MOST_KEPT + 5):
        attempts.begin((f"name-{number}", ""))
    assert len(attempts._failures) == MOST_KEPT


OUTSIDE = [
    "//evil.com", "/\\evil.com", "\\\\evil.com", "https://evil.com", "https:/evil.com", "javascript:alert(1)", "//",
    "///x", "/ /evil.com", "/\t/evil.com", "/\n/evil.com", "\x00/", " //evil.com", "/login",
    "/gradio_api/file=/etc/passwd",
    "/../..//evil.com", "/@evil.com", "/" + "a" * 3000, "/?" + "a" * 3000, "http:///", "//evil.com/zh/",
    "/zh/..//evil.com",
    "http://[", "?x", "zh/",
]  # fmt: skip


@pytest.mark.parametrize("wanted", OUTSIDE)
def test_w12_a_login_leads_nowhere_else(wanted: str):
    assert next_page(wanted, "en") == "/"
    assert next_page(wanted, "zh") == "/zh/"


def test_a_login_leads_back_to_the_page_that_was_asked_for():
    assert next_page("/?talk=20260101-abc", "zh") == "/?talk=20260101-abc"
    assert next_page("/zh/?blind=1&x=\u00e9\r", "en") == "/"
    assert next_page("/zh/?x=\u00e9", "en") == "/zh/?x=%C3%A9"


@pytest.fixture
def command(workspace: Workspace, accounts: AccountFile, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STUDIO_WORKSPACE", str(workspace.root))
    context.workspace.cache_clear()
    yield lambda *words, typed=None: CliRunner().invoke(app, words, input=typed)
    context.workspace.cache_clear()


def told(done: Result) -> str:
    assert done.exit_code == 0, done.output
    return done.stdout


def test_accounts_are_made_listed_and_removed_at_the_command_line(command, accounts: AccountFile):
    assert "There are no accounts" in told(command("user", "list"))
    told(command("user", "add", "Ann", "--password-stdin", typed=PASSWORD + "\n"))
    made = told(command("user", "add", "bob", "--make"))

    ann, bob = accounts.all()
    assert is_right(PASSWORD, ann.password)
    invented = made.split("The password is ")[1].split(" ")[0]
    assert is_right(invented, bob.password)
    assert len(invented) == 20
    assert [each["name"] for each in json.loads(told(command("user", "list", "--json")))] == ["ann", "bob"]
    told(command("user", "password", "bob", "--password-stdin", typed=PASSWORD + "\r\n"))
    assert is_right(PASSWORD, accounts.all()[1].password)
    told(command("user", "remove", "ann"))
    assert [each.name for each in accounts.all()] == ["bob"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("user", "add", "ann"), "no terminal"),
        (("user", "add", "ann", "--password-stdin"), "0 characters"),
        (("user", "add", "a b", "--make"), "cannot be an account's name"),
        (("user", "add", "ann", "--make", "--password-stdin"), "exclude each other"),
        (("user", "remove", "nobody"), "no account"),
        (("user", "password", "nobody", "--make"), "no account"),
    ],
)
def test_the_command_line_refuses_in_words(command, accounts: AccountFile, words: tuple[str, ...], said: str):
    done = command(*words)

    assert done.exit_code == 2
    assert said in done.stderr
    assert accounts.all() == ()
