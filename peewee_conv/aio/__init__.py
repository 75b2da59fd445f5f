"""The services for asyncio."""
