"""`studio` without a command is `studio ui`: with the same options, which no other command takes."""

import socket

import pytest
from typer.testing import CliRunner

from studio.cli.main import app


def told(*words):
    """Refused in any case: without what is told here, the workspace is one that nobody can write."""
    done = CliRunner().invoke(app, words, env={"STUDIO_WORKSPACE": "/dev/null"})
    assert "Traceback" not in done.output
    return done.exit_code, done.stderr


def test_w2_a_bare_command_hears_where_it_shall_listen(tmp_path):
    workspace = ("--workspace", str(tmp_path))

    for reached in (("--host", "0.0.0.0"), ("--allow-host", "studio.example.com")):
        code, said = told(*reached, *workspace)
        assert code == 2
        assert f"`{reached[1]}` can be reached from other machines" in said
        assert f"STUDIO_WORKSPACE={tmp_path} studio user add" in said


def test_a_bare_command_hears_its_port_and_its_workspace(tmp_path):
    (tmp_path / "file").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, said = told("--port", str(port), "--workspace", str(tmp_path), "--root-path", "/studio", "--trust-proxy")

    assert code == 2
    assert f"Port {port} on `127.0.0.1` cannot be used" in said
    assert "cannot be written" in told("--workspace", str(tmp_path / "file"))[1]


@pytest.mark.parametrize(
    "option",
    [("--port", "8000"), ("--host", "0.0.0.0"), ("--workspace", "/tmp"), ("--allow-host", "a"), ("--trust-proxy",),
     ("--root-path", "/x"), ("--max-upload-gb", "1")],
)  # fmt: skip
@pytest.mark.parametrize("command", ["runs", "ui"])
def test_an_option_of_the_web_app_before_a_command_is_refused_in_words(option, command):
    code, said = told(*option, command)

    assert code == 2
    assert f"`{option[0]}` belongs to `studio ui`, and stands before `{command}`" in said
    assert f"hint: Write `studio ui {option[0]} ...`" in said


def test_a_number_that_no_port_has_is_refused():
    assert told("--port", "65536")[0] == told("--max-upload-gb", "0")[0] == 2
