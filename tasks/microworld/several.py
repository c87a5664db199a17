"""Several parts of the world, prepared as one."""

from collections.abc import Sequence

from tasks.microworld.prepare import Progress
from tasks.microworld.world import Microworld


def prepare_several(
    worlds: Sequence[Microworld], progress: Progress | None = None, workers: int | None = None
) -> None:
    """Render what the cache lacks; `progress` gets samples done and in all of them together.

    workers: as for `Microworld.prepare`.
    """
    whole, before = sum(map(len, worlds)), 0
    for world in worlds:

        def advance(done: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, whole)

        world.prepare(advance, workers)
        before += len(world)
        advance(0, 0, before)
