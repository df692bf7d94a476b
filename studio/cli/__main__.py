"""`python -m studio.cli`: the console command, where its script is not on PATH."""

from studio.cli.main import app

if __name__ == "__main__":
    app()
