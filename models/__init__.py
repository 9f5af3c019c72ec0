"""The models behind one small protocol. torch and transformers only: nothing here knows how it is served."""
