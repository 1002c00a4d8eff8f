"""The linear half of every network, unrolled over time: once to be read, and once compiled."""
