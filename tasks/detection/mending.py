"""What is wrong with annotations is refused, or mended by a named rule and counted."""

from __future__ import annotations

from enum import StrEnum

from tasks.contract import DataError


class Rule(StrEnum):
    """How annotations are mended. The value is what a record calls it."""

    CATEGORY_TWICE = "category listed twice: taken once"
    SAME_NAME = "categories of one name: their ids added to it"
    IMAGE_TWICE = "image listed twice: taken once"
    NO_FILE = "image without a file: left out with its objects"
    NUMBERED = "annotation id used twice: a new one given"
    NO_IMAGE = "object of an image that is not listed: left out"
    NO_CATEGORY = "object of a category that does not exist: left out"
    NO_BOX = "object without a valid box: left out"
    NO_AREA = "object with a box of no area: left out"
    OUTSIDE = "object outside its image: left out"
    CLIPPED = "box reaching out of its image: clipped"
    CROWD = "crowd flag other than 0 and 1: taken as a crowd, which is ignored"
    MASK = "broken or missing mask: the filled box taken"
    AREA = "invalid area: that of the mask or box taken"
    AREA_MISSING = "area not given: that of the mask or box taken"


class Mending:
    """Counts what was mended in a file; without leave to do so, refuses it.

    Args:
        name: what the file is called in messages.
        allowed: `data.repair`.
    """

    def __init__(self, name: str, allowed: bool) -> None:
        self.name, self._allowed = name, allowed
        self.counts: dict[str, int] = {}

    def mend(self, rule: Rule, problem: str) -> None:
        """Count a problem that is mended by `rule`.

        Args:
            rule: by which.
            problem: whose it is, with its id, and what: the message.

        Raises:
            DataError: nothing may be mended.
        """
        if not self._allowed:
            what = rule.partition(": ")[2]
            raise DataError(
                f"{self.name}: {problem}; mend the file, or take --set data.repair=true ({what})"
            )
        self.note(rule)

    def note(self, rule: Rule) -> None:
        """Count what needs no leave."""
        self.counts[rule.value] = self.counts.get(rule.value, 0) + 1

    def refusal(self, problem: str) -> DataError:
        """The error for what no rule can mend."""
        return DataError(f"{self.name}: {problem}")
