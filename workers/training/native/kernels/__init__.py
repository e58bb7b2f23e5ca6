"""Compiled code: generic in depth, widths, batch size and every option of a network, in float32 and float64.

Only `steps` is called from Python, and only it is kept on disk; everything else is compiled into it. No kernel holds
Python's lock (GIL), and none assumes that numbers are finite: NaN and infinity must show in the loss.
"""
