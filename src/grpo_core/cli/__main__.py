"""`grpo-core`, or `python -m grpo_core.cli`."""

import sys
from importlib.util import find_spec

EXTRA = ("rich", "typer")


def main() -> None:
    """Run the command line; without its extra, say so in one line and leave with status 2."""
    if missing := [name for name in EXTRA if find_spec(name) is None]:
        sys.stderr.write(f"grpo-core: needs {', '.join(missing)}: pip install 'grpo_core[cli]'\n")
        sys.exit(2)
    from grpo_core.cli._app import app  # noqa: PLC0415 - the extra

    app(prog_name="grpo-core")


if __name__ == "__main__":
    main()
