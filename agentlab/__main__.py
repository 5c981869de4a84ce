"""``python -m agentlab`` is the command line."""

from agentlab.cli.main import app

if __name__ == "__main__":
    app()
