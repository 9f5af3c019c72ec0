"""The desk: what lies between the doors and the runners."""
