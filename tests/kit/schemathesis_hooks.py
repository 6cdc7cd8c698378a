"""Where JSON Schema is wider than the contract: for it 5.0 is an integer, for us it is none."""

from typing import Any

import schemathesis


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    """Write whole numbers as whole numbers."""
    if isinstance(body, dict):
        return {
            name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in body.items()
        }
    return body
