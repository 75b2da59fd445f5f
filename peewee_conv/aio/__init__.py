"""The same projects and services for asyncio: FastAPI, Starlette, aiohttp and your own tasks.

A thin face over the services for threads: the same names, arguments, results and errors, awaited.
"""

from .lanes import AsyncTransaction as AsyncTransaction
from .project import AsyncProject as AsyncProject
from .project import AsyncProjects as AsyncProjects
from .threads import set_thread_limit as set_thread_limit

__all__ = ["AsyncProject", "AsyncProjects", "AsyncTransaction", "set_thread_limit"]
