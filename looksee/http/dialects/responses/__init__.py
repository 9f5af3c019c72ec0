"""OpenAI's Responses API, `POST /v1/responses`: the names are its documentation's. Nothing is stored."""
