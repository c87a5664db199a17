"""A recipe small enough for tests."""

from pathlib import Path
from typing import Any

import yaml

from tasks.pretraining.recipe import PretrainingRecipe
from tasks.pretraining.task import Pretraining

FIXTURES = Path(__file__).parents[2] / "fixtures"


def recipe(**sections: dict[str, Any]) -> PretrainingRecipe:
    """The smoke recipe with fields of its sections replaced."""
    values = yaml.safe_load((Pretraining.recipes / "smoke.yaml").read_text())
    for name, fields in sections.items():
        values[name] = values.get(name, {}) | fields
    return PretrainingRecipe.model_validate(values)
