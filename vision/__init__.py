"""The domain: pictures, tasks, tags. Standard library, numpy and Pillow only; knows no framework, no model, no HTTP."""
