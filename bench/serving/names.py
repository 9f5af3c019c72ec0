"""The names of what is compared, and the loads."""

PLAIN, LITSERVE, BENTOML, IDEAL, LOOKSEE = "plain FastAPI", "LitServe", "BentoML batchable", "ideal batches", "Looksee"
CACHED = "Looksee, from cache"
SERVERS = (PLAIN, LITSERVE, BENTOML, LOOKSEE, IDEAL)  # in the order of tables and plots
CALLERS = (1, 8, 32)  # requests at a time
