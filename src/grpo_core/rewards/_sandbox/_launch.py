"""The program that a launcher process starts as: `python -s -S -P _launch.py DESCRIPTOR SETTINGS`.

Not imported: it makes `_inside` importable by that name alone, so that nothing above it is loaded.
"""

import json
import os
import sys


def _main() -> None:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    from _inside import _python, _start  # noqa: PLC0415  # pyright: ignore[reportMissingImports]

    del sys.path[0]
    settings = json.loads(sys.argv[2])
    run_main = None
    if settings["python"]:
        _python.prepare(settings["packages"])
        run_main = _python.run_main
    _start.main(int(sys.argv[1]), settings, run_main)


if __name__ == "__main__":
    _main()
