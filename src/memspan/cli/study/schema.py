"""`memspan study schema`."""

import json

from memspan.study import Study


def schema() -> int:
    """Print the JSON schema of the study file, for editors that complete and check it.

    **Into a file**, which editors with Taplo find where a TOML file begins with `#:schema memspan.schema.json`:

        memspan study schema > memspan.schema.json
    """
    print(json.dumps(Study.model_json_schema(), indent=2))
    return 0
