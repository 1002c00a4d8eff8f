"""`memspan study schema`."""

import json

from memspan.study import Study


def schema() -> int:
    """Print the JSON schema of the study file, for editors that complete and check it.

    With `#:schema memspan.schema.json` as first line of a TOML file, editors that use Taplo know it.
    """
    print(json.dumps(Study.model_json_schema(), indent=2))
    return 0
