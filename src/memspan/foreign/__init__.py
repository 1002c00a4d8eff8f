"""What PyTorch and JAX models have in common as memspan's networks. It imports neither of the two."""

from memspan.foreign.faulty import FaultyModel
from memspan.foreign.forms import Form, FormTimes, choose_form, time_forms
from memspan.foreign.network import ForeignNetwork

__all__ = ["FaultyModel", "ForeignNetwork", "Form", "FormTimes", "choose_form", "time_forms"]
