"""`memspan study schema`."""

import json

from memspan.study import Study


def schema() -> int:
    """Print the JSON schema of study files, with which an editor can complete and check them.

    **Save it to a file.** Editors with Taplo use it if a TOML file begins with `#:schema memspan.schema.json`:

        memspan study schema > memspan.schema.json
    """
    print(json.dumps(Study.model_json_schema(), indent=2))
    return 0
