"""HTTP: the edge around the app, what requests are read into, the dialects, and what answers look like."""
