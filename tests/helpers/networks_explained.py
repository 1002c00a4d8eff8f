"""Evidence of two networks, from which tests make that of others."""

from dataclasses import replace

import numpy as np

from memspan import Network, Outcome
from memspan.why.evidence import Evidence

GIVEN = 1000
STAYS = Evidence(
    repetition=0,
    outcome=Outcome.UNSOLVED,
    digest="",
    given=GIVEN,
    share=np.ones(GIVEN),
    norm=np.ones(GIVEN),
    clip=1.0,
    left=np.inf,
    theta=1e-8,
    z=20.0,
    z_inputs=100.0,
    needed=100.0,
    without_noise=100.0,
    decay=1e-3,
    noise_jump=np.nan,
    growth=-5.0,
    slope=1.0,
    slope_after=1.0,
    radius=0.6,
    radius_after=0.6,
    start=1.0,
    end=1.0,
    misadjustment=0.01,
    signal_to_noise=1.0,
    held=1.0,
    lags=0,
    trained=Network("rnn", 1, 2, 1, rng=0),
)
"""A network that stays on the plateau although it should leave: nothing explains it."""
LEAVES = replace(STAYS, left=100.0, share=np.full(GIVEN, 0.5), end=0.5, slope_after=0.2)
"""A network that leaves and then stands still, with latched units."""
