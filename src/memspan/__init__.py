"""memspan: how far back can a recurrent network remember, and why does it stop there?

Train a network on a task, then measure the norm of the gradient at each time step:

>>> from memspan import RNN, Adam, Batches, Chain, ClipByNorm, GradientFlow, Learner, MSELoss, Recall
>>> model = RNN(input_size=1, hidden_size=16, output_size=1, rng=0)
>>> batches = Batches(Recall(), length=3, batch=32, rng=1)
>>> learner = Learner(model, MSELoss(), batches, Chain(ClipByNorm(1.0), Adam(1e-2)), engine="readable")
>>> outcome = learner.fit(updates=500, progress=False)
>>> print(outcome.outcome, len(learner.history.loss) == outcome.update)
solved True
>>> GradientFlow.of(model.grads).d_a.shape
(3,)

A study trains many networks at many sequence lengths: `memspan.Study`, or `memspan study run --help`.
"""

import sys
from typing import Any

import lazy_loader

from memspan._version import __version__ as __version__

# __init__.pyi lists the public names and their modules. A name is imported when it is first used.
_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

RENAMED = {"Status": "Outcome"}
"""The new name of each old public name. An old name works for one more version, and warns."""


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
