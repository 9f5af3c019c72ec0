"""The models behind one interface, how they are loaded, and where their weights come from. No serving code."""
