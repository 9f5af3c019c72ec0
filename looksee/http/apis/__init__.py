"""The captioning API and the container API, as uploads, JSON and BentoML's methods share them."""
