"""The models behind one interface. torch and transformers; nothing here knows how it is served."""
