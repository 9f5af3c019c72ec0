"""From a request to jobs: pictures, parameters, chats, and what is refused."""
