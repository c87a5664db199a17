"""Import modules of OpenMMLab and leave the process as it was.

mmcv-lite has no `mmcv.ops`, which mmdet imports whole; mmpose imports xtcocotools, which has no
wheels. Both get a stand-in before the first import. The packages are pinned: they are no longer
maintained, and mmdet and mmsegmentation refuse mmcv 2.2.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from tasks.contract import DependencyError

PACKAGES = {
    "mmengine": "mmengine==0.10.7",
    "mmcv": "mmcv-lite==2.1.0",
    "mmdet": "mmdet==3.3.0",
    "mmpose": "mmpose==1.3.2",
    "mmseg": "mmsegmentation==1.2.2",
}
"""Import name -> requirement. `--no-deps`, since pip would try to build chumpy for mmpose."""

_COCO_TOOLS = ("", ".coco", ".cocoeval", ".mask")


def activate() -> None:
    """Put the stand-ins in place; does nothing the second time.

    Raises:
        DependencyError: one of the five packages is missing; the message is the line to install.
    """
    _require()
    # A compiled mmcv, where somebody has one, keeps its own operators.
    if "mmcv.ops" not in sys.modules and importlib.util.find_spec("mmcv._ext") is None:
        from tasks.openmmlab.operators import modules, register_layers

        sys.modules.update(modules())
        register_layers()
    if "xtcocotools" not in sys.modules and importlib.util.find_spec("xtcocotools") is None:
        for part in _COCO_TOOLS:
            sys.modules[f"xtcocotools{part}"] = importlib.import_module(f"pycocotools{part}")


def _require() -> None:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise DependencyError(
            f"this task needs {', '.join(missing)}, not installed here; install with: "
            f"pip install --no-deps {' '.join(PACKAGES.values())}"
        )


def load(name: str) -> ModuleType:
    """Import a module such as `mmpose.codecs.udp_heatmap`, as narrow as possible.

    The registry scope, thread counts of OpenCV and torch, logging and warning filters of the
    process are afterwards what they were before.

    Raises:
        DependencyError: one of the five packages is missing.
    """
    loaded = sys.modules.get(name)
    if loaded is not None:
        return loaded
    _require()
    with _unchanged(), warnings.catch_warnings():
        activate()
        # mmcv warns of the place of an operator that nothing here uses.
        warnings.filterwarnings("ignore", message=".*MultiScaleDeformableAttention")
        # Invalid escapes and deprecated names in third-party sources, seen when they are compiled.
        for category in (SyntaxWarning, DeprecationWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", category)
        module = importlib.import_module(name)
        # What was in sys.modules beforehand is not put into its package by the import.
        if "mmcv" in sys.modules and not hasattr(sys.modules["mmcv"], "ops"):
            sys.modules["mmcv"].ops = sys.modules["mmcv.ops"]  # type: ignore[attr-defined]
        return module


@contextmanager
def _unchanged() -> Iterator[None]:
    import cv2
    import torch
    from mmengine.registry import DefaultScope

    scopes = dict(DefaultScope._instance_dict)
    threads = cv2.getNumThreads(), torch.get_num_threads()
    root = logging.getLogger()
    logs = root.level, list(root.handlers), logging.root.manager.disable
    try:
        yield
    finally:
        DefaultScope._instance_dict.clear()
        DefaultScope._instance_dict.update(scopes)
        if cv2.getNumThreads() != threads[0]:
            cv2.setNumThreads(threads[0])
        if torch.get_num_threads() != threads[1]:
            torch.set_num_threads(threads[1])
        root.setLevel(logs[0])
        root.handlers[:] = logs[1]
        logging.disable(logs[2])
