"""Ollama's API, `/api/generate`, `/api/chat` and what its clients ask beside: the names are its documentation's."""
