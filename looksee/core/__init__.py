"""The domain: jobs and answers, pictures, geometry, prompts, tags, flags, errors. Standard library and Pillow only."""
