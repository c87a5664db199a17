"""Keeping account of a file's tensors from the reading to the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import chain

from torch import Tensor

from backbones.errors import LoadError
from backbones.files import Checkpoint
from backbones.formats.contract import JOINED, Parsed
from backbones.keys import KeyReport

_RULES = {
    "decoder": "decoder and mask token, not kept",
    "head": "classifier, not kept",
    "depth": "depth decoder, of no use to other tasks",
}


class Account:
    """The tensors of a file that are still in the running, and what became of the others.

    Attributes:
        tensors: name in the Backbone -> value.
        dropped: rule -> names in the file.
        kept: name in the file -> value, of networks of a task that were to be kept.
    """

    def __init__(self, parsed: Parsed) -> None:
        self.tensors: dict[str, Tensor] = dict(parsed.tensors)
        self.kept: dict[str, Tensor] = {}
        self.dropped = {rule: list(names) for rule, names in parsed.dropped.items()}
        self._beside = parsed.beside
        self._rules = {**dict.fromkeys(parsed.joined, JOINED), **parsed.laid_out}
        self._origin = {new: parsed.joined.get(new, (old,)) for new, old in parsed.origin.items()}

    def keep(self, keep: Collection[str], parts: Collection[str], where: str) -> None:
        """Drop the parts that are not kept.

        Raises:
            LoadError: a part is to be kept that the file does not have.
        """
        for part in sorted(parts):
            if part not in keep:
                self.drop((f"{part}.",), _RULES.get(part, f"{part}, not kept"))
            elif not any(name.startswith(f"{part}.") for name in self.tensors):
                raise LoadError(f"{where} has no {part} to keep")
        for part, tensors in self._beside.items():
            if part in keep:
                self.kept |= tensors
            else:
                self.dropped[_RULES[part]] = list(tensors)
        if missing := sorted(set(keep) - set(parts) - set(self._beside)):
            raise LoadError(f"{where} has no {missing[0]} to keep")

    def drop(self, prefixes: tuple[str, ...], rule: str) -> None:
        """Drop the tensors whose names begin with one of the prefixes, by a named rule."""
        for name in [name for name in self.tensors if prefixes and name.startswith(prefixes)]:
            self.dropped.setdefault(rule, []).extend(self._origin[name])
            del self.tensors[name]

    def report(
        self,
        layout: str,
        reason: str,
        converted: Mapping[str, Collection[str]],
        created: Collection[str],
        checkpoint: Checkpoint,
    ) -> KeyReport:
        """Close the account: what is left was used, or converted by the rules given.

        Raises:
            LoadError: a tensor of the file is in none of the groups, or in several.
        """
        rules = {rule: list(names) for rule, names in converted.items()}
        changed = {name for names in rules.values() for name in names}
        for name, rule in self._rules.items():
            if name in self.tensors and name not in changed:
                rules.setdefault(rule, []).append(name)
                changed.add(name)
        report = KeyReport(
            format=layout,
            reason=reason,
            total=len(checkpoint.tensors),
            used=self._in_file(n for n in self.tensors if n not in changed) + tuple(self.kept),
            converted={rule: self._in_file(names) for rule, names in rules.items()},
            dropped={rule: tuple(names) for rule, names in self.dropped.items()},
            created=tuple(created),
            beside=checkpoint.beside,
        )
        _check(report, checkpoint)
        return report

    def _in_file(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(chain.from_iterable(self._origin[name] for name in names))


def _check(report: KeyReport, checkpoint: Checkpoint) -> None:
    groups = [report.used, *report.converted.values(), *report.dropped.values()]
    told, there = Counter(chain.from_iterable(groups)), Counter(list(checkpoint.tensors))
    if wrong := (told - there) + (there - told):
        raise LoadError(
            f"{checkpoint.path}: the layout {report.format} has to account for each tensor once, "
            f"but does not for {', '.join(sorted(wrong))}; mend the layout, or name another one: "
            "arch={'format': ...}"
        )
