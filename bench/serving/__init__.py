"""The service beside other ways to serve the same models: what is served, how it is asked, and what came of it."""
