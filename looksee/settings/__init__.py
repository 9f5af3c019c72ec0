"""Every setting of the service, and the tables printed from them."""
