"""From a recipe file and a user's options to one frozen, validated recipe."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from harness import plugins
from tasks.contract import RecipeError

if TYPE_CHECKING:
    from harness.options import RunOptions
    from tasks.contract import Task
    from tasks.recipe import TaskRecipe

Model = TypeVar("Model", bound=BaseModel)


def recipe_files(task_name: str) -> dict[str, Path]:
    """The recipe files that come with a task: stem (`tiny`, `paper-crowdpose`) -> file."""
    folder = plugins.task(task_name).recipes
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def resolve(options: RunOptions) -> TaskRecipe:
    """The recipe of a cell: the file for scale and data set, then the options, then `--set`.

    Raises:
        RecipeError: an unknown field, a wrong type or range, or a scale without a recipe.
        UnknownNameError: a task or data set that does not exist.
    """
    task = plugins.task(options.task)
    _require_known(task, options)
    path = recipe_file(options)
    values = overridden(_read(path), options)
    named = values.get("data", {}).get("name")
    # Of data sets that share their recipes the file names one.
    if options.dataset and named and task.recipe_of(named) == task.recipe_of(options.dataset):
        values["data"]["name"] = options.dataset
    if options.dataset is not None and values.get("data", {}).get("name") != options.dataset:
        raise RecipeError(
            f"`{path.name}` is for the data set `{values.get('data', {}).get('name')}`, "
            f"not for `{options.dataset}`"
        )
    recipe = _validate(task.Recipe, values)
    if options.scale not in (None, recipe.scale):
        raise RecipeError(
            f"`{path.name}` is of scale `{recipe.scale}`: leave --scale {options.scale} out"
        )
    return recipe


def resolve_sections(options: RunOptions, sections: dict[str, Any]) -> TaskRecipe:
    """The recipe file for the scale alone, with these values in place of its sections of that name,
    then the options, then `--set`. Of the file's own data set its values stay.

    Raises:
        RecipeError, UnknownNameError: as `resolve`.
    """
    task = plugins.task(options.task)
    _require_known(task, options)
    values = _read(recipe_file(replace(options, dataset=None)))
    if sections["data"]["name"] == values.get("data", {}).get("name"):
        sections = sections | {"data": values["data"]}
    return _validate(task.Recipe, overridden(values | sections, options))


def overridden(values: dict[str, Any], options: RunOptions) -> dict[str, Any]:
    """A recipe's values with what the options and `--set` say in place of some.

    Raises:
        RecipeError: a `--set` that cannot be read.
    """
    changed: dict[str, Any] = copy.deepcopy(values)
    for key, value in _from_options(options).items():
        _assign(changed, key, value)
    _set(changed, options.sets)
    return changed


def recipe_file(options: RunOptions) -> Path:
    """Where a cell's recipe comes from: a file of the user's, or one that comes with the task, by
    its name or by scale and data set.

    Raises:
        RecipeError: there is none.
    """
    if options.config is None:
        return _file_for(options)
    if options.config.suffix or options.config.is_file():
        return options.config
    files = recipe_files(options.task)
    if str(options.config) not in files:
        raise RecipeError(
            f"`{options.config}` is neither a recipe file nor one of task `{options.task}`: "
            + ", ".join(files)
        )
    return files[str(options.config)]


def require_family(recipe: TaskRecipe, family: str, options: RunOptions) -> None:
    """Refuse a recipe that was published for other families of encoders.

    Raises:
        RecipeError: naming the recipes that are for this one, and how to take it all the same.
    """
    if recipe.families is None or family in recipe.families:
        return
    own = [
        name
        for name, path in recipe_files(options.task).items()
        if _read(path).get("scale") == recipe.scale
        and family in (_read(path).get("families") or ())
        and _read(path).get("data", {}).get("name") == recipe.data.name
    ]
    instead = "".join(f"take --config {name} for it, or " for name in own)
    raise RecipeError(
        f"`{recipe_file(options).stem}` is a recipe for {', '.join(recipe.families)}, the encoder "
        f"is of family {family}: {instead}use it all the same with --set families=null"
    )


def task_of(path: Path) -> str:
    """The task that a recipe file is for.

    Raises:
        RecipeError: it cannot be read, or names none.
    """
    task = _read(path).get("task")
    if not isinstance(task, str):
        raise RecipeError(f"the recipe `{path}` has no `task`")
    return task


def backbone_arch(sets: Sequence[str]) -> dict[str, Any] | None:
    """What `--set backbone.FIELD=VALUE` gives of an encoder's architecture, for its file alone.

    Raises:
        RecipeError: an unknown field, a wrong type or range, or another section.
    """
    from tasks.recipe import BackboneRecipe, Section

    class File(Section):
        backbone: BackboneRecipe

    values: dict[str, Any] = {"backbone": {"input_size": [1, 1]}}
    _set(values, sets)
    return _validate(File, values).backbone.arch()


def load_resolved(task_name: str, values: dict[str, Any]) -> TaskRecipe:
    """The recipe that a record holds.

    Raises:
        RecipeError: where the record is of a version whose recipes had other fields.
    """
    return _validate(plugins.task(task_name).Recipe, values)


def as_yaml(recipe: TaskRecipe) -> str:
    """The whole recipe, as a file that `--config` takes."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def determining(recipe: BaseModel) -> dict[str, Any]:
    """The fields that determine the numbers: all but those marked `FREE`, and those marked `LATER`
    that are at their default."""
    from tasks.recipe import Section

    if isinstance(recipe, Section):
        recipe = recipe.identifying()
    kept: dict[str, Any] = {}
    dumped = recipe.model_dump(mode="json")
    for name, info in type(recipe).model_fields.items():
        value = getattr(recipe, name)
        extra = info.json_schema_extra
        mark = extra.get("determines") if isinstance(extra, dict) else None
        if mark is False or (mark is not None and value == info.default):
            continue
        kept[name] = determining(value) if isinstance(value, BaseModel) else dumped[name]
    return kept


def _require_known(task: Task, options: RunOptions) -> None:
    if options.dataset is not None and options.dataset not in task.datasets:
        raise plugins.unknown(
            "data set", options.dataset, list(task.datasets), "harness list datasets"
        )


def _file_for(options: RunOptions) -> Path:
    files = recipe_files(options.task)
    scale = options.scale or "tiny"
    plain = files.get(scale)
    if options.dataset is None:
        if plain is None:
            raise RecipeError(
                f"task `{options.task}` has no recipe at scale `{scale}`; it has {', '.join(files)}"
            )
        return plain
    shared = plugins.task(options.task).recipe_of(options.dataset)
    for dataset in (options.dataset, shared):
        special = files.get(f"{scale}-{dataset}")
        if special is not None:
            return special
    if plain is not None and _read(plain).get("data", {}).get("name") == options.dataset:
        return plain
    raise RecipeError(
        f"task `{options.task}` has no recipe for `{options.dataset}` at scale "
        f"`{scale}`; write one and give it with --config"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read the recipe `{path}`: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        line = f" at line {place.line + 1}" if place is not None else ""
        raise RecipeError(f"the recipe `{path}` is not valid YAML{line}") from None
    if not isinstance(values, dict):
        raise RecipeError(f"the recipe `{path}` must hold sections, not a {type(values).__name__}")
    return values


def _from_options(options: RunOptions) -> dict[str, Any]:
    given = {
        "protocol": options.protocol,
        "data.root": None if options.data_root is None else str(options.data_root),
        "data.limit": options.limit,
        "train.max_steps": options.max_steps,
        "train.precision": options.precision,
    }
    return {key: value for key, value in given.items() if value is not None}


def _set(values: dict[str, Any], sets: Sequence[str]) -> None:
    for assignment in sets:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise RecipeError(f"`--set {assignment}` needs the form `--set section.field=value`")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise RecipeError(f"`--set {key}`: cannot read the value `{text}`") from None
        _assign(values, key.strip(), value)


def _assign(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, field = key.split(".")
    place = values
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise RecipeError(f"`{key}`: `{section}` is a value, not a section")
    place[field] = value


def _validate(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [_problem(model, dict(e)) for e in error.errors()]
        raise RecipeError("; ".join(problems)) from None


def _problem(model: type[BaseModel], error: dict[str, Any]) -> str:
    location = [str(part) for part in error["loc"]]
    name = ".".join(location) or "recipe"
    if error["type"] == "extra_forbidden":
        fields = _fields_at(model, location[:-1])
        near = get_close_matches(location[-1], fields, n=3, cutoff=0.5) or fields
        return f"there is no field `{name}`; there is {', '.join(f'`{f}`' for f in near)}"
    if error["type"] == "missing":
        return f"`{name}` is missing: give it with `--set {name}=...`"
    return f"`{name}`: {error['msg'].removeprefix('Value error, ')}, got {error['input']!r}"


def _fields_at(model: type[BaseModel], location: list[str]) -> list[str]:
    for part in location:
        field = model.model_fields.get(part)
        inner = None if field is None else field.annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)
