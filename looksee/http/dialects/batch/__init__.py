"""`POST /v1/batch`: its route, its items, and how many of them are under way."""
