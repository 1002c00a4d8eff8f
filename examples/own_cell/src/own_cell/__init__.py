"""A recurrent cell and a task of my own, for memspan."""
