"""The engines, which unroll a cell over time: a readable one in NumPy, and a compiled one."""
