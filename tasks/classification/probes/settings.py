"""The settings of what is fitted on fixed features."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.recipe import LATER, Beta, Count, Positive, Section

NonNegative = Annotated[float, Field(ge=0)]
Kind = Literal["grid", "logistic", "knn"]

DINOV2_RATES = (
    *(1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4),
    *(1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1),
)
"""The thirteen learning rates of DINOv2's linear evaluation, for a batch of 256."""


class GridRecipe(Section):
    """Linear heads, all combinations trained in one pass (DINOv2's linear evaluation)."""

    learning_rates: tuple[Positive, ...] = Field(
        DINOV2_RATES, min_length=1, description="peak learning rates; x batch_size / 256 as used"
    )
    weight_decays: tuple[NonNegative, ...] = Field(
        (0.0,), min_length=1, description="L2 factors, of weights and bias, as torch's SGD has them"
    )
    epochs: Count = Field(10, description="passes over the training features")
    batch_size: Count = Field(128, description="samples a step; the last of an epoch has the rest")
    momentum: Beta = Field(0.9, description="of SGD")
    standardise: bool = Field(
        False,
        description="each dimension shifted and scaled by the training features' mean and "
        "deviation, as the norm before MAE's linear head, over the whole split",
    )

    @field_validator("learning_rates", "weight_decays")
    @classmethod
    def _different(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(values)) < len(values):
            raise ValueError(f"a value stands twice in {list(values)}")
        return values


class LogisticRecipe(Section):
    """Logistic regression over a grid of L2 factors (Kornblith et al. 2019; ssl-transfer)."""

    exponents: tuple[float, float] = Field(
        (-6.0, 5.0), description="powers of ten of the smallest and the largest L2 factor"
    )
    count: Count = Field(45, description="factors, evenly spaced between them by their logarithm")
    max_iter: Count = Field(100, description="iterations of L-BFGS at each factor")
    warm_start: bool = Field(True, description="whether each factor begins where the last ended")
    standardise: bool = Field(
        False, description="each dimension shifted and scaled by the training features"
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        low, high = self.exponents
        if low > high or (low == high) != (self.count == 1):
            raise ValueError(
                f"exponents {low:g} to {high:g} with {self.count} factors: give ascending ones, "
                "or one factor with both the same"
            )
        return self


class KnnRecipe(Section):
    """Votes exp(cosine / temperature) of the nearest training samples (DINO)."""

    k: Count = Field(20, description="neighbours that vote")
    temperature: Positive = Field(0.07, description="of the votes")


class ProbeRecipe(Section):
    """What is fitted on which features."""

    kind: Kind = Field("grid", description="linear heads, logistic regression or neighbours")
    features: tuple[str, ...] = Field(
        ("pooled",), min_length=1, description="features to choose from, such as mean@-2"
    )
    # Of a kind that is not fitted the identity of a cell says nothing.
    grid: GridRecipe = Field(GridRecipe.model_validate({}), json_schema_extra=LATER)
    logistic: LogisticRecipe = Field(LogisticRecipe.model_validate({}), json_schema_extra=LATER)
    knn: KnnRecipe = Field(KnnRecipe.model_validate({}), json_schema_extra=LATER)

    @field_validator("features")
    @classmethod
    def _different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"a feature stands twice in {list(names)}")
        return names
