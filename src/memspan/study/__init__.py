"""Studies: lengths x repetitions, each trial a pure function of its key."""
