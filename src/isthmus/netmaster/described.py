"""The application whose description says what is true of it: no answer that never comes, and the form of every key."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

_NEVER = "422"  # FastAPI's own refusals, which need a parameter that FastAPI checks: here there is none
_ITS_SCHEMAS = ("HTTPValidationError", "ValidationError")


class DescribedApp(FastAPI):
    """FastAPI, with `key_forms`: {path: the pattern of the key in it}."""

    def __init__(self, key_forms: Mapping[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self._key_forms = key_forms

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        is_new = self.openapi_schema is None
        document = super().openapi()
        if is_new:
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    operation["responses"].pop(_NEVER, None)
                    _tell_key(operation, self._key_forms.get(path))
            for name in _ITS_SCHEMAS:
                document["components"]["schemas"].pop(name, None)
        return document


def _tell_key(operation: Mapping[str, Any], form: str | None) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] == "key" and form:
            parameter["schema"]["pattern"] = form
