"""Binding, connections, transactions: how a project reaches its SQLite files.

``files`` opens and makes them, ``pool`` lends their connections, ``writer`` queues those who write, ``cache`` keeps
what is open, ``scope`` says which project is current, ``proxy`` and ``schema`` tie Peewee's models to it, and
``handle`` is what a service holds.
"""
