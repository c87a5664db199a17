"""JSON files of annotations, and whether what stands in them is a number."""

from __future__ import annotations

import gc
import json
from typing import TYPE_CHECKING, Any

from tasks.contract import DataError

if TYPE_CHECKING:
    from pathlib import Path


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: naming the file, and the line where it breaks off or is malformed.
    """
    # Among millions of new lists the collector would look for garbage again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}; "
            "is the file complete?"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a JSON text that can be read: {error}") from None
    finally:
        if collecting:
            gc.enable()


def finite(values: list[Any]) -> bool:
    """Whether all are numbers with which one can reckon: no NaN, none beyond 1e12."""
    return all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) <= 1e12 for v in values
    )


def whole(value: Any) -> bool:
    """Whether it is a whole number of 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
