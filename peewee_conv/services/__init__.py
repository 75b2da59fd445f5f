"""The verbs of a project, one service per noun. None imports another.

``get`` raises where a row is missing, ``find`` returns ``None``, ``delete`` returns whether there was one.
"""
