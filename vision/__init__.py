"""The domain: pictures, tasks, tags. Standard library and Pillow only; knows no framework, no model, no HTTP."""
