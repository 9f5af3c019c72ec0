"""Anthropic's Messages API, `POST /v1/messages`: the names are its documentation's."""
