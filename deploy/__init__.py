"""Running the service: on this machine, as a bento, as an image."""
