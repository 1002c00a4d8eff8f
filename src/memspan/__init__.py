"""memspan: how far back can a recurrent network remember, and why does it stop there?

The whole way of the data, from a task to a picture of what its gradient did:

>>> from memspan import RNN, Adam, Batches, Chain, ClipByNorm, GradientFlow, Learner, MSELoss, Recall
>>> model = RNN(input_size=1, hidden_size=16, output_size=1, rng=0)
>>> batches = Batches(Recall(), length=3, batch=32, rng=1)
>>> learner = Learner(model, MSELoss(), batches, Chain(ClipByNorm(1.0), Adam(1e-2)), engine="readable")
>>> outcome = learner.fit(updates=500, progress=False)
>>> print(outcome.outcome, len(learner.history.loss) == outcome.update)
solved True
>>> GradientFlow.of(model.grads).d_a.shape
(3,)

A study does this for many lengths and repetitions: `memspan study run --help`, or `memspan.Study`.
"""

import sys
from typing import Any

import lazy_loader

from memspan._version import __version__ as __version__

# The public names, and where each lives, are listed once, in __init__.pyi; each is imported when it is used.
_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

RENAMED = {"Status": "Outcome"}
"""Old public names; each warns for one version."""


def __getattr__(name: str) -> Any:
    if name not in RENAMED:
        try:
            return _public(name)
        except AttributeError:
            raise _unknown(name) from None
    from memspan.runtime.renamed import warn_renamed

    warn_renamed(f"memspan.{name}", f"memspan.{RENAMED[name]}")
    return getattr(sys.modules[__name__], RENAMED[name])


def _unknown(name: str) -> AttributeError:
    from memspan.suggestions import nearest

    near = None if name.startswith("_") else nearest(name, __all__)
    return AttributeError(f"memspan has no {name!r}." + (f" Did you mean {near!r}?" if near else ""))
