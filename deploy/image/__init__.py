"""The container images: what is in them, and the command that builds one."""
