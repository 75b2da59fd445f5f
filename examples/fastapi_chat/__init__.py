"""A chat server with FastAPI: see README.md."""
