"""Side by side with other servers, and the two charts with which GraphPipe presented itself. `run.py` is the way in."""
