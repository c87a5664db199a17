from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.features import FeatureError
from harness.features.keeping import clear, kept
from harness.features.store import Store
from tests.harness.features.sets import features, filled, of, opened, part

HOLD = """
import sys, time
from pathlib import Path
from harness.features.locks import Use
use = Use(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_nothing_is_kept_where_there_is_no_folder(tmp_path: Path) -> None:
    assert kept(tmp_path / "none") == []
    assert clear(tmp_path / "none", None).removed == ()
    assert not (tmp_path / "none").exists()


def test_states(store: Store) -> None:
    filled(store).close()
    with opened(store, of("f")) as begun:
        begun.write(2, part(begun, 2, features()))
    with filled(store, of("9")) as cut:
        (cut.folder / "00000.safetensors").write_bytes(b"")
    (store.root / "strange").mkdir()
    states = {one.name: one.state for one in kept(store.root)}
    assert sorted(states.values()) == ["1 of 3 shards", "complete", "damaged", "damaged"]
    assert (states[begun.folder.name], states["strange"]) == ("1 of 3 shards", "damaged")


def test_what_is_open_stays_and_is_named(store: Store) -> None:
    filled(store, of("f")).close()
    with filled(store) as found:
        done = clear(store.root, None)
        assert [one.name for one in done.in_use] == [found.folder.name]
        assert len(done.removed) == 1
        assert found.load().keys() == features().keys()
        with opened(store):  # by two at the same time
            assert len(clear(store.root, None).in_use) == 1
        assert len(clear(store.root, None).in_use) == 1
    done = clear(store.root, None)
    assert ([one.name for one in done.removed], done.in_use) == ([found.folder.name], ())
    assert kept(store.root) == []
    with opened(store) as again:
        assert again.missing() == [0, 1, 2]


def test_what_a_killed_process_had_open_is_free(store: Store) -> None:
    with filled(store) as found:
        mark = found.folder / "in-use"
    command = [sys.executable, "-c", HOLD, str(mark)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert len(clear(store.root, None).in_use) == 1
        process.kill()
    assert len(clear(store.root, None).removed) == 1


def test_a_removal_that_was_broken_off_is_ended_by_the_next(store: Store) -> None:
    with filled(store) as found:
        pass
    left = store.root / f".removed-{found.folder.name}-0"
    found.folder.rename(left)
    assert kept(store.root) == []
    clear(store.root, None)
    assert not left.exists()


def test_by_the_beginning_of_a_key(store: Store) -> None:
    names = []
    for encoder in "0123456789abcdefg":  # two begin alike, as there are sixteen digits
        with opened(store, of(encoder)) as found:
            names.append(found.folder.name)
    shared = next(n[0] for n in names if sum(other[0] == n[0] for other in names) > 1)
    with pytest.raises(FeatureError, match=f"more than one set .* `{shared}`"):
        clear(store.root, [names[0], shared])
    for unknown in ("x", ""):
        with pytest.raises(FeatureError, match=f"the key `{unknown}`; there are: "):
            clear(store.root, [names[0], unknown])
    assert len(kept(store.root)) == len(names)  # nothing goes where one key is wrong
    done = clear(store.root, [names[3][:15], names[3]])
    assert [one.name for one in done.removed] == [names[3]]


def test_only_what_was_not_opened_for_a_while(store: Store) -> None:
    with filled(store) as old, filled(store, of("f")) as new:
        pass
    two_days_ago = time.time() - 2 * 86400
    os.utime(old.folder / "in-use", (two_days_ago, two_days_ago))
    assert clear(store.root, None, older_than=3).removed == ()
    assert [one.name for one in clear(store.root, None, 1).removed] == [old.folder.name]
    assert [one.name for one in kept(store.root)] == [new.folder.name]
