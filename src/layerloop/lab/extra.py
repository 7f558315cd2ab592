"""Whether the libraries that serve the page are there."""

from __future__ import annotations

from importlib.util import find_spec

from layerloop.errors import MissingExtraError

NEEDED = ("starlette", "uvicorn", "httptools", "orjson")


def check_extra() -> None:
    """Raise MissingExtraError, with what to install, unless the extra [lab] is there.

    Examples
    --------
    >>> check_extra()
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"the page needs {' and '.join(missing)}, not installed: pip install 'layerloop[lab]'")
