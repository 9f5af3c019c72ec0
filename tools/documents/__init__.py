"""The documents' tables, printed from the code: README.md, docs/*.md and .env.example. `make docs` runs it."""
