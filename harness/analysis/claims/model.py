"""A file of claims: what is claimed, and the tests that were written down before any was run."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from harness.analysis.claims.deciding import Threshold

Role = Literal["mim", "supervised", "contrastive"]
ROLES: tuple[Role, ...] = ("mim", "supervised", "contrastive")

OF_HEADS = tuple(
    f"attention.{name}"
    for name in (
        "distance",
        "distance_relative",
        "entropy",
        "entropy_relative",
        "nmi",
        "offset_x",
        "offset_y",
        "offset",
        "prefix_mass",
    )
)
"""Measures that each head of a block has."""
OF_BLOCKS = ("attention.kl", "attention.js")
"""Measures that a block has."""
OF_PAIRS = ("similarity.cka.tokens", "similarity.cka.pooled")
"""Measures that two blocks have together, with their error."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _contrast(text: str) -> str:
    roles = "|".join(ROLES)
    if not re.fullmatch(rf"({roles})( [-/] ({roles}))?", text):
        raise ValueError(f"give a role or two, as `mim - supervised`; roles are {', '.join(ROLES)}")
    return text


def _known(names: tuple[str, ...]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            near = get_close_matches(name, names, n=3, cutoff=0.4) or names
            raise ValueError(f"there is no such measure here; there is {', '.join(near)}")
        return name

    return AfterValidator(check)


class _Test(_Part):
    """One test: an estimate, and what it must be above or below.

    Attributes:
        of: what the estimate is of: one encoder, or two, as `mim - supervised` or
            `mim / supervised`.
    """

    of: Annotated[str, AfterValidator(_contrast)]
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("give `above` or `below`, one of them")
        if self.sign not in self.signs():
            allowed = " or ".join(
                {"": "one role", "-": "a - b", "/": "a / b"}[s] for s in self.signs()
            )
            raise ValueError(f"`of: {self.of}`: here it takes {allowed}")
        return self

    @classmethod
    def signs(cls) -> tuple[str, ...]:
        """Which contrasts there are: "" for one encoder."""
        return ("-",)

    @property
    def roles(self) -> tuple[Role, ...]:
        """One encoder, or the first and the second."""
        words = self.of.split()
        return tuple(role for word in words for role in ROLES if role == word)

    @property
    def sign(self) -> str:
        """`-`, `/`, or nothing where there is one encoder."""
        return self.of.split()[1] if " " in self.of else ""

    @property
    def threshold(self) -> Threshold:
        """What was written down."""
        if self.above is not None:
            return Threshold(self.above, "above")
        assert self.below is not None
        return Threshold(self.below, "below")


class Attention(_Test):
    """A measure of attention: reduced over the heads of each block, then the mean over blocks.

    Attributes:
        heads: how the heads of a block become one value; `range` is largest minus smallest, `std`
            divides by heads - 1.
        blocks: a quarter of the blocks (results/inspections.py), or one divided by another.
    """

    evidence: Literal["attention"]
    measure: Annotated[str, _known((*OF_HEADS, *OF_BLOCKS))]
    heads: Literal["mean", "min", "max", "range", "std"] | None = None
    blocks: Literal["first", "second", "third", "last", "last / second"]

    @classmethod
    def signs(cls) -> tuple[str, ...]:
        return ("", "-", "/")

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if (self.heads is None) != (self.measure in OF_BLOCKS):
            words = "is one value a block: leave `heads` out" if self.heads else "needs `heads`"
            raise ValueError(f"`{self.measure}` {words}")
        return self

    @property
    def what(self) -> str:
        heads = f", {self.heads} over heads" if self.heads else ""
        return f"{self.measure}{heads}, blocks: {self.blocks} quarter"


class Similarity(_Test):
    """The mean similarity of all pairs of different blocks of one encoder."""

    evidence: Literal["similarity"]
    measure: Annotated[str, _known(OF_PAIRS)]

    @classmethod
    def signs(cls) -> tuple[str, ...]:
        return ("", "-")

    @property
    def what(self) -> str:
        return f"{self.measure}, mean over pairs of blocks"


class OfRuns(_Test):
    """A test of finished runs.

    Attributes:
        task: of the runs.
        protocol: likewise; None takes what is asked for.
        where: fields of the recipe that they have, as `data.labels=fine`.
        study: file of a study that makes the runs of the encoders `simmim` and `supervised`.
    """

    task: str
    study: str | None = None
    protocol: Literal["finetune", "frozen"] | None = None
    where: tuple[str, ...] = ()


class Slope(OfRuns):
    """How the score changes with every block that is removed from the end.

    Attributes:
        mode: whether the network ends without the blocks, or has them drawn anew.
        levels: numbers of such blocks, all of which are needed, 0 among them.
    """

    evidence: Literal["slope"]
    mode: Literal["removed", "reinitialised"] = "removed"
    levels: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=3)]

    @classmethod
    def signs(cls) -> tuple[str, ...]:
        return ("", "-")

    @property
    def what(self) -> str:
        return f"{self.task}: gain in score a block {self.mode}"


class Gain(OfRuns):
    """How much better one encoder scores.

    Attributes:
        over: `pooled std` divides by the pooled standard deviation over seeds.
    """

    evidence: Literal["gain"]
    over: Literal["pooled std"] | None = None

    @property
    def what(self) -> str:
        return f"{self.task}: gain" + (f" / {self.over}" if self.over else "")


class LabelSet(_Part):
    """Runs on one set of labels.

    Attributes:
        name: as shown.
        coverage: share of its classes, or of its images, that the supervised encoder was
            pre-trained on, in [0,1]: written down before anything is run; a set without it is not
            counted.
    """

    name: str
    dataset: str
    where: tuple[str, ...] = ()
    coverage: Annotated[float, Field(ge=0, le=1)] | None = None


class Wins(OfRuns):
    """The share of label sets on which one encoder scores better: a sign test.

    Attributes:
        coverage: which of the sets count.
        sets: name of a list of sets of the file.
    """

    evidence: Literal["wins"]
    coverage: Literal["covered", "not covered"]

    @property
    def what(self) -> str:
        return f"share of {self.coverage} label sets won"


class Area(OfRuns):
    """The mean of a term of the loss over a span of the training."""

    evidence: Literal["area"]
    term: str
    span: Literal["all", "first 25 %", "last 10 %"]
    split: Literal["training", "held_out"] = "training"

    @property
    def what(self) -> str:
        return f"{self.task}: {self.term}, {self.split}, {self.span}"


class Reach(OfRuns):
    """The share of the training after which a term of the loss is down to a level that both
    encoders reach: the higher of their final losses (mean over the last 10 %), seed by seed."""

    evidence: Literal["reach"]
    term: str
    split: Literal["training", "held_out"] = "training"

    @property
    def what(self) -> str:
        return f"{self.task}: share of training to a common {self.term}"


Test = Annotated[
    Attention | Similarity | Slope | Gain | Wins | Area | Reach, Field(discriminator="evidence")
]


class Claim(_Part):
    """A claim.

    Attributes:
        networks: which the study has it of.
        source: where the claim and its test come from.
        needs: what is needed to decide it.
        note: what its tests leave out.
    """

    id: Annotated[str, Field(pattern="^[A-Z][0-9]+[a-z]?$")]
    claim: str
    networks: str
    source: str
    needs: str
    note: str = ""
    tests: Annotated[tuple[Test, ...], Field(min_length=1)]


class Claims(_Part):
    """A file of claims.

    Attributes:
        covered_from: coverage from which on a set counts as covered.
        sets: label sets that `wins` counts.
    """

    study: str
    covered_from: Annotated[float, Field(gt=0, le=1)] = 0.5
    sets: tuple[LabelSet, ...] = ()
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for kind, names in (
            ("claims", [claim.id for claim in self.claims]),
            ("sets", [each.name for each in self.sets]),
        ):
            doubled = sorted({name for name in names if names.count(name) > 1})
            if doubled:
                raise ValueError(f"two {kind} are called {', '.join(doubled)}")
        return self

    @property
    def roles(self) -> tuple[Role, ...]:
        """The encoders that the tests are about."""
        asked = {role for c in self.claims for test in c.tests for role in test.roles}
        return tuple(role for role in ROLES if role in asked)
