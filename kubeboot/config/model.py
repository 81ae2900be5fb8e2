"""What every part of a cluster's description is: frozen and strict."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Strict, frozen, camelCase in YAML."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True
    )


def listed(value: Any) -> Any:  # noqa: ANN401 - a mapping that is another program's
    """Tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {key: listed(inner) for key, inner in value.items()}
    return [listed(inner) for inner in value] if isinstance(value, tuple | list) else value


Fields = Annotated[dict[str, Any], BeforeValidator(listed)]
"""A document of another program's: kubeboot looks at its first level only."""
Gates = dict[str, bool]
